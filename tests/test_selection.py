import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammi import selection
from mammi.errors import BadInput
from mammi.selection import Adaptive, All, TopK, by_activation, select

GOLDEN = np.array([[0, 1, 0.92, 0.93, 0.931, -1, 0.86]]).T  # protocol.md A.2
MATRIX = arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)),
                elements=st.floats(-50, 50, allow_nan=False).map(lambda x: round(x, 3)))


def slowly(activations, alpha):
    """Eq. (1), one neuron and one image at a time."""
    out = []
    for neuron in zip(*activations.tolist()):
        high, low = max(neuron), min(neuron)
        out.append([a > high - (1 - alpha) * (high - low) for a in neuron])
    return np.array(out).T


def test_golden_value():
    chosen = Adaptive(0.93)(GOLDEN)
    assert by_activation(GOLDEN, chosen, 0).tolist() == [1, 4, 3, 2]
    assert not chosen[6, 0], ".86 equals the threshold: the comparison is strict"


@given(MATRIX, st.floats(0.01, 0.99))
def test_equals_the_plain_loop(a, alpha):
    assert np.array_equal(Adaptive(alpha)(a), slowly(a, alpha))


@given(MATRIX, st.floats(0.01, 0.98), st.floats(0.001, 0.01))
def test_shrinks_as_alpha_grows(a, alpha, step):
    assert not (Adaptive(alpha + step)(a) & ~Adaptive(alpha)(a)).any()


@given(MATRIX, st.randoms(use_true_random=False))
def test_follows_the_images_when_they_are_permuted(a, random):
    order = list(range(len(a)))
    random.shuffle(order)
    assert np.array_equal(Adaptive(0.9)(a)[order], Adaptive(0.9)(a[order]))


@pytest.mark.parametrize("rule", [Adaptive(0.93), Adaptive(0.93, min_examples=2), TopK(2), All()])
def test_dead_neuron_has_no_image(rule):
    a = np.array([[1.0, 5.0], [1.0, 6.0], [1.0, 7.0]])
    chosen = rule(a)
    assert not chosen[:, 0].any() and chosen[:, 1].any()


def test_a_single_outlier_is_the_only_image():
    a = np.array([[100.0], [1.0], [1.1], [0.9]])
    assert Adaptive(0.93)(a).sum() == 1


def test_min_examples_fills_up_with_the_highest():
    a = np.array([[100.0], [1.0], [3.0], [2.0]])
    assert Adaptive(0.93, min_examples=3)(a)[:, 0].tolist() == [True, False, True, True]


def test_top_k_breaks_ties_by_image_index():
    assert TopK(2)(np.array([[1.0], [2.0], [1.0], [1.0]]))[:, 0].tolist() == [True, True, False, False]


@pytest.mark.parametrize("make, words", [
    (lambda: Adaptive(93), "0.93"), (lambda: Adaptive(0), "alpha"), (lambda: Adaptive(1), "alpha"),
    (lambda: TopK(0), "at least 1"), (lambda: TopK(2.5), "selection.k=2.5: expected a whole number"),
    (lambda: Adaptive("abc"), "selection.alpha=abc"), (lambda: Adaptive(min_examples=-1), "min_examples=-1"),
    (lambda: TopK(9)(GOLDEN), "only 7 images"),
    (lambda: All()(np.array([[1.0], [np.nan]])), "not finite.*image 1, neuron 0"),
    (lambda: All()(np.array([1.0, 2.0])), "expected \\(images, neurons\\)"),
    (lambda: All()(np.zeros((0, 3))), "at least one")])
def test_bad_input_is_named(make, words):
    with pytest.raises(BadInput, match=words):
        make()


@given(MATRIX, st.integers(1, 12))
def test_top_k_equals_a_stable_sort(a, k):
    a, k = a.round(), min(k, len(a))
    expected = np.zeros(a.shape, bool)
    for i, neuron in enumerate(a.T.tolist()):
        if max(neuron) > min(neuron):
            expected[sorted(range(len(neuron)), key=lambda image: (-neuron[image], image))[:k], i] = True
    assert np.array_equal(TopK(k)(a), expected)


@given(MATRIX, st.integers(1, 300), st.sampled_from([Adaptive(0.8), Adaptive(0.93, min_examples=1), TopK(1), All()]))
def test_blocks_of_neurons_change_nothing(a, size, rule):
    whole, selection.BLOCK = selection.BLOCK, size
    try:
        out = np.empty(a.shape, bool)
        assert select(rule, a.astype(np.float32), out) is out
        assert np.array_equal(out, rule(a.astype(np.float32)))
    finally:
        selection.BLOCK = whole


def test_blocks_cover_everything_once(monkeypatch):
    monkeypatch.setattr(selection, "BLOCK", 10)
    assert [(s.start, s.stop) for s in selection.blocks(7, 4)] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert [(s.start, s.stop) for s in selection.blocks(2, 100)] == [(0, 1), (1, 2)] and selection.blocks(0, 4) == []


def test_the_neuron_of_a_bad_value_is_named_in_any_block(monkeypatch):
    monkeypatch.setattr(selection, "BLOCK", 40)
    a = np.zeros((5, 3))
    a[4, 2] = np.inf
    with pytest.raises(BadInput, match="image 4, neuron 2"):
        select(All(), a)
