"""The logic against truth tables and a plain float64 loop."""
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammi.errors import BadInput
from mammi.micn.logic import T_NORMS, NeuralSymbolic, reason, relevance


def plain_reason(name, c, r, o):
    """One image, one class: floats in, (truth, agreements) out."""
    def both(a, b):
        return min(a, b) if name == "godel" else a * b

    def either(a, b):
        return max(a, b) if name == "godel" else a + b - a * b

    agreements = [both(either(1 - oi, ci), either(oi, 1 - ci)) for oi, ci in zip(o, c)]
    truth = 1.0
    for ri, gi in zip(r, agreements):
        truth = both(truth, either(1 - ri, gi))
    return truth, agreements


@pytest.mark.parametrize("name", T_NORMS)
def test_truth_table_on_crisp_inputs(name):
    """A rule holds exactly where every relevant concept has the value that its role asks for."""
    n, checked = 3, 0
    for bits in itertools.product((0.0, 1.0), repeat=3 * n):
        c, r, o = bits[:n], bits[n:2 * n], bits[2 * n:]
        said = reason(T_NORMS[name], torch.tensor([c]), torch.tensor(r)[None, :, None], torch.tensor(o)[None, :, None])
        expected = all(not ri or ci == oi for ci, ri, oi in zip(c, r, o))
        assert said.truth.item() == float(expected)
        checked += 1
    assert checked == 512


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(T_NORMS)), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**31))
def test_against_a_plain_loop(name, n, j, seed):
    rng = np.random.default_rng(seed)
    c, r, o = rng.random((2, n)), rng.random((2, n, j)), rng.random((2, n, j))
    said = reason(T_NORMS[name], *map(torch.from_numpy, (c, r, o)))
    for b in range(2):
        for k in range(j):
            truth, agreements = plain_reason(name, c[b], r[b, :, k], o[b, :, k])
            assert said.truth[b, k].item() == pytest.approx(truth, abs=1e-12)
            np.testing.assert_allclose(said.agreement[b, :, k], agreements, atol=1e-12)
    assert 0 <= said.truth.min() and said.truth.max() <= 1


@pytest.mark.parametrize("temperature", [0.0, .5, 1.0, 2.0])
def test_relevance_against_a_plain_loop(temperature):
    scores = np.random.default_rng(0).standard_normal((2, 4, 3))
    said = relevance(torch.from_numpy(scores), temperature)
    for b, k in itertools.product(range(2), range(3)):
        total = sum(math.exp(s) for s in scores[b, :, k])
        logs = [math.log(math.exp(s) / total) for s in scores[b, :, k]]
        mean = sum(logs) / len(logs)
        expected = [1 / (1 + math.exp(-(x - temperature * mean))) for x in logs]
        np.testing.assert_allclose(said[b, :, k], expected, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 8, 13, 160])
def test_at_temperature_100_every_concept_is_relevant_and_no_gradient_comes_back(n):
    scores = torch.randn(16, n, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    saturated = relevance(scores, 100.0)
    (saturated ** 2).sum().backward()
    assert saturated.min() == 1 and scores.grad.abs().max() == 0
    scores.grad = None
    at_one = relevance(scores, 1.0)
    (at_one ** 2).sum().backward()
    assert at_one.max() < 1 and scores.grad.abs().max() > 1e-3


def test_the_layer_gives_each_concept_and_class_a_role():
    layer = NeuralSymbolic(4, 3)
    said = layer(torch.randn(5, 7, 4), torch.rand(5, 7))
    assert said.truth.shape == (5, 3)
    assert said.relevance.shape == said.polarity.shape == said.agreement.shape == (5, 7, 3)


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [({"t_norm": "goedel"}, "godel"),
                                            ({"temperature": -1}, "task.head.temperature"),
                                            ({"temperature": "hot"}, "task.head.temperature")])
def test_bad_options_teach(options, words):
    with pytest.raises(BadInput, match=words):
        NeuralSymbolic(4, 2, **options)
