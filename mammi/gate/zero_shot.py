"""Whether words rank images: zero-shot AUROC of label names, retrieval of an image's own sentence, each against chance.

n images, one of each patient, so that under chance any order of them is as likely; L labels, R permutations.
"""
import numpy as np

from mammi.evaluation.ranking import ENOUGH, auroc
from mammi.types import Check

NAMES = 5         # labels from which the order of their names is tested: 5! orders give p-values below .01
NAMES_P = .05     # of that second test
QUANTILE = .99    # of the null that is reported


def labels(scores, truth, names, permutations, p, least, rng):
    """:class:`Check`: label names rank the images that have the label above those without it.

    scores        (n, L) of each image and each label's name
    truth         (n, L) of 1, 0 and NaN; labels with fewer than 10 of either are not judged
    permutations  R; each gives the images' rows of labels to other patients, all labels at once
    p             largest p-value of the mean AUROC against those
    least         least mean AUROC: with many images a network that knows no word differs from chance, too

    A random network may rank images by what goes with most labels, brightness say. So, from 5 labels on, the names are
    given to other labels as well, and the right ones must be among the best 5 % of such orders.
    """
    judged = [k for k, column in enumerate(truth.T) if min((column == 1).sum(), (column == 0).sum()) >= ENOUGH]
    if not judged:
        return Check("zero-shot", "unknown", f"no label has {ENOUGH} images with it and {ENOUGH} without it among "
                                             f"{len(truth)} images of as many patients")
    scores, truth = scores[:, judged], truth[:, judged]
    rows = permuted(scores, truth, orders(len(truth), permutations, rng))
    mean, null = float(rows[0].mean()), rows[1:].mean(1)
    found = {"auroc": mean, "p": p_value(mean, null), "null": float(np.quantile(null, QUANTILE)),
             "images": len(truth), "labels": len(judged)}
    says = (f"label names rank images with a mean AUROC of {mean:.3f} ({len(judged)} labels, an image of each of "
            f"{len(truth)} patients; permuted patients give {found['null']:.3f} or less in {QUANTILE:.0%}, "
            f"p = {found['p']:.2g}")
    good = found["p"] <= p and mean >= least
    if len(judged) >= NAMES:
        found["names_p"] = of_names(scores, truth, permutations, rng)
        says += f"; permuted names p = {found['names_p']:.2g}"
        good = good and found["names_p"] <= NAMES_P
    if not good:
        says += f"; needed: {least:g}, p at most {p:g}" + f", of names {NAMES_P:g}" * (len(judged) >= NAMES)
    worst = int(np.argmin(rows[0]))
    says += f"); lowest: {names[judged[worst]]} {rows[0, worst]:.3f}"
    return Check("zero-shot", "pass" if good else "fail", says, True, found)


def permuted(scores, truth, orders):
    """(R, L) AUROC of each label where image i has the labels of image ``orders[r, i]``.

    In all pairs at once: with w_ij = 1 where i scores above j and 1/2 where it ties, AUROC = y' w (1 - y) / pairs.
    """
    out = np.empty((len(orders), scores.shape[1]))
    for k, (score, column) in enumerate(zip(scores.T, truth.T)):
        wins = ((score[:, None] > score) + .5 * (score[:, None] == score)).astype(np.float32)
        yes, no = ((column == value).astype(np.float32)[orders] for value in (1, 0))
        out[:, k] = ((yes @ wins) * no).sum(1, dtype=np.float64) / (float(yes[0].sum()) * float(no[0].sum()))
    return out


def orders(n, permutations, rng):
    """(permutations + 1, n) orders of n images; the first is their own."""
    return np.stack([np.arange(n), *(rng.permutation(n) for _ in range(permutations))])


def of_names(scores, truth, permutations, rng):
    """p-value of the labels' mean AUROC among those with the names given to other labels."""
    table = np.array([[auroc(score[known], column[known] == 1) for score in scores.T]
                      for column in truth.T for known in [~np.isnan(column)]])
    means = table[np.arange(len(table)), orders(len(table), permutations, rng)].mean(1)
    return p_value(means[0], means[1:])


def sentences(scores, texts, permutations, p, decisive, rng):
    """:class:`Check`: an image prefers its own sentence to those of other patients, sentences of the same words apart.

    scores    (n, n) of each image and the sentence of each image
    texts     n sentences
    decisive  whether it decides; where labels do, this is a warning
    """
    n = len(texts)
    if n < 2 * ENOUGH or len(set(texts)) < 2:
        return Check("retrieval", "unknown", f"{n} images have a sentence, {2 * ENOUGH} are needed")
    beats = shares(scores, np.unique(texts, return_inverse=True)[1])
    means = beats[np.arange(n), orders(n, permutations, rng)].mean(1)
    found = {"auroc": float(means[0]), "p": p_value(means[0], means[1:]), "images": n,
             "null": float(np.quantile(means[1:], QUANTILE))}
    says = (f"an image's own sentence beats {found['auroc']:.1%} of those of {n} patients (permuted: "
            f"{found['null']:.1%} or less in {QUANTILE:.0%}, p = {found['p']:.2g})")
    return Check("retrieval", "pass" if found["p"] <= p else "fail", says, decisive, found)


def shares(scores, groups):
    """(n, n) share of the sentences of other words that sentence j beats at image i; a tie counts half."""
    from scipy.stats import rankdata

    same = np.bincount(groups)[groups]  # a sentence ties with each of its own words, itself too
    others = np.maximum(len(groups) - same, 1)
    return (rankdata(scores, axis=1) - .5 - .5 * same) / others


def p_value(value, null):
    """(1 + how many of ``null`` reach ``value``) / (1 + R)."""
    return float((1 + (np.asarray(null) >= value - 1e-12).sum()) / (1 + len(null)))
