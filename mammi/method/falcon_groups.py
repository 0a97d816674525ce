"""Which images a neuron is high for, and which look alike but leave it low (protocol D.1, D.4). P images, N neurons."""
import numpy as np

from mammi import matching
from mammi.selection import blocks

MODES = ("sigma", "absolute")
GROUPINGS = ("neuron", "exact_set")


def representations(activations, out):
    """(P, N) float64 rows of ``activations`` at unit norm, written into ``out``; a row of zeros stays one."""
    for some in blocks(len(activations), 8 * activations.shape[1]):
        rows = np.asarray(activations[some], dtype=np.float64)
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        out[some] = rows / np.where(norm > 0, norm, 1)
    return out


def high_threshold(r, mode, value):
    """T_high, one number for all neurons: mean(R) + value std(R) (``sigma``), or ``value`` itself (``absolute``)."""
    if mode == "absolute":
        return value
    mean = r.mean()
    return mean + value * np.sqrt(max(np.vdot(r, r) / r.size - mean**2, 0))


def groups(r, threshold, group_by, alive):
    """(P, N) bool: the images of each neuron's group, R >= ``threshold``.

    group_by  ``neuron``: whatever else is high there too; ``exact_set``: only images for which no other is
    alive     (N,) bool; a dead neuron has no group and counts for no set
    """
    high = (r >= threshold) & alive
    if group_by == "exact_set":
        high &= high.sum(1, keepdims=True) == 1
    return high


def highest(r, activations, images, neuron, k=None):
    """The ``k`` of ``images`` with the largest R, ties by raw activation, then by image index; all where k is None."""
    return images[np.lexsort((-np.asarray(activations)[images, neuron], -r[images, neuron]))][:k]


def low_images(r, group, k, least):
    """N arrays: up to ``k`` images on which the neuron is low although the others read as they do in its group.

    Low is R < T_low = mean(R). Alike is the product of the image's other entries with the mean of the group's, of at
    least ``least``; most alike first, ties by image index. Empty for a neuron without a group.
    """
    t_low, means, found = r.mean(), matching.mean_rows(r, np.arange(len(r)), group), []
    for some in blocks(r.shape[1], 8 * len(r)):
        own = r[:, some]
        alike = r @ means[some].T - own * np.diag(means)[some]  # less the neuron's own part: what the others say
        fits = (own < t_low) & (alike >= least) & group[:, some].any(0)
        for column, fit in zip(alike.T, fits.T):
            images = np.flatnonzero(fit)
            found.append(images[np.argsort(-column[images], kind="stable")][:k])
    return found
