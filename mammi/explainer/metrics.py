"""How good an attribution is: against the truth's mask, by its own shape, by what deleting its pixels does.

``a`` is an (H, W) array, at least 0, of n pixels; ``s`` an (H, W) boolean mask. Definitions as in quantus. NaN where a
number is not defined: an empty mask, a map that is 0 everywhere.
"""
import numpy as np
from scipy.special import xlogy

NAN = float("nan")


def mass(a, s):
    """Relevance mass accuracy: sum of ``a`` inside ``s`` / sum of ``a``. In [0, 1]; of a flat map the mask's area."""
    a, s, known = _pair(a, s)
    return float(a[s].sum() / a.sum()) if known else NAN


def rank(a, s):
    """Relevance rank accuracy: share of the k highest pixels that lie in ``s``, k its size. In [0, 1]."""
    a, s, known = _pair(a, s)
    return float(s[order(a)[:s.sum()]].mean()) if known else NAN


def pointing(a, s):
    """Pointing game: 1 where the highest pixel lies in ``s``, else 0; of several highest the share of them."""
    a, s, known = _pair(a, s)
    return float(s[a == a.max()].mean()) if known else NAN


def entropy(a):
    """Complexity: - sum q ln q with q = a / sum a, in [0, ln n]; low where few pixels matter."""
    a = _flat(a)
    if not a.sum() > 0:
        return NAN
    q = a / a.sum()
    return float(max(0.0, -xlogy(q, q).sum()))


def gini(a):
    """Sparseness: sum_i (2 i - n - 1) a_(i) / (n sum a), a ascending, 1e-7 of its maximum added to each. 0 where all
    are equal, (n - 1) / n where one pixel has it all."""
    a = _flat(a)
    if not a.sum() > 0:
        return NAN
    a, n = np.sort(a / a.max()) + 1e-7, a.size
    return float(((2 * np.arange(1, n + 1) - n - 1) * a).sum() / (n * a.sum()))


def faithfulness(f, x, a, blocks=56, fill=0.0):
    """Pearson correlation of the attribution's sum over a block of pixels and the output's drop without that block.

    f       (K, C, H, W) array -> (K,) outputs
    x       (C, H, W) prepared image
    blocks  into how many, by descending attribution, the pixels are parted; the official code's 896 of 224 x 224 pixels
            are 56
    fill    what deleted pixels become

    NaN where either does not change from block to block.
    """
    parts = np.array_split(order(a), blocks) if blocks <= np.size(a) else [[i] for i in order(a)]
    drops = f(x[None])[0] - f(np.stack([deleted(x, part, fill) for part in parts]))
    sums = np.array([_flat(a)[part].sum() for part in parts])
    if sums.std() < 1e-12 or drops.std() < 1e-12:
        return NAN
    return float(np.corrcoef(sums, drops)[0, 1])


def drop(f, x, a, share, fill=0.0):
    """How much of the output goes when the highest ``share`` of pixels is deleted, as a part of what goes with all of
    them: (f(x) - f(x without them)) / (f(x) - f(nothing)), at most 1 and at least -1, so that no small difference
    below the line decides a mean. NaN where the empty image has no lower output.
    """
    top = order(a)[:max(1, round(share * np.size(a)))]
    whole, without, nothing = f(np.stack([x, deleted(x, top, fill), np.full_like(x, fill)]))
    return float(np.clip((whole - without) / (whole - nothing), -1, 1)) if whole - nothing > 1e-6 else NAN


def deleted(x, pixels, fill):
    """(C, H, W) with ``fill`` at the flat positions ``pixels``, in all channels."""
    out = x.reshape(len(x), -1).copy()
    out[:, pixels] = fill
    return out.reshape(x.shape)


def order(a):
    """Flat positions, highest attribution first, ties by position."""
    return np.argsort(-_flat(a), kind="stable")


def _flat(a):
    return np.asarray(a, np.float64).ravel()


def _pair(a, s):
    """(flat map, flat mask, whether both hold anything)."""
    a, s = _flat(a), np.asarray(s, bool).ravel()
    return a, s, bool(s.any() and a.sum() > 0)
