"""Adaptive cosine matching, Eq. (2), on arrays. P images, N neurons, C concepts, D dimensions.

Cosine is linear in the image once both sides have unit norm, so the mean over the representative images needs one
mean embedding per neuron and one matrix product: s_ij = <mean_k v_k, t_j> - <mean_k v_k, t_tem>.
"""
import numpy as np

from mammi.errors import BadInput, number
from mammi.selection import blocks
from mammi.types import Annotations

BLOCK = 8192  # concepts per matrix product: bounds the float64 working copy at N x 8192


def unit(x, what="embeddings"):
    """Rows of ``x`` (n, D) at unit norm, float32; a zero or non-finite row raises :class:`BadInput`."""
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 2:
        raise BadInput(f"{what} have shape {x.shape}; expected (rows, dimensions)")
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    bad = ~(np.isfinite(norm) & (norm > 0))
    if bad.any():
        raise BadInput(f"{what}: row {int(np.argmax(bad))} has norm {float(norm[np.argmax(bad)][0])}; "
                       "an embedding needs a direction")
    return x / norm


def mean_rows(rows, positions, selected):
    """(N, D) mean of the rows selected for each neuron; zeros where none is.

    rows       (U, D), the embeddings of the images at ``positions``
    positions  (U,) increasing, must hold every selected image
    selected   (P, N) bool
    """
    from scipy.sparse import csr_array, hstack, identity

    n = selected.sum(0)
    found, sums = np.zeros_like(n), np.zeros((len(n), rows.shape[1]))
    for block in blocks(len(positions), 8 * max(sums.shape)):
        chosen = selected[positions[block]]
        found += chosen.sum(0)
        # One after the other onto the sums so far: the same rounding, however many blocks there are.
        weights = hstack([identity(len(n)), csr_array(chosen.T, dtype=np.float64)], format="csr")
        sums = weights @ np.concatenate([sums, rows[block].astype(np.float64)])
    if not np.array_equal(found, n):
        raise ValueError("positions leave out selected images")
    return (sums / np.maximum(n, 1)[:, None]).astype(np.float32)


def products(means, texts):
    """(N, C) float32 ``means @ texts.T``, in blocks of concepts."""
    out = np.empty((len(means), len(texts)), np.float32)
    for start in range(0, len(texts), BLOCK):
        block = slice(start, start + BLOCK)
        np.matmul(means, texts[block].T, out=out[:, block])
    return out


def choose(scores, beta, on_nonpositive_max="empty"):
    """Concept indices per row: score > beta * row maximum (strict), best first, ties by index.

    scores              (N, C)
    beta                in (0, 1]
    on_nonpositive_max  a row whose maximum is <= 0 passes nothing (``empty``, the paper's rule: beta * max >= max) or
                        keeps its best concept (``top1``)
    Returns N integer arrays.
    """
    check_beta(beta, on_nonpositive_max)
    chosen = []
    for row in scores:
        row = row.astype(np.float64)
        best = row.max()
        if best <= 0:
            keep = np.array([int(row.argmax())] if on_nonpositive_max == "top1" else [], dtype=int)
        else:
            keep = np.flatnonzero(row > beta * best)
        chosen.append(keep[np.argsort(-row[keep], kind="stable")])
    return chosen


def check_beta(beta, on_nonpositive_max):
    """Raise :class:`BadInput` on a beta or a rule that :func:`choose` does not know."""
    if not 0 < number("method.beta", beta) < 1:
        raise BadInput(f"method.beta must lie in (0, 1), got {beta}; the paper's 95% is 0.95")
    if on_nonpositive_max not in ("empty", "top1"):
        raise BadInput(f"method.on_nonpositive_max={on_nonpositive_max}: expected empty (the paper) or top1")


def from_scores(scores, words, neurons, selected, activations, beta, on_nonpositive_max="empty"):
    """:class:`Annotations` of dense (N, C) ``scores``: the beta rule, dead neurons without words."""
    constant = np.max(activations, axis=0) == np.min(activations, axis=0)
    chosen = choose(scores, beta, on_nonpositive_max)
    n = selected.sum(0)
    chosen = [c if k and not dead else c[:0] for c, k, dead in zip(chosen, n, constant)]
    status = ["dead" if dead else "ok" if len(c) else "empty" for dead, c in zip(constant, chosen)]
    return Annotations(
        neurons=neurons,
        concepts=[[words[j] for j in c] for c in chosen],
        scores=[[float(scores[i, j]) for j in c] for i, c in enumerate(chosen)],
        status=status, selected=selected, dense=scores, vocabulary=tuple(words))


def runner_up(row, chosen):
    """(index, score) of the best concept of ``row`` (C,) that was not chosen; (None, nan) when all were."""
    rest = np.ones(len(row), bool)
    rest[chosen] = False
    if not rest.any():
        return None, float("nan")
    j = int(np.flatnonzero(rest)[np.argmax(row[rest])])
    return j, float(row[j])


def could_overtake(row, best, n):
    """Concepts that could replace ``best`` when one of ``n`` images is left out; scores are cosines, in [-1, 1].

    A single image's scores for two concepts differ by at most 2, so only concepts with n (s_best - s_j) <= 2 can:
    exact, and few when n is large.
    """
    near = n * (row[best].astype(np.float64) - row) <= 2
    near[best] = True
    return np.flatnonzero(near)


def pivotal(row, parts, best, candidates):
    """Which single image's removal would change the top word, and to what.

    row         (C,) mean scores of one neuron
    parts       (n, len(candidates)) each selected image's score for each candidate
    best        index of the top word; ``candidates`` (increasing) holds it
    Returns (image number in ``parts``, concept index) for the removal that gives the new word the largest lead, or
    None when the word survives every removal. With n = 1 there is nothing left to name: (0, None).
    """
    n = len(parts)
    if n == 1:
        return 0, None
    left = (n * row[candidates].astype(np.float64) - parts) / (n - 1)
    at = int(np.searchsorted(candidates, best))
    lead = left - left[:, [at]]
    lead[:, at] = -np.inf
    # A tie goes to the lower concept index, as in choose().
    wins = (lead > 0) | ((lead == 0) & (candidates < best)[None, :])
    if not wins.any():
        return None
    lead[~wins] = -np.inf
    image, j = np.unravel_index(np.argmax(lead), lead.shape)
    return int(image), int(candidates[j])
