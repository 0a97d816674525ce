"""CoSy's scores on labelled images (protocol F): how far a neuron's activations part a label's images from others.

P held-out images, N neurons, L labels. ``positive`` and ``control`` are (P, L) bool: a label's own images (D1), and
those that it is held against (D0).
"""
import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist

from mammi.errors import BadInput, near
from mammi.lemma import lemmas
from mammi.synonyms import load_synonyms

CONTROLS = ("all", "no_finding", "matched")


def columns_of_words(label_names):
    """{word in singular: column of ``label_names``}: the names themselves, and their rows of the synonym table.

    Of two labels that one word would name, the first counts; a label's own name is always its own.
    """
    folded = [lemmas(name) for name in label_names]
    columns = {name: column for column, name in reversed(list(enumerate(folded)))}
    for row in load_synonyms().values():
        words = {lemmas(word) for word in row}
        for column, name in enumerate(folded):
            if name in words:
                columns = dict.fromkeys(words, column) | columns
    return columns


def against(labels, control, rng):
    """(positive, control), both (P, L) bool, of ``labels`` (P, L): 1 present, 0 absent, NaN unknown.

    control  ``all``: whoever lacks the label; ``no_finding``: whoever lacks every label; ``matched``: see
             :func:`matched`, with the generator ``rng``
    An image whose label is unknown is on neither side.
    """
    positive, negative = labels == 1, labels == 0
    if control == "all":
        return positive, negative
    if control == "no_finding":
        return positive, negative & negative.all(1)[:, None]
    if control == "matched":
        return positive, np.stack([matched(labels, column, rng) for column in range(labels.shape[1])], 1)
    raise BadInput(f"evaluation.control={control}: {near(str(control), CONTROLS)}")


def matched(labels, column, rng):
    """(P,) bool: for each positive of ``column`` another negative, alike in the other labels as far as there are any.

    Pairs with the fewest differing labels are made first, so exact matches before all others; among negatives of one
    pattern ``rng`` draws. An unknown label is a value of its own. Positives for whom no negative is left stay unpaired.
    """
    others = np.nan_to_num(np.delete(labels, column, axis=1), nan=-1)
    patterns, kind = np.unique(others, axis=0, return_inverse=True)
    kind, mixed = kind.reshape(-1), rng.permutation(len(labels))
    mixed = mixed[labels[mixed, column] == 0]
    wanted = np.bincount(kind[labels[:, column] == 1], minlength=len(patterns))
    stock = [mixed[kind[mixed] == k] for k in range(len(patterns))]
    rows, columns = np.flatnonzero(wanted), np.flatnonzero([len(some) for some in stock])
    chosen = np.zeros(len(labels), bool)
    if not (len(rows) and len(columns)):
        return chosen
    differ = cdist(patterns[rows], patterns[columns], "hamming") if others.shape[1] else np.zeros((1, 1))
    for at in np.argsort(differ, axis=None, kind="stable"):
        row, near_by = rows[at // len(columns)], columns[at % len(columns)]
        taken, stock[near_by] = np.split(stock[near_by], [wanted[row]])
        wanted[row] -= len(taken)
        chosen[taken] = True
        if not wanted.any():
            break
    return chosen


def aucs(activations, positive, control):
    """(N, L) float64 in [0, 1]: P(a1 > a0) + P(a1 = a0) / 2 of every neuron and label; NaN where a side is empty.

    activations (P, N). A neuron is sorted once for all labels: O(N P (log P + L)).
    """
    out = np.full((activations.shape[1], positive.shape[1]), np.nan)
    pairs = positive.sum(0) * control.sum(0).astype(np.float64)
    for i in range(len(out)):
        a = np.asarray(activations[:, i])
        order = np.argsort(a, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(a[order]) != 0])  # of runs of equal activations
        ones, zeros = (np.add.reduceat(side[order], starts, axis=0, dtype=np.float64) for side in (positive, control))
        wins = (ones * (zeros.cumsum(0) - zeros / 2)).sum(0)
        np.divide(wins, pairs, out=out[i], where=pairs > 0)
    return out


def mad(a1, a0):
    """(mean ``a1`` - mean ``a0``) / standard deviation of ``a0`` (unbiased): by how many a label's images lie higher.

    Float; 0 where ``a0`` does not vary, which an exact oracle's does not, so read the AUC beside it.
    """
    a1, a0 = np.asarray(a1, np.float64), np.asarray(a0, np.float64)
    deviation = a0.std(ddof=1)
    return float((a1.mean() - a0.mean()) / deviation) if deviation > 0 else 0.0


def p_value(a1, a0):
    """Two-sided p of the Mann-Whitney test, corrected for ties; 1 where all activations are equal. Float in [0, 1].

    It takes images for independent, which several of one patient are not: an interval over patients is more careful.
    """
    a1, a0 = np.asarray(a1, np.float64), np.asarray(a0, np.float64)
    if np.ptp(np.concatenate([a1, a0])) == 0:
        return 1.0
    return float(stats.mannwhitneyu(a0, a1, alternative="two-sided").pvalue)


def adjusted(p):
    """Benjamini and Hochberg's p over as many tests as there are in ``p`` (n,); unknown ones (NaN) do not count."""
    p = np.asarray(p, np.float64)
    out, known = np.full(len(p), np.nan), ~np.isnan(p)
    if known.any():
        out[known] = stats.false_discovery_control(p[known])
    return out
