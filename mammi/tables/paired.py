"""Tests between two rows on the same neurons. Fourteen neurons decide little: each p is shown beside its interval."""
import numpy as np

FLIPS = 2**14  # all sign patterns of 14 neurons; more neurons take as many at random
CLOSE = 1e-9  # sums of equal fractions differ in their last bits (SciPy's test takes such for unequal near 0)


def mcnemar(a, b):
    """Exact two-sided McNemar test of two (N,) bool: (hit by a alone, by b alone, p). p is 1 where they agree."""
    from scipy.stats import binomtest

    a, b = np.asarray(a, bool), np.asarray(b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    return only_a, only_b, float(p)


def sign_flip(differences, seed):
    """Two-sided permutation test that the mean of paired ``differences`` (N,) is 0. p in (0, 1].

    The share of sign patterns whose sum is at least as far from 0: of all up to 14 neurons, else of :data:`FLIPS` at
    random, from a generator that starts at ``seed``, and the one seen.
    """
    differences = np.asarray(differences, np.float64)
    n, seen = len(differences), abs(differences.sum()) - CLOSE
    if 2**n <= FLIPS:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return float((abs(signs @ differences) >= seen).mean())
    signs = 1 - 2 * np.random.default_rng(seed).integers(2, size=(FLIPS, n))
    return float((1 + (abs(signs @ differences) >= seen).sum()) / (1 + FLIPS))


def holm(ps):
    """Holm's correction of p-values, in their order: (n - i) p of the i-th smallest, never falling, at most 1."""
    ps = np.asarray(ps, np.float64)
    order = np.argsort(ps, kind="stable")
    adjusted = np.minimum(np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)), 1)
    return adjusted[np.argsort(order, kind="stable")].tolist()
