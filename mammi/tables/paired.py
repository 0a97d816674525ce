"""Tests between two rows on the same neurons. Fourteen neurons decide little: each p is shown beside its interval."""
import numpy as np

RESAMPLES = 2**14  # all sign flips of 14 neurons; more neurons take as many at random


def mcnemar(a, b):
    """Exact two-sided McNemar test of two (N,) bool: (hit by a alone, by b alone, p). p is 1 where they agree."""
    from scipy.stats import binomtest

    a, b = np.asarray(a, bool), np.asarray(b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    return only_a, only_b, float(p)


def sign_flip(differences, seed):
    """Two-sided permutation test that the mean of paired ``differences`` (N,) is 0: flips of their signs. p in (0, 1].

    Exact up to 14 neurons, else over :data:`RESAMPLES` random flips of a generator that starts at ``seed``.
    """
    from scipy.stats import permutation_test

    differences = np.asarray(differences, np.float64)
    if len(differences) < 2:
        return 1.0  # one neuron: both signs are as likely
    found = permutation_test((differences, np.zeros_like(differences)), _mean_difference, permutation_type="samples",
                             vectorized=True, n_resamples=RESAMPLES, random_state=np.random.default_rng(seed))
    return float(found.pvalue)


def holm(ps):
    """Holm's correction of p-values, in their order: (n - i) p of the i-th smallest, never falling, at most 1."""
    ps = np.asarray(ps, np.float64)
    order = np.argsort(ps, kind="stable")
    adjusted = np.minimum(np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)), 1)
    return adjusted[np.argsort(order, kind="stable")].tolist()


def _mean_difference(a, b, axis):
    return np.mean(a - b, axis=axis)
