from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch

from mammi import importance
from mammi.errors import BadInput
from tests.explainer.small import case, target


def brute(f, a, k):
    """Shapley value of player ``k``: its mean contribution over all coalitions, absent players at 0."""
    n, total = len(a), 0.0
    others = [i for i in range(n) if i != k]
    for size in range(n):
        for coalition in combinations(others, size):
            here = np.zeros(n)
            here[list(coalition)] = a[list(coalition)]
            with_k = here.copy()
            with_k[k] = a[k]
            total += factorial(size) * factorial(n - size - 1) / factorial(n) * (f(with_k) - f(here))
    return total


def test_a_linear_head_has_exact_shapley_values():
    rng = np.random.default_rng(0)
    a, w, b = rng.random((2, 5)), rng.standard_normal((3, 5)), rng.standard_normal(3)
    phi = importance.shapley(a, w)
    for i in range(2):
        for c in range(3):
            wanted = [brute(lambda x, c=c: float(w[c] @ x + b[c]), a[i], k) for k in range(5)]
            assert phi[i, c] == pytest.approx(wanted)
            assert phi[i, c].sum() == pytest.approx(w[c] @ a[i])  # the output less its bias


@pytest.mark.parametrize("linear", [True, False])
def test_activation_times_gradient_is_the_same_where_the_head_is_linear(linear):
    one = target(linear=linear)
    _, x, readouts = case()
    phi = importance.by_gradient(one, x, readouts, "penultimate").numpy()
    pooled = one.forward(x, ["penultimate"])["penultimate"].pooled.detach()
    exact = importance.shapley(pooled, one.module.head.weight)[np.arange(3), [r.index for r in readouts]]
    np.testing.assert_allclose(phi, exact, rtol=1e-4, atol=1e-6)
    logits = one.module(x).detach().numpy()[np.arange(3), [r.index for r in readouts]]
    bias = one.module.head.bias.detach().numpy()[[r.index for r in readouts]]
    np.testing.assert_allclose(phi.sum(1), logits - bias, rtol=1e-4, atol=1e-6)


def test_of_another_head_it_is_autograd_s():
    one, x, _ = case()
    one.module.head = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    one._modules = dict(one.module.named_modules())
    phi = importance.by_gradient(one, x, [one.unit("head.2", 1)] * 3, "penultimate").numpy()
    a = one.forward(x, ["penultimate"])["penultimate"].pooled.detach().requires_grad_()
    slopes, = torch.autograd.grad(one.module.head(a)[:, 1].sum(), a)
    np.testing.assert_allclose(phi, (a * slopes).detach().numpy(), rtol=1e-4, atol=1e-6)


def test_class_wise_it_is_the_mean_over_the_class():
    phi = np.array([[1.0, 2], [3, 4], [5, 9]])
    assert importance.of_class(phi, [True, False, True]).tolist() == [3, 5.5]
    with pytest.raises(BadInput, match="no image of this class"):
        importance.of_class(phi, [False] * 3)


def test_leading_neurons_are_stable_and_above_zero():
    assert importance.leading([1, 5, 5, -1], 3).tolist() == [1, 2, 0]
    assert importance.leading([1, 0, -1], 3).tolist() == [0]


def test_the_overall_map_weighs_maps_by_their_share():
    maps = np.stack([np.full((2, 2), v) for v in (1.0, 2, 4)])
    np.testing.assert_allclose(importance.overall_map(maps, [3, 1, -7]), np.full((2, 2), 1.25))
    assert (importance.overall_map(maps, [-1, 0, -2]) == 0).all()
    assert importance.cosine(maps[0], maps[2]) == pytest.approx(1) and np.isnan(importance.cosine(maps[0], 0 * maps[0]))


@pytest.mark.fault
def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(BadInput, match="expected"):
        importance.shapley(np.ones((2, 3)), np.ones((4, 5)))
