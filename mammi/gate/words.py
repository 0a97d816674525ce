"""How a dissector takes words: hubs, the template, left and right, no. All of it warns, nothing of it decides.

Published models of good zero-shot AUROC have hubs, change with the template, and read "no effusion" nearly as
"effusion". Whoever reads the annotations must know; refusing such weights would refuse them all.

n images, C words.
"""
import numpy as np

from mammi.evaluation.ranking import ENOUGH, auroc
from mammi.types import Check

K = 10           # words of an image that are counted for hubs
HUB = .5         # share of images with one and the same first word, from which it is called a hub
AGREE = .5       # least rank correlation of words with and without the template
BLIND = .95      # cosine from which two texts that differ in "no" or "left" are called the same


def hubness(scores, words):
    """:class:`Check` of (n, C) scores: no word is the first of half the images.

    skew  third moment of how often a word is among an image's first 10, as in hubness research
    """
    if min(scores.shape) < 2:
        return Check("hubness", "unknown", f"{scores.shape[0]} images and {scores.shape[1]} words: too few")
    from scipy.stats import skew

    k = min(K, scores.shape[1] - 1)
    first = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    among, top = (np.bincount(some.ravel(), minlength=len(words)) for some in (first, first[:, :1]))
    share, word = float(top.max() / len(scores)), words[int(top.argmax())]
    lopsided = float(skew(among)) if among.std() else 0.
    return Check("hubness", "pass" if share < HUB else "fail",
                 f"{word!r} is the first word of {share:.0%} of {len(scores)} images (a hub from {HUB:.0%}); skew of "
                 f"how often a word is among the first {k}: {lopsided:.1f}",
                 numbers={"top_share": share, "skew": lopsided})


def template(with_it, without, text):
    """:class:`Check` of (n, C) scores of the same words inside the template and bare."""
    if not text or min(with_it.shape) < 2:
        return Check("template", "unknown", "there is no template" if not text else "too few images or words")
    from scipy.stats import rankdata

    a, b = (rankdata(scores, axis=1) for scores in (with_it, without))
    a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
    norm = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    rank = float(np.divide((a * b).sum(1), norm, out=np.zeros(len(a)), where=norm > 0).mean())
    top = float((with_it.argmax(1) == without.argmax(1)).mean())
    return Check("template", "pass" if rank >= AGREE else "fail",
                 f"words inside {text!r} and bare: rank correlation {rank:.2f} (needed {AGREE:g}), the same first word "
                 f"in {top:.0%} of images", numbers={"rank_correlation": rank, "top1": top})


def laterality(left, right, words):
    """:class:`Check`: "left X" and "right X" are not one text; ``left``, ``right`` (C, D), or (C, n) of scores."""
    same = float(cosines(left, right).mean())
    return Check("laterality", "pass" if same < BLIND else "fail",
                 f"\"left\" and \"right\" before {len(words)} words: cosine {same:.3f} (one text from {BLIND:g})",
                 numbers={"cosine": same})


def negation(plain, denied, words, scores=None, truth=None):
    """:class:`Check`: "no X" is another text than "X", and fits the images without X better.

    plain, denied  (C, D) vectors of the texts, or (C, n) of scores
    scores         (n, C) of "X" less "no X", with ``truth`` (n, C) as in :mod:`mammi.gate.zero_shot`; None: no labels
    """
    same = float(cosines(plain, denied).mean())
    numbers, says = {"cosine": same}, f"\"no\" before {len(words)} words: cosine {same:.3f} (one text from {BLIND:g})"
    found = []
    if truth is not None:
        for score, column in zip(scores.T, truth.T):
            known = ~np.isnan(column)
            if min((column == 1).sum(), (column == 0).sum()) >= ENOUGH:
                found.append(auroc(score[known], column[known] == 1))
    if found:
        numbers["auroc"] = float(np.mean(found))
        says += f"; \"X\" against \"no X\" ranks images with X by a mean AUROC of {numbers['auroc']:.3f}"
    good = same < BLIND and numbers.get("auroc", 1) > .5
    return Check("negation", "pass" if good else "fail", says, numbers=numbers)


def cosines(a, b):
    """(C,) cosines of the rows of two arrays; 0 where a row is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(1), norm, out=np.zeros(len(a)), where=norm > 0)
