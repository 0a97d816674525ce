"""From embedded captions to the words of a group of images (protocol D.3, D.5)."""
from collections import defaultdict

import numpy as np

from mammi.files import digest
from mammi.lemma import lemmas
from mammi.reports import STOP_WORDS, plain
from mammi.tagging import tag, versions

BLOCK = 8192   # captions per matrix product
ROWS = 1024    # images per matrix product
SCALE = 100    # of cosines in the softmax
RECIPE = 1     # raise when the words that come out change: it is part of the cache key
CLINICAL = frozenset(("left", "right", "small"))  # of the stop list for web captions, what a radiologist means
KINDS = ("NN", "VB", "JJ")  # Penn tags begin so: nouns, verbs, adjectives


def best_captions(images, captions, k, block=BLOCK):
    """((n, k) indices, (n, k) float64 scores in [0, 1]) of the captions nearest to each image, nearest first.

    images, captions  (n, D) and (C, D) of unit norm. The score is softmax(100 cos) over all C captions. Those nearest
                      are told by the cosine and the softmax is summed up block by block, so that no score depends on
                      how captions are cut into blocks. Ties by caption index; k at most C.
    """
    parts = [_nearest(images[start:start + ROWS], captions, k, block) for start in range(0, len(images), ROWS)]
    return tuple(np.concatenate(part) for part in zip(*parts))


def _nearest(images, captions, k, block):
    n = len(images)
    at, cosines, total = np.empty((n, 0), int), np.empty((n, 0)), np.full(n, -np.inf)
    for start in range(0, len(captions), block):
        here = (images @ captions[start:start + block].T).astype(np.float64)
        total = np.logaddexp(total, np.logaddexp.reduce(SCALE * here, axis=1))
        for _ in range(min(k, here.shape[1])):
            top = here.argmax(1)
            at, cosines = np.c_[at, start + top], np.c_[cosines, here[np.arange(n), top]]
            here[np.arange(n), top] = -np.inf
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        at, cosines = np.take_along_axis(at, order, 1), np.take_along_axis(cosines, order, 1)
    return at, np.exp(SCALE * cosines - total[:, None])


def read_captions(captions, cache):
    """[(words, noun phrases)] of each caption, each once, as they come; tagged once and kept in ``cache``.

    A caption is cleaned by :func:`mammi.reports.plain`. Words are nouns, verbs and adjectives, in the singular; not
    those of at most two letters, with a digit, or in spaCy's English stop list or that for web captions, of which
    "left", "right" and "small" stay. Phrases are rows of two or more such nouns and adjectives that end in a noun.
    """
    def read():
        from spacy.lang.en.stop_words import STOP_WORDS as ENGLISH

        web = STOP_WORDS - CLINICAL
        cleaned = [plain(caption, web) for caption in captions]
        tagged = tag(list(dict.fromkeys(cleaned)))
        return [_read(tagged[text], ENGLISH | web) for text in cleaned]

    return cache.json("captions", {"captions": digest(list(captions)), "tagger": versions(), "recipe": RECIPE}, read)


def _read(tokens, stop):
    """(words, phrases) of one tagged caption."""
    words, phrases, row = {}, {}, []
    for token, penn in (*tokens, ("", "")):
        word = lemmas(token)
        fits = len(word) > 2 and word.isalpha() and stop.isdisjoint((token, word)) and penn.startswith(KINDS)
        if fits:
            words[word] = None
        if fits and not penn.startswith("VB"):
            row.append((word, penn))
            continue
        while row and not row[-1][1].startswith("NN"):
            row.pop()
        if len(row) > 1:
            phrases[" ".join(word for word, _ in row)] = None
        row = []
    return list(words), list(phrases)


def image_scores(best, scores, said, kind):
    """{text: largest score of a caption that says it} of one image.

    best, scores  (k,) captions and their scores
    said          what :func:`read_captions` returned, of which ``kind`` 0 takes the words, 1 the phrases
    """
    found = {}
    for caption, score in zip(best, scores):
        for text in said[caption][kind]:
            found[text] = max(found.get(text, 0.0), float(score))
    return found


def group_scores(images):
    """{word: mean score over the ``images``, 0 where none of its captions says it}; {} without images."""
    sums = defaultdict(float)
    for image in images:
        for word, score in image.items():
            sums[word] += score
    return {word: total / len(images) for word, total in sums.items()}


def contrast(high, low, largest, k):
    """The ``k`` best (word, score) of ``high`` that score below ``largest`` in ``low``; ties by the alphabet."""
    left = [(word, score) for word, score in high.items() if low.get(word, 0.0) < largest]
    return sorted(left, key=lambda pair: (-pair[1], pair[0]))[:k]
