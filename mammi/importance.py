"""Which neurons of a layer a prediction rests on (WWW, section "why"; MAMMI, Figure 3).

P images, K neurons of the layer, C outputs. With f_c = sum_k W_ck a_k + b_c the exact Shapley value of neuron k, 0
standing for an absent one, is W_ck a_k: f is additive, so each neuron adds the same to every coalition. Over the
neurons it adds up to f_c - b_c. For any other head a_k df/da_k is its first-order stand-in, and equal where f is
linear.
"""
import numpy as np
import torch

from mammi.errors import BadInput


def shapley(pooled, weight):
    """(P, C, K) exact Shapley values of a linear head; ``pooled`` (P, K), ``weight`` (C, K)."""
    pooled, weight = (np.asarray(torch.as_tensor(x).detach().cpu(), np.float64) for x in (pooled, weight))
    if pooled.ndim != 2 or weight.ndim != 2 or pooled.shape[1] != weight.shape[1]:
        raise BadInput(f"activations {pooled.shape} and a head {weight.shape}: expected (images, neurons) and "
                       "(outputs, neurons)")
    return pooled[:, None] * weight


def by_gradient(subject, x, readouts, layer):
    """(B, K): a_k df/da_k of the neurons of ``layer`` for each image's read-out, summed over a map's positions.

    subject  with ``gradients``, such as a :class:`~mammi.target.base.TorchTarget`; x, readouts as for an explainer
    """
    values, gradients = subject.gradients(x, readouts, layer)
    return (values * gradients).flatten(2).sum(2) if values.ndim > 2 else values * gradients


def of_class(values, belongs):
    """(K,) mean over the images that belong to a class: Phi_c of WWW.

    values   (P, K) of that class
    belongs  (P,) bool: images with the label, or with the prediction where there are no labels
    Raises :class:`BadInput` where none belongs.
    """
    belongs = np.asarray(belongs, bool)
    if not belongs.any():
        raise BadInput("no image of this class: its neurons' mean importance is not known. Give more images")
    return np.asarray(values)[belongs].mean(0)


def leading(values, n):
    """Positions of the ``n`` highest of (K,) values, best first, ties by position; only such above 0."""
    first = np.argsort(-np.asarray(values), kind="stable")[:n]
    return first[np.asarray(values)[first] > 0]


def overall_map(maps, values):
    """(H, W): sum_k phi_k map_k / sum_k phi_k over the neurons given, phi_k below 0 counting as 0.

    maps  (K, H, W) of these neurons, ``values`` (K,) their importance; zeros where none is above 0
    """
    share = np.clip(np.asarray(values, np.float64), 0, None)
    return np.tensordot(share / max(share.sum(), 1e-30), np.asarray(maps, np.float64), 1)


def cosine(a, b):
    """Cosine of two maps, flattened, in [0, 1] for such as are at least 0; NaN where one is 0 everywhere."""
    a, b = np.ravel(a), np.ravel(b)
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else float("nan")
