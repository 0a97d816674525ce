"""Whether words rank images: zero-shot AUROC of label names, retrieval of an image's own sentence, each against chance.

n images, one of each patient, so that under chance any order of them is as likely; L labels, R permutations.
"""
from itertools import permutations as every_order

import numpy as np

from mammi.evaluation.ranking import ENOUGH, auroc
from mammi.types import Check

NAMES = 4         # labels from which their names are given to one another: the right one of 4! orders has p = .042
EXACT = 6         # labels whose names are tried in every order; of more in random ones
FOILS = 19        # other words that fewer labels need: the best of 20 has p = .05
NAMES_P = .05     # of that second test
QUANTILE = .99    # of the null that is reported


def labels(scores, truth, names, permutations, p, least, rng, foils=None):
    """:class:`Check`: label names rank the images that have the label above those without it.

    scores        (n, L) of each image and each label's name
    truth         (n, L) of 1, 0 and NaN; labels with fewer than 10 of either are not judged
    permutations  R; each gives the images' rows of labels to other patients, all labels at once
    p             largest p-value of the mean AUROC against those
    least         least mean AUROC: with many images a network that knows no word differs from chance, too
    foils         (n, F) of each image and each word that names no label, or None; only fewer than 4 labels need them

    A random network may rank images by what goes with most labels, brightness say. So the right names must be among the
    best 5 % of those in their places: the same names in every other order, or, of 1 to 3 labels, other words. A word
    that ranks images the wrong way round is a worse one, not a better. With fewer than 19 such words a ranking that is
    good enough is ``unknown``: it may be anything's.
    """
    judged = judgeable(truth)
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
    state = "pass" if found["p"] <= p and mean >= least else "fail"
    if len(judged) >= NAMES or foils is not None and foils.shape[1] >= FOILS:
        few = len(judged) < NAMES
        found["names_p"] = (of_foils(rows[0], foils, truth, permutations, rng) if few else
                            of_names(scores, truth, permutations, rng))
        says += f"; {f'{foils.shape[1]} other words' if few else 'permuted names'} p = {found['names_p']:.2g}"
        state = state if found["names_p"] <= NAMES_P else "fail"
    elif state == "pass":
        state, says = "unknown", f"{says}; whether other words would do as well is not known: {FOILS} are needed"
    if state == "fail":
        says += f"; needed: {least:g}, p at most {p:g}" + f", of names {NAMES_P:g}" * ("names_p" in found)
    worst = int(np.argmin(rows[0]))
    says += f"); lowest: {names[judged[worst]]} {rows[0, worst]:.3f}"
    return Check("zero-shot", state, says, True, found)


def judgeable(truth):
    """Positions of the labels of (n, L) that enough images have and enough have not."""
    return [k for k, column in enumerate(truth.T) if min((column == 1).sum(), (column == 0).sum()) >= ENOUGH]


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
    """p-value of the labels' mean AUROC among those with the names given to other labels: in every order of up to 6
    names, else in ``permutations`` random ones."""
    table, n = aurocs(scores, truth), truth.shape[1]
    some = np.array(list(every_order(range(n)))) if n <= EXACT else orders(n, permutations, rng)
    means = table[np.arange(n), some].mean(1)
    return p_value(means[0], means[1:])


def of_foils(own, foils, truth, permutations, rng):
    """p-value of the labels' mean AUROC among those of random words in the labels' places, no word twice.

    own    (L,) AUROC of the labels' own names
    foils  (n, F) scores; each is tried once for a single label
    """
    table, n = aurocs(foils, truth), len(own)
    some = np.arange(foils.shape[1])[:, None] if n == 1 else np.array(
        [rng.choice(foils.shape[1], n, replace=False) for _ in range(permutations)])
    return p_value(own.mean(), table[np.arange(n), some].mean(1))


def aurocs(scores, truth):
    """(L, C) of each label of (n, L) ``truth`` by each of (n, C) ``scores``."""
    return np.array([[auroc(score[known], column[known] == 1) for score in scores.T]
                     for column in truth.T for known in [~np.isnan(column)]])


def sentences(scores, texts, permutations, p, least, decisive, rng):
    """:class:`Check`: an image prefers its own sentence to those of other patients, sentences of the same words apart.

    scores    (n, n) of each image and the sentence of each image
    texts     n sentences
    p, least  largest p-value and least mean share, .5 under chance, as of :func:`labels`
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
    good = found["p"] <= p and found["auroc"] >= least
    says += "" if good else f"; needed: {least:.1%}, p at most {p:g}"
    return Check("retrieval", "pass" if good else "fail", says, decisive, found)


def shares(scores, groups):
    """(n, n) share of the sentences of other words that sentence j beats at image i; a tie counts half."""
    from scipy.stats import rankdata

    same = np.bincount(groups)[groups]  # a sentence ties with each of its own words, itself too
    others = np.maximum(len(groups) - same, 1)
    return (rankdata(scores, axis=1) - .5 - .5 * same) / others


def p_value(value, null):
    """(1 + how many of ``null`` reach ``value``) / (1 + R)."""
    return float((1 + (np.asarray(null) >= value - 1e-12).sum()) / (1 + len(null)))
