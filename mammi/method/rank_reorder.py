"""CLIP-Dissect's rank reordering; see :mod:`mammi.method.clip_dissect` for what goes in."""
import numpy as np

from mammi.errors import BadInput, number
from mammi.image_text import by_text, check_pair, each, highest, rows_of

SMALL = 1e-6      # least mean similarity to divide by
PERMUTATIONS = 5  # that the error is compared with


def rank_reorder(image_text_similarity, activations, top_fraction=0.05, p=3, scale_p=0.5, seed=0):
    """How little a neuron's highest activations q change when a concept's order of the images sorts them.

    -mean |q - q ordered by concept|^p / base / (mean similarity)^scale_p over the ``top_fraction`` highest images;
    base is the same mean for random permutations, drawn from ``seed`` (an int or a NumPy generator), the same ones for
    all neurons. A base of 0 (equal activations) counts as 1, a mean similarity below 1e-6 (cosines can be negative)
    as 1e-6: such a concept then competes by its order alone, and far below those that fit the images.
    """
    check_pair(image_text_similarity, activations)
    n = int(number("method.top_fraction", top_fraction, 0, 1) * len(activations))
    if n < 2:
        raise BadInput(f"method.similarity=rank_reorder: {top_fraction:.0%} of {len(activations)} images is no order; "
                       "the two highest at least are needed")
    top = highest(activations, n)
    images, where = rows_of(top, len(activations))
    q = np.take_along_axis(np.asarray(activations), top, axis=0).astype(np.float64).T  # (N, n), descending
    rng = np.random.default_rng(seed)
    base = np.mean([np.abs(q - q[:, rng.permutation(n)]) ** p for _ in range(PERMUTATIONS)], axis=(0, 2))
    base[base == 0] = 1

    def scores(block):
        out = np.empty((len(q), block.shape[1]), block.dtype)
        block = np.ascontiguousarray(block.T)
        for i, own in enumerate(where.T):
            similarity = block[:, own]
            order = np.argsort(similarity, axis=1, kind="stable")  # the s-th lowest image gets the s-th lowest of q
            error = np.mean(np.abs(q[i][order] - q[i, ::-1]) ** p, axis=1) / base[i]
            out[i] = -error / np.maximum(similarity.mean(1, dtype=np.float64), SMALL) ** scale_p
        return out

    return np.concatenate(each(image_text_similarity, by_text(image_text_similarity, images), scores), axis=1)
