"""How well scores rank images with a label above images without it, with intervals over patients."""
import numpy as np

from mammi.errors import BadInput
from mammi.progress import track

ENOUGH = 10  # positives, and negatives, from which a label is judged
RESAMPLES = 2000
BLOCK = 50  # resamples at a time


def compare(scores, truth, labels, patients, seed, controls=("twin",), resamples=RESAMPLES, option="probing_set"):
    """(DataFrame with a row per label, facts): AUROC of each scorer, with 95 % intervals by resampling patients.

    scores    {"target": (P, L), ... (P, L)}; truth (P, L) of 1, 0, NaN for unknown
    controls  names in ``scores``: ``target_less_<control>`` is the target's AUROC less the control's, on the same
              resamples
    option    the setting that names these images, for the error

    ``facts`` has the means over the judged labels, and for each control ``target_beats_<control>``: ``succeeded`` where
    the interval of the mean difference lies above 0, else ``failed``. Raises :class:`BadInput` where no label has 10
    positives and 10 negatives.
    """
    import pandas as pd

    weights = patient_weights(patients, resamples, seed)
    points, samples, rows = [], [], []
    for k, label in track(enumerate(labels), f"resampling {len(weights)} times"):
        known = ~np.isnan(truth[:, k])
        positive = truth[known, k] == 1
        row = {"label": label, "images": int(known.sum()), "positives": int(positive.sum())}
        if min(positive.sum(), (~positive).sum()) >= ENOUGH:
            points.append({name: auroc(values[known, k], positive) for name, values in scores.items()})
            samples.append({name: auroc(values[known, k], positive, weights[:, known])
                            for name, values in scores.items()})
            row |= _with_intervals(points[-1], samples[-1], controls)
        rows.append(row)
    if not points:
        raise BadInput(f"no label has {ENOUGH} positives and {ENOUGH} negatives among {len(truth)} images: nothing can "
                       f"be judged; give more images to {option}")
    facts = {"labels_judged": len(points)} | _with_intervals(
        {name: np.mean([p[name] for p in points]) for name in scores},
        {name: np.mean([s[name] for s in samples], axis=0) for name in scores}, controls)
    for name in controls:
        facts[f"target_beats_{name}"] = "succeeded" if facts[f"target_less_{name}_low"] > 0 else "failed"
    return pd.DataFrame(rows), facts


def _with_intervals(point, sample, controls):
    """{name, name_low, name_high} of each AUROC and of each difference to a control."""
    values = {f"auroc_{name}": (point[name], sample[name]) for name in point}
    values |= {f"target_less_{name}": (point["target"] - point[name], sample["target"] - sample[name])
               for name in controls}
    out = {}
    for name, (value, resampled) in values.items():
        resampled = resampled[~np.isnan(resampled)]
        low, high = np.percentile(resampled, [2.5, 97.5]) if len(resampled) else (np.nan, np.nan)
        out |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return out


def auroc(scores, truth, weights=None):
    """Area under the ROC curve; a tie counts half.

    scores, truth  (P,), ``truth`` boolean
    weights        (R, P) how often each image counts, one row per resample; None: once
    Returns a float, with ``weights`` (R,) floats, NaN where a resample lacks positives or negatives.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(np.asarray(scores)[order]) != 0])  # of runs of equal scores
    rows = np.ones((1, len(order))) if weights is None else np.asarray(weights)
    out = []
    yes = np.asarray(truth)[order]
    for at in range(0, len(rows), BLOCK):
        block = rows[at:at + BLOCK][:, order].astype(float)
        positive = np.add.reduceat(block * yes, starts, axis=1)
        negative = np.add.reduceat(block, starts, axis=1) - positive  # whole numbers: exact
        wins = (positive * (negative.cumsum(1) - negative / 2)).sum(1)
        pairs = positive.sum(1) * negative.sum(1)
        out.append(np.divide(wins, pairs, out=np.full(len(wins), np.nan), where=pairs > 0))
    out = np.concatenate(out)
    return float(out[0]) if weights is None else out


def patient_weights(patients, resamples, seed):
    """(R, P) integers: how often each image counts when as many patients as there are, are drawn with replacement."""
    _, index = np.unique(np.asarray(patients), return_inverse=True)
    n = index.max() + 1
    draws = np.random.default_rng(seed).integers(n, size=(resamples, n))
    counts = np.stack([np.bincount(draw, minlength=n) for draw in draws])
    return counts.astype(np.min_scalar_type(counts.max()))[:, index]  # R x P of them: 8 bits do where patients are many


def best_threshold(scores, positive):
    """The score from which on to say "present" so that F1 is highest; of several such scores the smallest.

    scores, positive  (P,), ``positive`` boolean; candidates are the scores themselves
    Returns a float, NaN without positives: then F1 is 0 everywhere.
    """
    if not positive.any():
        return float("nan")
    values, place = np.unique(scores, return_inverse=True)
    said, right = (np.bincount(place, weights)[::-1].cumsum()[::-1] for weights in (None, positive))
    return float(values[np.argmax(2 * right / (said + positive.sum()))])


def at_threshold(scores, positive, threshold):
    """{"sensitivity", "specificity", "f1"} of saying "present" where ``scores >= threshold``; NaN where undefined."""
    said = scores >= threshold
    hits, right_absent = (said & positive).sum(), (~said & ~positive).sum()
    parts = {"sensitivity": (hits, positive.sum()), "specificity": (right_absent, (~positive).sum()),
             "f1": (2 * hits, said.sum() + positive.sum())}
    known = not np.isnan(threshold)
    return {name: float(a / b) if known and b else float("nan") for name, (a, b) in parts.items()}
