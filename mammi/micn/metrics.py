"""Accuracy, macro F1 and AUROC of several seeds, with intervals that resample patients and seeds.

S seeds, P images, J classes, R resamples.
"""
import numpy as np

from mammi.evaluation.metrics import wilson
from mammi.evaluation.ranking import auroc, patient_weights

RESAMPLES = 1000
NAMES = ("accuracy", "macro_f1", "auroc")


def exact_match(probabilities, y):
    """Share of images for which, of outputs (P, J) that each stand for themselves, just the true class exceeds .5.

    The published accuracy: an image with no active output, or with two, counts as wrong whatever is the highest.
    """
    truth = np.arange(probabilities.shape[1]) == np.asarray(y)[:, None]
    return float(((probabilities > .5) == truth).all(1).mean())


def resampled(scores, y, patients, seed, resamples=RESAMPLES):
    """{name: (values (S,), samples (S, R))} of ``scores`` (S, P, J), the highest of which is said; y (P,).

    macro_f1  mean over the classes; a class that is neither there nor said counts 0
    auroc     of two classes that of the second, else the mean over the classes that can be judged, one against the rest
    """
    weights = patient_weights(patients, resamples, seed)
    every = np.ones((1, len(y)))
    out = {name: ([], []) for name in NAMES}
    for one in scores:
        for at, rows in enumerate((every, weights)):
            for name, values in zip(NAMES, _all(one, y, rows)):
                out[name][at].append(values)
    return {name: (np.concatenate(values), np.stack(samples)) for name, (values, samples) in out.items()}


def _all(scores, y, weights):
    """Three (R,) arrays of one seed."""
    said, classes = scores.argmax(1), range(scores.shape[1])
    weights = weights.astype(np.float64)
    accuracy = weights @ (said == y) / weights.sum(1)
    f1 = []
    for j in classes:
        hits, both = weights @ ((said == j) & (y == j)), weights @ ((said == j) * 1.0 + (y == j))
        f1.append(np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0))
    which = [1] if len(classes) == 2 else classes
    columns = [scores[:, 1] - scores[:, 0]] if len(classes) == 2 else scores.T
    areas = np.stack([auroc(column, y == j, weights) for column, j in zip(columns, which)])
    judged = ~np.isnan(areas)
    area = np.where(judged.any(0), np.nansum(areas, 0) / np.maximum(judged.sum(0), 1), np.nan)
    return accuracy, np.mean(f1, axis=0), area


def over_seeds(samples, rng):
    """(R,) means of ``samples`` (S, R) over S seeds that each resample draws anew, with replacement."""
    return np.take_along_axis(samples, rng.integers(len(samples), size=samples.shape), 0).mean(0)


def summary(found, rng, patients=None):
    """{name: mean over the seeds, name_sd (ddof 1; None for one seed), name_low, name_high} of :func:`resampled`.

    patients  how many there are: then an accuracy of 0 or 1 has Wilson's interval, see :func:`interval`
    """
    out = {}
    for name, (values, samples) in found.items():
        low, high = interval(over_seeds(samples, rng), patients if name == "accuracy" else None)
        out |= {name: float(values.mean()), f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
                f"{name}_low": low, f"{name}_high": high}
    return out


def difference(one, other, rng):
    """The same of ``one`` less ``other``, on the same resamples of patients; each draws seeds of its own."""
    out = {}
    for name, (values, samples) in one.items():
        low, high = interval(over_seeds(samples, rng) - over_seeds(other[name][1], rng))
        out |= {name: float(values.mean() - other[name][0].mean()), f"{name}_low": low, f"{name}_high": high}
    return out


def mean_interval(values, patients, seed, resamples=RESAMPLES, rate=True):
    """(mean, low, high) of (P,) values, or of a row a seed (S, P): the mean over the seeds of their means.

    NaN is left out, and a seed that has nothing else; NaN where there is none. Patients are resampled, and seeds.
    rate  the values are shares, so that their mean is one: of 0 or 1 it has Wilson's interval, see :func:`interval`
    """
    values = np.atleast_2d(np.asarray(values, np.float64))
    values = values[~np.isnan(values).all(1)]
    if not values.size:
        return (float("nan"),) * 3
    seen = ~np.isnan(values).all(0)
    patients, values = np.asarray(patients)[seen], values[:, seen]
    weights = patient_weights(patients, resamples, seed).astype(np.float64)
    known = ~np.isnan(values)
    total = known.astype(np.float64) @ weights.T
    samples = np.divide(np.nan_to_num(values) @ weights.T, total, out=np.full(total.shape, np.nan), where=total > 0)
    low, high = interval(over_seeds(samples, np.random.default_rng(seed)), len(set(patients)) if rate else None)
    return float(np.nanmean(values, 1).mean()), low, high


def interval(samples, n=None):
    """95 % interval (low, high) of the samples that are numbers: their percentiles.

    n  the samples are rates over so many patients. Where all are 0, or all are 1, resampling shows no width; then it
       is Wilson's interval of none, or all, of n.
    """
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return (float("nan"),) * 2
    if n and samples.min() == samples.max() and samples[0] in (0, 1):
        return wilson(int(samples[0] * n), n)
    return tuple(map(float, np.percentile(samples, [2.5, 97.5])))
