"""Concept semantic alignment: which concepts an image shows, according to a dissector, without an expert.

P images, C concepts, D dimensions. s_i = mean over patches of cos(V_hw, t_i); the concept is there where s_i > tau_i.
"""
import numpy as np

from mammi.errors import BadInput, near, number
from mammi.image_text import prompts

RULES = {"fixed": None, "quantile": .7, "otsu": None, "zscore": 0.0, "adaptive": .93}  # with its number
LEAK = .95  # correlation with a class from which on a concept label counts as the class label


def patch_rows(evidence):
    """((P, D) float32 mean of an image's unit patch embeddings, "patches"); else its embedding, "images".

    cos(V_hw, t) averaged over an image's patches is this row's product with t, whatever the words, so rows are
    cached per image. :class:`BadInput` for a dissector without a shared space.
    """
    dissector = evidence.dissector
    if not dissector.embeds:
        raise BadInput(f"dissector={dissector.name} has no embeddings to label concepts with: choose another one, or "
                       "labels of experts (task.experts)")
    if dissector.patches(evidence.images.load([0])) is None:
        return evidence.image_embeddings(), "images"

    def compute(todo, _):
        for at, batch in evidence.batches(todo, f"{dissector.name} on patches"):
            yield todo[at], {"patches": unit_patches(dissector, batch).mean((1, 2))}

    return evidence.cache.rows({"patches": {"dissector": dissector.fingerprint}}, evidence.images.keys,
                               compute)["patches"], "patches"


def unit_patches(dissector, batch):
    """(B, h, w, D) float32, each patch of length 1."""
    patches = dissector.patches(batch).astype(np.float32)
    return patches / np.maximum(np.linalg.norm(patches, axis=3, keepdims=True), 1e-12)


def text_rows(evidence, words):
    """(C, D) unit rows of the words in the images' template."""
    return evidence.text_embeddings(prompts(words, evidence.images.template))


def heat_maps(dissector, batch, texts):
    """(B, C, h, w) cosines of patches and texts, in [-1, 1]; row 0 at the top."""
    return np.einsum("bhwd,cd->bchw", unit_patches(dissector, batch), texts)


def thresholds(scores, rule="quantile", value=None):
    """(C,) float64 tau of each concept, from the ``scores`` (P, C) of the training images.

    fixed     ``value`` for all
    quantile  the score that the share ``value`` of the images does not exceed
    otsu      the cut with the largest variance between its two sides
    zscore    mean + ``value`` standard deviations
    adaptive  max - (1 - alpha)(max - min) with ``value`` for alpha, Eq. (1) of MAMMI: few images pass
    """
    value, scores = checked(rule, value), np.asarray(scores, np.float64)
    if rule == "otsu":
        return np.array([otsu(column) for column in scores.T])
    if rule == "fixed":
        return np.full(scores.shape[1], float(value))
    if rule == "quantile":
        return np.quantile(scores, value, axis=0)
    if rule == "zscore":
        return scores.mean(0) + value * scores.std(0)
    top, bottom = scores.max(0), scores.min(0)
    return top - (1 - value) * (top - bottom)


def checked(rule, value=None):
    """The number of a threshold ``rule``; :class:`BadInput` for a rule or a number that cannot be."""
    if rule not in RULES:
        raise BadInput(f"task.threshold={rule}: {near(str(rule), RULES)}")
    value = RULES[rule] if value is None else value
    if rule == "otsu":
        return None
    if value is None:
        raise BadInput("task.threshold=fixed needs a number: task.threshold_value=...")
    low, high = {"quantile": (0, 1), "adaptive": (0, 1)}.get(rule, (-np.inf, np.inf))
    return number("task.threshold_value", value, low, high)


def otsu(values):
    """The value v for which the split into <= v and > v has the largest variance between the sides (Otsu, 1979)."""
    ordered = np.sort(np.asarray(values, np.float64))
    n, left = len(ordered), np.arange(1, len(ordered))
    sums = ordered.cumsum()
    between = left * (n - left) * (sums[:-1] / left - (sums[-1] - sums[:-1]) / (n - left)) ** 2
    between[ordered[1:] == ordered[:-1]] = -1  # equal values stay together
    return float(ordered[:-1][np.argmax(between)]) if n > 1 else float(ordered[0])


def constant(labels):
    """(C,) bool: a concept that all images have, or none of those that are known; it teaches nothing."""
    known = ~np.isnan(labels)
    return ((labels == 1) & known).sum(0) % np.maximum(known.sum(0), 1) == 0


def leaks(labels, y, classes, limit=LEAK):
    """{concept position: (class position, correlation)} of concepts whose label is (nearly) that of a class.

    labels (P, C) of 1, 0, NaN; y (P,) in 0 .. classes-1. Correlation is phi, 1 or -1 where the two are the same.
    """
    found = {}
    for i, column in enumerate(labels.T):
        known = ~np.isnan(column)
        for j in range(classes):
            one, other = column[known], (y[known] == j).astype(float)
            if not one.std() or not other.std():
                continue
            phi = float(np.corrcoef(one, other)[0, 1])
            if abs(phi) >= limit and abs(phi) > abs(found.get(i, (0, 0))[1]):
                found[i] = (j, phi)
    return found
