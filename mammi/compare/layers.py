"""What a comparison knows of each layer of each model: the best concept of every unit, and two thresholds.

official     mean over a layer's units of the best score, the largest of the compared models (Mammo-CLIP Dissect). Many
             units pass in any model, in one that means nothing too
permutation  95 % quantile of the best score of null units, see :mod:`mammi.compare.scores`: 5 % of units that mean
             nothing pass
"""
from dataclasses import dataclass

import numpy as np

LEVEL = .95
OFFICIAL, NULL = "official", "permutation"  # not "null", which readers of CSV files take for an empty cell


@dataclass(frozen=True)
class Layer:
    """N living units of one layer of one model.

    model, name, depth  depth counts from 0 at the image; layers of equal depth are compared
    units               (N,) their numbers in the layer
    width               units of the layer, dead ones too
    top, score          (N,) best concept and its score
    null_top, null_score  (M,) the same of null units, or None where there is no telling (finished runs)
    """

    model: str
    name: str
    depth: int
    units: np.ndarray
    width: int
    top: np.ndarray
    score: np.ndarray
    null_top: np.ndarray | None = None
    null_score: np.ndarray | None = None

    def limits(self, official):
        """{threshold: score from which a unit counts}; ``official`` of this depth."""
        found = {OFFICIAL: official}
        if self.null_score is not None:  # the 951st of 1,000: a further null unit is above it in 50 of 1,001 cases
            found[NULL] = float(np.nextafter(np.quantile(self.null_score, LEVEL, method="higher"), np.inf))
        return found


def official_limits(layers):
    """{depth: largest mean best score of the compared models}."""
    means = {}
    for layer in layers:
        means[layer.depth] = max(means.get(layer.depth, -np.inf), float(layer.score.mean()))
    return means


def counts(top, score, limit, concepts):
    """(C,) how many units above ``limit`` have each concept as their best."""
    return np.bincount(top[score >= limit], minlength=concepts)


@dataclass(frozen=True)
class Held:
    """What the units above a threshold stand for: numbers of units by concept.

    units     living units looked at
    observed  (C,)
    samples   (R, C) the same for resampled units
    chance    (R, C) the same for as many null units, or None
    """

    units: int
    observed: np.ndarray
    samples: np.ndarray
    chance: np.ndarray | None

    def __add__(self, other):
        samples, chance = (None if a is None else np.add(a, b, dtype=np.int32)  # a layer's are of 8 or 16 bits
                           for a, b in ((self.samples, other.samples), (self.chance, other.chance)))
        return Held(self.units + other.units, self.observed + other.observed, samples, chance)


def held(layer, limit, concepts, resamples, rng):
    """:class:`Held` of one layer. Units are drawn with replacement from its units, chance from its null units."""
    n = len(layer.units)
    observed = counts(layer.top, layer.score, limit, concepts)
    chance = None
    if layer.null_top is not None:
        null = counts(layer.null_top, layer.null_score, limit, concepts)
        chance = _drawn(null, len(layer.null_top), n, resamples, rng)
    return Held(n, observed, _drawn(observed, n, n, resamples, rng), chance)


def _drawn(observed, of, n, resamples, rng):
    """(R, C) counts of ``n`` units drawn with replacement from ``of`` units of whom ``observed`` (C,) count."""
    shares = np.append(observed, of - observed.sum()) / of
    return rng.multinomial(n, shares, resamples)[:, :-1].astype(np.min_scalar_type(n))
