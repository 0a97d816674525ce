"""Scores of units and of null units, against slower and plainer ways; the level of the null."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammi.compare.layers import LEVEL, NULL, Layer
from mammi.compare.scores import best, in_place_of, owners, relative, shuffled, shuffles
from mammi.method.clip_dissect import soft_wpmi


def plain_relative(fits, lam):
    n, c = fits.shape
    out = np.zeros((n, c))
    for u in range(n):
        for j in range(c):
            out[u, j] = fits[u, j] - lam * np.log(sum(np.exp(fits[v, j]) for v in range(n)) / n)
    return out


@pytest.mark.parametrize("lam", [0, .6, 1])
def test_relative_is_soft_wpmi_with_its_marginal(lam):
    rng = np.random.default_rng(0)
    similarity, activations = rng.normal(0, .1, (40, 5)), rng.normal(size=(40, 7))
    fits = soft_wpmi(similarity, activations, top_k=10, lam=0)
    np.testing.assert_allclose(relative(fits, lam), plain_relative(fits, lam), atol=1e-10)
    np.testing.assert_allclose(relative(fits, lam), soft_wpmi(similarity, activations, top_k=10, lam=lam), atol=1e-9)


@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from([0., .5, 1.]), st.integers(0, 99))
def test_a_null_unit_is_scored_as_if_it_were_its_owner(n, c, lam, seed):
    rng = np.random.default_rng(seed)
    fits, null, own = rng.normal(-300, 200, (n, c)), rng.normal(-300, 200, (5, c)), rng.integers(n, size=5)
    got = in_place_of(null, own, fits, lam)
    for i, u in enumerate(own):
        layer = fits.copy()
        layer[u] = null[i]  # the layer with that unit's images shuffled
        np.testing.assert_allclose(got[i], relative(layer, lam)[u], atol=1e-9)


def test_a_score_is_at_most_the_logarithm_of_the_number_of_units():
    rng = np.random.default_rng(1)
    fits = rng.normal(0, 50, (6, 9))
    own = rng.integers(6, size=30)
    assert relative(fits).max() <= np.log(6) + 1e-9
    assert in_place_of(rng.normal(0, 50, (30, 9)), own, fits).max() <= np.log(6) + 1e-9


def test_patients_move_whole_among_those_of_as_many_images():
    patients = ["a", "b", "a", "c", "d", "d", "d", "b", "e", "e"]
    orders, moves = shuffles(patients, 500, np.random.default_rng(0))
    assert moves.tolist() == [p in "abe" for p in patients]  # c has one image, d three: alone with that
    pairs = {("a", (0, 2)), ("b", (1, 7)), ("e", (8, 9))}
    seen = set()
    for order in orders:
        assert sorted(order) == list(range(10)) and all(order[i] == i for i in (3, 4, 5, 6))
        for _, place in pairs:
            assert tuple(order[list(place)]) in {images for _, images in pairs}  # both films of one, in their order
        seen.add(tuple(order))
    assert len(seen) == 6  # all orders of three patients
    means = np.mean([order[0] == 0 for order in orders])
    assert abs(means - 1 / 3) < .07


def test_shuffled_columns_hold_their_owners_values():
    rng = np.random.default_rng(2)
    a = rng.normal(size=(12, 4))
    own = owners(4, 10, rng)
    assert sorted(np.bincount(own)) == [2, 2, 3, 3]
    orders, _ = shuffles(np.arange(12), 10, rng)
    for column, order, unit in zip(shuffled(a, orders, own).T, orders, own):
        np.testing.assert_array_equal(column, a[order, unit])
    assert len(set(owners(50, 20, rng))) == 20


def test_ties_go_to_the_first_concept():
    top, score = best(np.array([[1., 3, 3], [2, 2, 2]]))
    assert top.tolist() == [1, 0] and score.tolist() == [3, 2]


def noise_layer(seed, pairs, units=400, images=200, concepts=30, k=20):
    """A layer whose units do not know the words, films of a patient going together; and its null."""
    rng = np.random.default_rng(seed)
    patients = np.arange(images) // (2 if pairs else 1)
    similarity = rng.normal(0, .1, (patients.max() + 1, concepts))[patients] + rng.normal(0, .03, (images, concepts))
    activations = rng.normal(size=(patients.max() + 1, units))[patients] + rng.normal(0, .2, (images, units))
    fits = soft_wpmi(similarity, activations, k, lam=0)
    orders, _ = shuffles(patients, 1000, rng)
    own = owners(units, 1000, rng)
    null = soft_wpmi(similarity, shuffled(activations, orders, own), k, lam=0)
    layer = Layer("m", "l", 0, np.arange(units), units, *best(relative(fits)), *best(in_place_of(null, own, fits)))
    free = rng.permuted(np.tile(np.arange(images), (1000, 1)), axis=1)
    null = soft_wpmi(similarity, shuffled(activations, free, own), k, lam=0)
    return layer, Layer("m", "l", 0, layer.units, units, layer.top, layer.score, *best(in_place_of(null, own, fits)))


@pytest.mark.parametrize("pairs", [False, True])
def test_about_a_twentieth_of_units_that_mean_nothing_passes(pairs):
    passed = []
    for seed in range(6):
        layer, naive = noise_layer(seed, pairs)
        passed.append([(one.score >= one.limits(0)[NULL]).mean() for one in (layer, naive)])
    ours, naive = np.mean(passed, axis=0)
    assert .03 < ours < .07, "2,400 units: the binomial s.e. is .0045, and units share a marginal"
    if pairs:  # images as if they were patients: too few images are thought to be alike, and too much passes
        assert naive > ours + .02


def test_the_null_threshold_lets_a_twentieth_of_the_null_pass():
    layer, _ = noise_layer(0, False, units=50)
    share = (layer.null_score >= layer.limits(0)[NULL]).mean()
    assert 1 - LEVEL - .002 <= share <= 1 - LEVEL
