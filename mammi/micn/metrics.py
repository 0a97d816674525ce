"""Accuracy, macro F1 and AUROC of several seeds, with intervals that resample patients.

S seeds, P images, J classes, R resamples.
"""
import numpy as np

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


def summary(found):
    """{name: mean over the seeds, name_sd (ddof 1; None for one seed), name_low, name_high} of :func:`resampled`."""
    out = {}
    for name, (values, samples) in found.items():
        low, high = interval(samples.mean(0))
        out |= {name: float(values.mean()), f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
                f"{name}_low": low, f"{name}_high": high}
    return out


def difference(one, other):
    """The same of ``one`` less ``other``, on the same resamples."""
    out = {}
    for name, (values, samples) in one.items():
        low, high = interval(samples.mean(0) - other[name][1].mean(0))
        out |= {name: float(values.mean() - other[name][0].mean()), f"{name}_low": low, f"{name}_high": high}
    return out


def mean_interval(values, patients, seed, resamples=RESAMPLES):
    """(mean, low, high) of (P,) values, NaN left out, by resampling patients; NaN where there is none."""
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    if not known.any():
        return (float("nan"),) * 3
    weights = patient_weights(np.asarray(patients)[known], resamples, seed).astype(np.float64)
    return float(values[known].mean()), *interval(weights @ values[known] / weights.sum(1))


def interval(samples):
    """95 % percentile interval (low, high) of the samples that are numbers."""
    samples = samples[~np.isnan(samples)]
    return tuple(map(float, np.percentile(samples, [2.5, 97.5]))) if len(samples) else (float("nan"),) * 2
