"""Pointwise mutual information of neurons and concepts, as in CLIP-Dissect: :func:`soft_wpmi` and :func:`wpmi`.

See :mod:`mammi.method.clip_dissect` for what goes in. The softmax over all concepts needs one number per image, so
one pass over images and one over concepts do, and no matrix of images x concepts is made.
"""
import numpy as np

from mammi.errors import BadInput, number
from mammi.image_text import by_image, by_text, check_pair, each, highest, rows_of

EPS = 1e-7  # keeps logarithms finite


def soft_wpmi(image_text_similarity, activations, top_k=100, a=10, lam=1, p_start=0.998, p_end=0.97):
    """Soft weighted pointwise mutual information: sum_r log(1 + w_r (G_rj - 1)) - lam * marginal_j.

    G is the softmax over concepts of ``a`` times the similarity; r runs over a neuron's ``top_k`` highest images, best
    first, with the chance w_r to be a true example falling from ``p_start`` towards ``p_end``. The marginal is the
    mean over the N neurons of what stands before it (of its exponential), so scores depend on which neurons are
    given: with a single one it is that neuron's own term, and lam=1 leaves 0 for every concept.
    """
    for name, value in (("p_start", p_start), ("p_end", p_end)):
        number(f"method.{name}", value, EPS, 1)
    k = _check(image_text_similarity, activations, top_k)
    weight = p_start - np.arange(k) / k * (p_start - p_end)
    return _mutual_information(image_text_similarity, activations, a, lam, weight, 1 - weight + EPS)


def wpmi(image_text_similarity, activations, top_k=28, a=2, lam=0.6):
    """Weighted pointwise mutual information: sum_r log G_rj - lam * marginal_j, in the letters of :func:`soft_wpmi`."""
    k = _check(image_text_similarity, activations, top_k)
    return _mutual_information(image_text_similarity, activations, a, lam, np.ones(k), np.full(k, EPS))


def _check(similarity, activations, top_k):
    check_pair(similarity, activations)
    if number("method.top_k", top_k, 1, whole=True) > len(activations):
        raise BadInput(f"method.top_k={top_k}, but there are only {len(activations)} images; choose a smaller top_k")
    return top_k


def _mutual_information(similarity, activations, a, lam, weight, floor):
    """(N, C) L - lam * (logsumexp_i L - log N) with L_ij = sum_r log(floor_r + weight_r G_rj).

    float64 for any similarity: where a concept fits one neuron alone its score comes close to log N (lam=1), and words
    that come close together are told apart by the last digits.
    """
    number("method.a", a, 0), number("method.lam", lam, 0)
    top = highest(activations, len(weight))
    images, where = rows_of(top, len(activations))
    norm = np.concatenate(each(similarity, by_image(similarity, images), lambda block: _log_sum_exp(a, block)))
    constant = np.log(floor).sum()

    def scores(block):
        g = block * block.dtype.type(a)
        g -= norm
        fit = _log_products(np.exp(g, out=g), where, floor / weight)  # L - constant
        high = fit.max(0)
        marginal = high + np.log(np.exp(fit - high).mean(0))
        return fit - lam * marginal + (1 - lam) * constant

    return np.concatenate(each(similarity, by_text(similarity, images), scores), axis=1)


def _log_sum_exp(a, block):
    """(b, 1) log sum_j exp(a P_kj) of b images and all concepts."""
    x = block * block.dtype.type(a)
    high = x.max(1, keepdims=True)
    x -= high
    return high + np.log(np.exp(x, out=x).sum(1, keepdims=True))


def _log_products(g, top, floor):
    """(N, b) float64 sum_r log(1 + g[top_r] / floor_r), with a logarithm of products instead of one of each factor.

    g      (U, b) in [0, 1]
    top    (k, N) rows of ``g``
    floor  (k,) positive; as many ranks go together as cannot leave the range of ``g``'s type
    """
    most = np.log1p(1 / floor)
    group = np.cumsum(most) // (np.log(np.finfo(g.dtype).max) - 1 - most.max())
    total = np.zeros((top.shape[1], g.shape[1]))
    product, factor = np.empty(total.shape, g.dtype), np.empty(total.shape, g.dtype)
    for ranks in np.split(np.arange(len(top)), np.flatnonzero(np.diff(group)) + 1):
        product.fill(np.prod(1 / floor[ranks]))
        for r in ranks:
            np.take(g, top[r], axis=0, out=factor, mode="clip")  # another mode would go through a copy of its own
            factor += g.dtype.type(floor[r])
            product *= factor
        total += np.log(product, out=product)
    return total
