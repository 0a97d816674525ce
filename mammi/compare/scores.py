"""Soft-WPMI against a layer's own marginal, for its units and for units that mean nothing.

P images, N units of a layer, M null units, C concepts. L_uj is the first term of
:func:`mammi.method.mutual_information.soft_wpmi` (lam=0): the log-probability of concept j under the top images of
unit u. Its score is L_uj - lam * (log sum_v exp L_vj - log N), v over the units of the layer.

A null unit is a unit of the layer whose images have been shuffled. It takes the place of the unit it was made from:
its score is the one that this unit would get in this layer, all other units as they are, if its images were chosen
without regard to what they show. So the marginal that a null unit is scored against holds itself and not its owner;
against the marginal of the N real units it would be told from others only, and reach values that no real unit can
(with lam=1 a unit's score is at most log N, because the marginal holds it).
"""
import numpy as np


def relative(fits, lam=1):
    """(N, C) scores of the units of one layer; ``fits`` is (N, C) L, any scale."""
    return fits - lam * (np.logaddexp.reduce(fits, axis=0) - np.log(len(fits)))


def in_place_of(null, owners, fits, lam=1):
    """(M, C) scores of null units, each in the place of its owner.

    null    (M, C) L of the null units
    owners  (M,) which unit of ``fits`` (N, C) each was made from
    """
    n = len(fits)
    others = np.full(fits.shape, -np.inf)  # log sum of exp over the other units, from those before and those behind
    if n > 1:
        forth, back = np.logaddexp.accumulate(fits, axis=0), np.logaddexp.accumulate(fits[::-1], axis=0)[::-1]
        others[1:] = forth[:-1]
        others[:-1] = np.logaddexp(others[:-1], back[1:])
    return null - lam * (np.logaddexp(others[owners], null) - np.log(n))


def shuffles(patients, n, rng):
    """((n, P) positions, (P,) bool): n shuffles of P images, and which images can move.

    Patients change places with patients of as many images, image by image in the order of the list: two films of one
    breast go on to be high together. A patient alone with that many images stays where it is.
    """
    _, index, counts = np.unique(np.asarray(patients), return_inverse=True, return_counts=True)
    order = np.argsort(index, kind="stable")  # images patient by patient
    starts = np.cumsum(counts) - counts
    out, moves = np.tile(np.arange(len(index), dtype=np.int32), (n, 1)), np.zeros(len(index), bool)
    for size in np.unique(counts):
        group = np.flatnonzero(counts == size)
        if len(group) == 1:
            continue
        places = order[starts[group][:, None] + np.arange(size)]
        to = rng.permuted(np.tile(np.arange(len(group)), (n, 1)), axis=1)
        out[:, places.ravel()] = places[to].reshape(n, -1)
        moves[places] = True
    return out, moves


def owners(units, n, rng):
    """(n,) positions of the units that null units are made from: each about equally often."""
    return np.resize(rng.permutation(units), n)


def shuffled(activations, orders, owners):
    """(P, M) activations (P, N) of ``owners`` (M,), each with its images in the order of a row of ``orders`` (M, P)."""
    return np.take_along_axis(np.asarray(activations)[:, owners].T, orders, axis=1).T


def best(scores):
    """((n,) number of the best concept of each row, ties to the lower; (n,) its score)."""
    top = scores.argmax(1)
    return top, scores[np.arange(len(top)), top]
