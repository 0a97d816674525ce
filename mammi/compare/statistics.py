"""Numbers out of how many units stand for each concept. C concepts, K groups of them; ``x`` (..., C) unit counts."""
import numpy as np


def groups(names):
    """(K names in first-seen order without "", (C, K) bool which concepts are in which) of C group names."""
    kinds = [name for name in dict.fromkeys(names) if name]
    return kinds, np.asarray(names)[:, None] == np.asarray(kinds, dtype=object)[None, :]


def units(x, member):
    """(..., K) units whose concept is in each group."""
    return _summed(x, member)


def concepts(x, member):
    """(..., K) different concepts of each group that some unit stands for."""
    return _summed(x > 0, member)


def _summed(x, member):
    """Whole numbers below 2^24 are exact in float32, whose products take a tenth of the time."""
    return np.rint(x.astype(np.float32) @ member.astype(np.float32)).astype(np.int64)


def entropy(x, member):
    """(...) entropy in nats of how units spread over groups: 0 where all are in one, NaN where there are none."""
    n = units(x, member).astype(float)
    total = n.sum(-1, keepdims=True)
    p = np.divide(n, total, out=np.full(n.shape, np.nan), where=total > 0)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return -(p * logs).sum(-1) + 0.  # no negative zero


def share(x, some):
    """(...) share of the units whose concept is in ``some`` (C,) bool; NaN where there are no units."""
    part, whole = x[..., some].sum(-1), x.sum(-1)
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def interval(value, samples, low=-np.inf, high=np.inf):
    """(low, high) 95 % interval: the spread of ``samples`` (R,) around their own mean, laid around ``value``.

    Drawing units with replacement loses a part of the concepts that few units stand for, so resampled numbers of
    concepts (and entropies) lie below the observed one; their spread is used and not their place. Cut to what is
    possible, [``low``, ``high``]; NaN without a value.
    """
    samples = samples[~np.isnan(samples)] if np.issubdtype(samples.dtype, np.floating) else samples
    if not len(samples) or np.isnan(value):
        return np.nan, np.nan
    below, above = np.percentile(samples - samples.mean(), [2.5, 97.5])
    return (float(np.clip(value + below, low, high)), float(np.clip(value + above, low, high)))
