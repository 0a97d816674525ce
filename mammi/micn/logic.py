"""The neural-symbolic layer: fuzzy rules over concepts, as in the Deep Concept Reasoner (Barbiero et al., ICML 2023).

B images, N concepts, J classes, e numbers of a concept's embedding. Truth lies in [0, 1].
"""
from typing import NamedTuple

import torch
from torch import nn

from mammi.errors import BadInput, near, number


class Godel:
    """And is the minimum, or the maximum: a conjunction is as true as its weakest part."""

    @staticmethod
    def every(truths, dim):
        return truths.amin(dim)

    @staticmethod
    def both(a, b):
        return torch.minimum(a, b)

    @staticmethod
    def either(a, b):
        return torch.maximum(a, b)


class Product:
    """And is the product, or a + b - a b: every part of a conjunction counts, and gets a gradient."""

    @staticmethod
    def every(truths, dim):
        return truths.prod(dim)

    @staticmethod
    def both(a, b):
        return a * b

    @staticmethod
    def either(a, b):
        return a + b - a * b


T_NORMS = {"godel": Godel, "product": Product}


class Reasoning(NamedTuple):
    """truth (B, J) of each class's rule; relevance r, polarity o and agreement g (B, N, J), all in [0, 1]."""

    truth: torch.Tensor
    relevance: torch.Tensor
    polarity: torch.Tensor
    agreement: torch.Tensor


def agrees(norm, polarity, concepts):
    """g = (o or not c) and (not o or c): how far a concept (B, N, 1) has the value that its role (B, N, J) asks for."""
    return norm.both(norm.either(1 - polarity, concepts), norm.either(polarity, 1 - concepts))


def relevance(scores, temperature):
    """r = sigmoid(l - T mean_i l) with l the log-softmax of ``scores`` (B, N, J) over the concepts i.

    l is about -log N, so T well above 1 adds T log N to it: at the published 100 every concept is relevant, r is 1 in
    floating point and no gradient comes back.
    """
    logs = scores.log_softmax(1)
    return torch.sigmoid(logs - temperature * logs.mean(1, keepdim=True))


def reason(norm, concepts, relevant, polarity):
    """:class:`Reasoning` with truth_j = and_i (not r_ij or g_ij), from concepts (B, N) and r, o (B, N, J)."""
    agreement = agrees(norm, polarity, concepts[:, :, None].expand_as(polarity))
    return Reasoning(norm.every(norm.either(1 - relevant, agreement), 1), relevant, polarity, agreement)


class NeuralSymbolic(nn.Module):
    """Two perceptrons e -> e -> J read a role and a relevance off each concept's embedding; the logic does the rest.

    temperature  T of :func:`relevance`; about 1 keeps rules short, 100 is what the published code uses
    t_norm       ``godel`` or ``product``
    """

    def __init__(self, e, classes, temperature=1.0, t_norm="godel"):
        super().__init__()
        if t_norm not in T_NORMS:
            raise BadInput(f"task.head.t_norm={t_norm}: {near(str(t_norm), T_NORMS)}")
        self.temperature, self.norm = number("task.head.temperature", temperature, 0), T_NORMS[t_norm]
        self.role, self.weight = (nn.Sequential(nn.Linear(e, e), nn.LeakyReLU(), nn.Linear(e, classes))
                                  for _ in range(2))

    def forward(self, embeddings, concepts):
        """:class:`Reasoning` from embeddings (B, N, e) and concepts (B, N)."""
        return reason(self.norm, concepts, relevance(self.weight(embeddings), self.temperature),
                      torch.sigmoid(self.role(embeddings)))
