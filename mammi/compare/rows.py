"""One number of a :class:`mammi.compare.layers.Held` as columns: its interval, and what chance gives."""
import numpy as np

from mammi.compare import statistics
from mammi.evaluation.metrics import wilson


def values(name, one, statistic, low, high, trials=0):
    """K dicts {name, name_low, name_high, name_chance, name_chance_high} of a statistic (..., C) -> (..., K).

    trials  of how many units the statistic counts a part, 0 at ``low`` and all at ``high``: at both ends no resample
            differs, and the interval is Wilson's. 0 for statistics that are no such part, as numbers of concepts
    """
    observed, samples = statistic(one.observed), statistic(one.samples)
    chance = None if one.chance is None else statistic(one.chance)
    high = np.broadcast_to(high, np.shape(observed))
    out = []
    for k, one_value in enumerate(observed):
        below, above = statistics.interval(one_value, samples[:, k], low, high[k])
        if trials and one_value in (low, high[k]):
            below, above = (high[k] * end for end in wilson(trials * (one_value == high[k]), trials))
        row = {name: one_value.item(), f"{name}_low": below, f"{name}_high": above}
        if chance is not None:
            own = chance[:, k][~np.isnan(chance[:, k])]
            row |= {f"{name}_chance": float(own.mean()) if len(own) else np.nan,
                    f"{name}_chance_high": float(np.percentile(own, 97.5)) if len(own) else np.nan}
        out.append(row)
    return out


def value(name, one, statistic, low=-np.inf, high=np.inf, trials=0):
    return values(name, one, lambda x: np.asarray(statistic(x))[..., None], low, high, trials)[0]


def difference(ours, theirs, member):
    """One group's row of :meth:`Comparison.delta`; ``member`` (C,) bool."""
    row = {}
    for name, count in (("units", lambda x: x[..., member].sum(-1, dtype=np.int64)),
                        ("concepts", lambda x: (x[..., member] > 0).sum(-1))):
        a, b = (int(count(one.observed)) for one in (theirs, ours))
        low, high = statistics.interval(b - a, count(ours.samples) - count(theirs.samples))
        row |= {f"{name}_reference": a, f"{name}_model": b, f"{name}_difference": b - a,
                f"{name}_difference_low": low, f"{name}_difference_high": high}
    for name, one, other in (("gained", ours, theirs), ("lost", theirs, ours)):
        new = member & (other.observed == 0)
        row[name] = int((one.observed[new] > 0).sum())
        if one.chance is not None:
            false = (one.chance[:, new] > 0).sum(1)
            row |= {f"{name}_chance": float(false.mean()), f"{name}_chance_high": float(np.percentile(false, 97.5))}
    return row
