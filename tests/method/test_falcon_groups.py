"""FALCON's groups, thresholds and contrast images against plain loops (protocol D.1, D.4)."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammi.method.falcon_groups import groups, high_threshold, highest, low_images, representations

A = np.array([[3.0, 4.0, 0.0], [0.0, 2.0, 0.0], [-6.0, 8.0, 0.0], [0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [-3.0, -4.0, 0.0]])
R = np.array([[.6, .8, 0], [0, 1, 0], [-.6, .8, 0], [0, 0, 0], [1, 0, 0], [-.6, -.8, 0]])
matrices = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.integers(-3, 3).map(float))


def unit(a):
    return representations(a, np.empty(a.shape))


def test_rows_have_unit_norm_and_zeros_stay():
    np.testing.assert_allclose(unit(A), R, atol=1e-15)


def test_thresholds():
    values = [float(v) for row in R for v in row]
    mean = sum(values) / 18
    sd = math.sqrt(sum((v - mean)**2 for v in values) / 18)
    assert high_threshold(R, "sigma", 5) == pytest.approx(mean + 5 * sd)
    assert high_threshold(R, "absolute", .25) == .25


def test_what_never_varies_has_no_spread():
    assert high_threshold(np.ones((4, 1)), "sigma", 5) == 1


def test_groups_by_hand():
    alive = np.array([True, True, False])
    by_neuron = groups(R, .6, "neuron", alive)
    assert by_neuron.T.tolist() == [[True, False, False, False, True, False], [True, True, True, False, False, False],
                                    [False] * 6]
    exact = groups(R, .6, "exact_set", alive)  # image 0 is high for both
    assert exact.T.tolist() == [[False, False, False, False, True, False], [False, True, True, False, False, False],
                                [False] * 6]


def test_a_dead_neuron_has_no_group_and_is_in_no_set():
    r = np.array([[.6, .8], [.8, .6]])
    alive = np.array([True, False])
    for way in ("neuron", "exact_set"):
        assert groups(r, .5, way, alive).tolist() == [[True, False], [True, False]]


@given(matrices, st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_groups_as_a_loop_has_them(a, threshold):
    r = unit(a)
    alive = a.max(0) > a.min(0)
    by_neuron, exact = (groups(r, threshold, way, alive) for way in ("neuron", "exact_set"))
    for row, one, other in zip(r, by_neuron, exact):
        high = {j for j, v in enumerate(row) if v >= threshold and alive[j]}
        assert {j for j in range(len(row)) if one[j]} == high
        assert {j for j in range(len(row)) if other[j]} == (high if len(high) == 1 else set())


def test_the_highest_images_come_first_and_ties_by_raw_value_then_index():
    a = np.array([[1.0], [3.0], [2.0], [3.0], [-1.0]])  # of a single neuron only the sign is left
    r = unit(a)
    assert highest(r, a, np.array([0, 1, 2, 3]), 0).tolist() == [1, 3, 2, 0]
    assert highest(r, a, np.array([0, 1, 2, 3]), 0, 2).tolist() == [1, 3]
    assert highest(R, A, np.array([0, 1, 2]), 1).tolist() == [1, 2, 0]


@given(matrices, st.integers(1, 3), st.sampled_from((-.2, 0.0, .3)))
@settings(max_examples=60, deadline=None)
def test_low_images_as_a_loop_has_them(a, k, least):
    r = unit(a)
    group = groups(r, high_threshold(r, "sigma", .25), "neuron", a.max(0) > a.min(0))
    found = low_images(r, group, k, least)
    mean = sum(float(v) for v in r.ravel()) / r.size
    for j in range(r.shape[1]):
        members = [row for row, high in zip(r, group[:, j]) if high]
        others = [i for i in range(r.shape[1]) if i != j]
        alike = {p: sum(r[p, i] * sum(m[i] for m in members) / len(members) for i in others)
                 for p in range(len(r)) if members and r[p, j] < mean}
        near = [s for s in alike.values() if abs(s - least) < 1e-5]
        if near or len({round(s, 5) for s in alike.values()}) < len(alike):
            continue  # on the edge, or a tie: rounding decides
        kept = sorted((p for p in alike if alike[p] >= least), key=lambda p: -alike[p])
        assert found[j].tolist() == kept[:k]


def test_low_images_by_hand():
    r = np.array([[.8, .6], [0, 1], [-.6, .8], [-.8, -.6], [-.6, .8]])
    group = np.array([[True, False], [False, True], [False, True], [False, False], [False, False]])
    # Neuron 0: T_low = .24. Its group's other entry is .6: products .6, .48, -.36, .48 of images 1 to 4
    assert [low.tolist() for low in low_images(r, group, 10, .3)] == [[1, 2, 4], []]
    assert low_images(r, group, 2, .3)[0].tolist() == [1, 2]
    assert [low.tolist() for low in low_images(r, np.zeros_like(group), 10, -1)] == [[], []]
