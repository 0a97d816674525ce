"""How well every image fits every text, some at a time, and words from it.

P images, N neurons, C texts. An *image-text similarity* is a (P, C) array, or what is indexed ``[images, texts]`` like
one: :class:`Products` computes cosines there and then, and never holds all of them.
"""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mammi.errors import BadInput
from mammi.progress import track
from mammi.selection import blocks, checked
from mammi.types import Annotations

MOST_THREADS = 4  # each holds a few blocks of mammi.selection.BLOCK bytes


class Products:
    """Cosines of ``images`` (P, D) and ``texts`` (C, D), both of unit norm, computed where they are looked at."""

    def __init__(self, images, texts):
        self.images, self.texts = images, texts
        self.shape, self.dtype = (len(images), len(texts)), images.dtype

    def __getitem__(self, at):
        images, texts = at
        return self.images[images] @ self.texts[texts].T


def ready(similarity, most=2**28):
    """``similarity`` as one array where that takes at most ``most`` bytes, else as it is: who reads it again and again
    need not compute every cosine each time."""
    p, n = similarity.shape
    return np.asarray(similarity[:, :]) if p * n * np.dtype(similarity.dtype).itemsize <= most else similarity


def prompts(words, template):
    """The texts of ``words``: template + one space + word, or the bare words where ``template`` is empty."""
    if not isinstance(template, str):
        raise BadInput(f"method.template={template}: expected a text, or null for the probing set's")
    if template != template.strip():
        raise BadInput(f"method.template={template!r} has spaces at an end; the space before the concept is added")
    return [f"{template} {word}" if template else word for word in words]


def spoken(label):
    """A label as one says it: ``Pleural_Thickening`` is ``pleural thickening``."""
    return label.replace("_", " ").lower()


def check_pair(similarity, activations):
    """Raise :class:`BadInput` unless (P, C) ``similarity`` and (P, N) ``activations`` are of the same images."""
    for name, shape in (("image_text_similarity", similarity.shape), ("activations", np.shape(activations))):
        if len(shape) != 2 or not all(shape):
            raise BadInput(f"{name} has shape {shape}; expected two dimensions, at least one of each")
    if similarity.shape[0] != len(activations):
        raise BadInput(f"{similarity.shape[0]} images in image_text_similarity, {len(activations)} in activations: "
                       "give the same images twice")


def by_text(similarity, images=slice(None)):
    """Parts of a similarity for :func:`each`: all of ``images`` (positions or a slice), some texts at a time."""
    rows = len(np.arange(similarity.shape[0])[images])
    return [(images, texts) for texts in blocks(similarity.shape[1], 8 * rows)]


def by_image(similarity, images=slice(None)):
    """The same with some images and all texts at a time."""
    images = np.arange(similarity.shape[0])[images]
    return [(images[some], slice(None)) for some in blocks(len(images), 8 * similarity.shape[1])]


def each(similarity, parts, work):
    """[``work`` of each part's scores], the parts on several threads, matrix products then on one thread each.

    parts  (images, texts) pairs, what ``similarity`` is indexed with
    work   function of a block of scores, float32 or float64; it may be a view of ``similarity`` and not be written to
    Raises :class:`BadInput` where scores are not finite.
    """
    def of(part):
        block = np.asarray(similarity[part])
        if block.dtype != np.float64:
            block = block.astype(np.float32, copy=False)
        if not np.isfinite(block).all():
            raise BadInput("image_text_similarity is not finite; check the dissector's weights")
        return work(block)

    from threadpoolctl import threadpool_limits

    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count()), "similarity")
    try:
        with threadpool_limits(1, "blas"):  # threads of threads would wait for each other
            return [done for _, done in zip(track(parts, "image-text similarity"), pool.map(of, parts))]
    finally:
        pool.shutdown(cancel_futures=True)


def highest(activations, k):
    """(k, N) positions of the k highest rows of each column of (P, N), best first, ties by position."""
    p, n = np.shape(activations)
    out = np.empty((k, n), np.intp)
    for columns in blocks(n, 8 * p):
        block = np.ascontiguousarray(checked(activations[:, columns], columns.start).T)
        last = np.partition(block, p - k)[:, p - k]  # the k-th highest value
        for i, row in enumerate(block):
            some = np.flatnonzero(row >= last[i])
            out[:, columns.start + i] = some[np.argsort(-row[some], kind="stable")[:k]]
    return out


def rows_of(top, p):
    """(what to read, ``top`` in positions of it): the images in ``top``, or all ``p`` where picking would not pay."""
    images, where = np.unique(top, return_inverse=True)
    return (slice(None), top) if 2 * len(images) > p else (images, where.reshape(top.shape))


def centred(x):
    """Columns of ``x`` less their means; a constant column is exactly 0."""
    return np.where(x.max(0) == x.min(0), 0, x - x.mean(0, dtype=np.float64).astype(x.dtype))


def column_cosines(similarity, activations, prepare, least=1e-30):
    """(N, C) cosine over images of each neuron's and each text's column, both after ``prepare``; in [-1, 1].

    prepare  (P, b) -> (P, b), column by column
    least    floor of a column's norm: where ``prepare`` leaves nothing of a column, its cosines are 0
    """
    check_pair(similarity, activations)

    def unit(x):
        x = prepare(x)
        return x / np.maximum(np.linalg.norm(x, axis=0), least)

    p, n = np.shape(activations)
    a = np.empty((n, p), np.float64 if similarity.dtype == np.float64 else np.float32)
    for some in blocks(n, 8 * p):
        a[some] = unit(checked(activations[:, some], some.start)).T
    return np.concatenate(each(similarity, by_text(similarity), lambda block: a @ unit(block)), axis=1)


def living(activations):
    """((N,) bool: which neurons are not dead, that is constant over the images; (P, M) activations of those)."""
    alive = np.max(activations, axis=0) > np.min(activations, axis=0)
    if not alive.any():
        raise BadInput(f"every neuron is constant over {len(activations)} images. Check the target's weights and the "
                       "pixel range of its transform")
    return alive, activations if alive.all() else activations[:, alive]


def best_words(scores, evidence, alive, n=1, selected=None):
    """:class:`Annotations` with the ``n`` best words of each neuron of ``alive``, ties by concept index.

    scores  (M, C), a row for each of the M living neurons; the dead have no word, and zeros in ``dense``
    """
    words, names = evidence.concepts.words, evidence.neurons
    dense = np.zeros((len(names), len(words)), scores.dtype)
    dense[alive] = scores
    best = highest(dense.T, min(n, len(words))).T
    best = [row if lives else row[:0] for row, lives in zip(best, alive)]
    return Annotations(
        neurons=names,
        concepts=[[words[j] for j in row] for row in best],
        scores=[[float(dense[i, j]) for j in row] for i, row in enumerate(best)],
        status=["ok" if lives else "dead" for lives in alive],
        selected=selected, dense=dense, vocabulary=tuple(words))
