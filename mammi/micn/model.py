"""Med-MICN (NeurIPS 2024): concepts, rules over them, and a fused prediction; its losses.

B images, d features, N concepts, J classes, e numbers of a concept's embedding.
"""
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, cross_entropy, leaky_relu, one_hot

from mammi.errors import number
from mammi.micn.logic import NeuralSymbolic, Reasoning


class Output(NamedTuple):
    """scores (B, J): logits of the fused prediction, or without fusion the truth of the rules, which then predicts

    concepts (B, N) in [0, 1], the sigmoid of ``concept_logits``; ``reasoning`` explains
    """

    scores: torch.Tensor
    concept_logits: torch.Tensor
    concepts: torch.Tensor
    reasoning: Reasoning


class Standard(nn.Module):
    """Features (B, d) less the mean of training, in its deviations; as they are before :meth:`fit`."""

    def __init__(self, features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("sd", torch.ones(features))

    def fit(self, features):
        """``features`` (P, d) of the training images."""
        self.mean.copy_(features.mean(0))
        self.sd.copy_(features.std(0).clamp(min=1e-6))

    def forward(self, features):
        return (features - self.mean) / self.sd


class BlackBox(nn.Module):
    """Features -> logits (B, J): the backbone with a linear head, which explains nothing."""

    def __init__(self, features, classes):
        super().__init__()
        self.scale, self.linear = Standard(features), nn.Linear(features, classes)

    def forward(self, features):
        return self.linear(self.scale(features))


class ConceptEncoder(nn.Module):
    """Features -> an embedding and a probability of each concept (Espinosa Zarlenga et al., NeurIPS 2022).

    Of the context [u+, u-] that a linear map of its own gives a concept, one predictor that all share makes c, and the
    embedding is v = c u+ + (1 - c) u-.
    """

    def __init__(self, features, concepts, e=8, width=128, dropout=0.0):
        super().__init__()
        self.shape = (concepts, 2, e)
        self.trunk = nn.Sequential(nn.Linear(features, width), nn.LeakyReLU(), nn.Dropout(dropout))
        self.contexts = nn.Linear(width, concepts * 2 * e)  # N linear maps side by side
        self.predictor = nn.Linear(2 * e, 1)

    def forward(self, features):
        """(embeddings (B, N, e), concept logits (B, N)) of features (B, d)."""
        contexts = leaky_relu(self.contexts(self.trunk(features))).unflatten(1, self.shape)
        logits = self.predictor(contexts.flatten(2)).squeeze(2)
        c = torch.sigmoid(logits)[:, :, None]
        return c * contexts[:, :, 0] + (1 - c) * contexts[:, :, 1], logits


class MedMICN(nn.Module):
    """The head on a backbone's features (B, d).

    hidden   width of the fusing perceptron (d + N e -> hidden -> J); None: d, as published for ResNet50 and VGG
    detach   rules do not pull at the concepts: they then keep the meaning that their labels give them
    fusion   False: the Deep Concept Reasoner alone, whose rules predict
    """

    def __init__(self, features, concepts, classes, *, e=8, width=128, hidden=64, dropout=0.0, temperature=1.0,
                 t_norm="product", detach=False, fusion=True):
        super().__init__()
        for name, value in (("e", e), ("width", width), ("hidden", hidden if hidden is not None else features)):
            number(f"task.head.{name}", value, 1, whole=True)
        self.detach, self.scale = detach, Standard(features)
        self.encoder = ConceptEncoder(features, concepts, e, width, number("task.head.dropout", dropout, 0, .99))
        self.reasoner = NeuralSymbolic(e, classes, temperature, t_norm)
        hidden = features if hidden is None else hidden
        self.fusion = nn.Sequential(nn.Linear(features + concepts * e, hidden), nn.LeakyReLU(),
                                    nn.Linear(hidden, classes)) if fusion else None

    def forward(self, features):
        features = self.scale(features)
        embeddings, logits = self.encoder(features)
        concepts = torch.sigmoid(logits)
        known = (embeddings.detach(), concepts.detach()) if self.detach else (embeddings, concepts)
        reasoning = self.reasoner(*known)
        if self.fusion is None:
            return Output(reasoning.truth, logits, concepts, reasoning)
        return Output(self.fusion(torch.cat([features, embeddings.flatten(1)], 1)), logits, concepts, reasoning)


def losses(output, y, labels, paper=False, fusion=True, lambda1=.1, lambda2=.1):
    """{"task", "concepts", "rules", "total"}: L = CE(scores, y) + lambda1 BCE(c, C) + lambda2 BCE(truth, one-hot y).

    y       (B,) classes as integers; labels C (B, N) of 1, 0, NaN for unknown
    paper   a sigmoid before the cross-entropy, as published: it squashes twice, and the loss cannot reach 0
    fusion  False: no task term, and the rules, which predict, count in full
    """
    truth = output.reasoning.truth
    known = ~labels.isnan()
    concepts = binary_cross_entropy(output.concepts, labels.nan_to_num(), reduction="none")
    parts = {"concepts": (concepts * known).sum() / known.sum().clamp(min=1),
             # The number of classes is said: a batch of one class has as many columns as any other.
             "rules": binary_cross_entropy(truth.clamp(0, 1), one_hot(y, truth.shape[1]).to(truth))}
    if not fusion:
        return parts | {"total": parts["rules"] + lambda1 * parts["concepts"]}
    parts["task"] = cross_entropy(output.scores.sigmoid() if paper else output.scores, y)
    return parts | {"total": parts["task"] + lambda1 * parts["concepts"] + lambda2 * parts["rules"]}
