"""How well every image fits every text, a block of texts at a time, and words from it.

P images, N neurons, C texts. An *image-text similarity* is a (P, C) array, or anything with its ``shape`` that is
indexed ``[images, texts]`` as one: :class:`Products` computes the cosines there and then, and never all of them.
"""
import numpy as np

from mammi.errors import BadInput
from mammi.progress import track
from mammi.selection import blocks, checked
from mammi.types import Annotations


class Products:
    """Cosines of ``images`` (P, D) and ``texts`` (C, D), both of unit norm, computed where they are looked at."""

    def __init__(self, images, texts):
        self.images, self.texts, self.shape = images, texts, (len(images), len(texts))

    def __getitem__(self, at):
        images, texts = at
        return self.images[images] @ self.texts[texts].T


def prompts(words, template):
    """The texts of ``words``: template + one space + word, or the bare words where ``template`` is empty."""
    if template != template.strip():
        raise BadInput(f"method.template={template!r} has spaces at an end; the space before the concept is added")
    return [f"{template} {word}" if template else word for word in words]


def check_pair(similarity, activations):
    """Raise :class:`BadInput` unless (P, C) ``similarity`` and (P, N) ``activations`` are of the same images."""
    for name, shape in (("image_text_similarity", similarity.shape), ("activations", np.shape(activations))):
        if len(shape) != 2 or not all(shape):
            raise BadInput(f"{name} has shape {shape}; expected two dimensions, at least one of each")
    if similarity.shape[0] != len(activations):
        raise BadInput(f"{similarity.shape[0]} images in image_text_similarity, {len(activations)} in activations: "
                       "give the same images twice")


def text_blocks(similarity, images=slice(None)):
    """Stream (slice of texts, its (len(images), b) scores, float32 or float64); ``images`` index the rows.

    Scores that are not finite raise :class:`BadInput`. A block may be a view of ``similarity``: do not write to it.
    """
    p, c = similarity.shape
    rows = p if isinstance(images, slice) else len(images)
    for texts in track(blocks(c, 4 * rows), "image-text similarity"):
        block = np.asarray(similarity[images, texts])
        if block.dtype != np.float64:
            block = block.astype(np.float32, copy=False)
        if not np.isfinite(block).all():
            raise BadInput(f"image_text_similarity of texts {texts.start} to {texts.stop - 1} is not finite; "
                           "check the dissector's weights")
        yield texts, block


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
    a, out = None, None
    for texts, block in text_blocks(similarity):
        if a is None:  # the precision is the similarity's
            a, out = np.empty((n, p), block.dtype), np.empty((n, similarity.shape[1]), block.dtype)
            for some in blocks(n, 8 * p):
                a[some] = unit(checked(activations[:, some], some.start)).T
        np.matmul(a, unit(block), out=out[:, texts])
    return out


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
    best = [row if living else row[:0] for row, living in zip(best, alive)]
    return Annotations(
        neurons=names,
        concepts=[[words[j] for j in row] for row in best],
        scores=[[float(dense[i, j]) for j in row] for i, row in enumerate(best)],
        status=["ok" if living else "dead" for living in alive],
        selected=selected, dense=dense, vocabulary=tuple(words))
