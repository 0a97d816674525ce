import math

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from mammi.explainer import losses

torch.manual_seed(0)
M = torch.tensor([[[.2, .8], [1., 0.]], [[.5, .5], [.5, .5]]], dtype=torch.float64)   # mean .5
Z, Z_M = torch.tensor([.9, .8], dtype=torch.float64), torch.tensor([.3, 1.], dtype=torch.float64)


def test_occlusion_keeps_where_the_mask_is_one_and_shows_the_base_where_it_is_zero():
    x = torch.arange(8, dtype=torch.float64).reshape(2, 1, 2, 2) - 3
    plain = np.empty((2, 1, 2, 2))
    for b in range(2):
        for i in range(2):
            for j in range(2):
                m = M[b, i, j].item()
                plain[b, 0, i, j] = x[b, 0, i, j].item() * m + 7 * (1 - m)
    np.testing.assert_allclose(losses.occlude(x, M, 7), plain, rtol=1e-14)
    assert torch.equal(losses.occlude(x, torch.zeros_like(M)), torch.zeros_like(x))  # 0: the mean pixel


def test_swapped_images_are_those_on_which_the_unit_is_silent():
    silent = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]).bool()
    drawn = [losses.others(4, silent, torch.Generator().manual_seed(seed)).tolist() for seed in range(20)]
    assert {at[0] for at in drawn} == {1, 3} and all(at[1:] == [0, 0, 2] for at in drawn)  # 1: none allowed, the next
    assert losses.others(3, torch.eye(3).bool()).tolist() == [2, 0, 1]  # never itself
    x = torch.arange(4.)[:, None, None, None]
    assert losses.base_of(x, "swap", torch.Generator().manual_seed(0), silent)[:, 0, 0, 0].tolist() == drawn[0]


def test_what_is_shown_in_the_place_of_what_is_deleted():
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    assert losses.base_of(x, "mean") == 0
    assert torch.equal(losses.base_of(x, "swap"), x[[3, 0, 1, 2]])
    assert torch.equal(losses.base_of(x, "average"), (x[0] + x[1] + x[2] + x[3])[None] / 4)
    noise = [losses.base_of(x, "noise", torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*noise) and noise[0].shape == x.shape
    assert abs(noise[0].mean()) < .05 and abs(noise[0].std() - 1) < .05
    blurred = losses.base_of(x, "blur")
    sigma, reach = 10 * 32 / 224, 2  # 2 sigma
    weights = torch.tensor([math.exp(-i * i / 2 / sigma ** 2) for i in range(-reach, reach + 1)], dtype=torch.float64)
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    inside = conv2d(x[:, :1], kernel[None, None])
    torch.testing.assert_close(blurred[:, :1, reach:-reach, reach:-reach], inside)


def test_distance_is_zero_of_the_same_and_one_of_the_opposite():
    u = torch.tensor([[1., 0.], [3., 4.]], dtype=torch.float64)
    assert losses.distance(u, 2 * u).item() == pytest.approx(0, abs=1e-12)
    assert losses.distance(u, -u).item() == pytest.approx(1)
    v = torch.tensor([[0., 1.], [4., 3.]], dtype=torch.float64)
    assert losses.distance(u, v).item() == pytest.approx((1 - (0 + 24 / 25) / 2) / 2)


def test_every_loss_by_hand():
    """a = .5."""
    assert losses.u(M, torch.tensor(.1)).item() == pytest.approx(4 * .1 + .25)
    near, far = torch.tensor(.1, dtype=torch.float64), torch.tensor(.4, dtype=torch.float64)
    assert losses.u_contrastive(M, near, far).item() == pytest.approx(.25 + .4 - .4 * (.1 + 1e-6) + 1e-6, abs=1e-12)
    assert losses.t(M, torch.tensor(.3)).item() == pytest.approx(.5 + .6)
    assert losses.t_inverse(M, torch.tensor(.3)).item() == pytest.approx(.5 + 2 * .7)
    assert losses.t_contrastive(M, torch.tensor(.3), torch.tensor(.2)).item() == pytest.approx(.5 + .3 - .2)


def test_own_is_one_sided():
    """Deletion lowers the first from .9 to .3 and raises the second, which earns nothing."""
    assert losses.own_drop(Z, Z_M).tolist() == pytest.approx([.36, 0])
    assert losses.own(M, Z, Z_M, 3).item() == pytest.approx(.5 + 3 * (1 - .36 / 2), abs=1e-5)
    two_sided = losses.squared_change(Z[:, None], Z_M[:, None], torch.zeros(2, dtype=torch.long))
    assert two_sided.item() == pytest.approx((.36 + .04) / 2)


def test_only_what_fires_counts_in_own():
    z = torch.tensor([.9, .4], dtype=torch.float64)  # the second does not fire
    assert losses.own(M, z, Z_M * 0, 2).item() == pytest.approx(.5 + 2 * (1 - .81), abs=1e-5)
    assert losses.own(M, Z * 0, Z_M, 2).item() == pytest.approx(.5 + 2)


def test_a_sample_is_held_to_its_own_target_alone():
    rng = torch.Generator().manual_seed(3)
    p, p_m = torch.rand(2, 5, 4, generator=rng, dtype=torch.float64)
    targets = torch.tensor([0, 1, 2, 3, 0])
    plain = np.mean([(p_m[i, t] - p[i, t]).item() ** 2 for i, t in enumerate(targets)])
    assert losses.squared_change(p, p_m, targets).item() == pytest.approx(plain)
    grads = []
    for order in ([0, 1, 2, 3, 4], [0, 2, 1, 4, 3]):  # the other samples' targets are permuted
        mask = p_m.clone().requires_grad_(True)
        losses.squared_change(p, mask, targets[order]).backward()
        grads.append(mask.grad[0])
    assert torch.equal(*grads)


def test_the_authors_indexing_holds_it_to_the_whole_batch():
    p, p_m = torch.rand(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    targets = torch.tensor([1, 1, 2])
    plain = np.mean([(p_m[i, t] - p[i, t]).item() ** 2 for i in range(3) for t in targets])
    assert losses.squared_change_paper(p, p_m, targets).item() == pytest.approx(plain)
    first = [losses.squared_change_paper(p[:1], p_m[:1], torch.tensor(others)).item() for others in ([1, 1], [1, 2])]
    assert first[0] != first[1]


def test_with_two_classes_the_squared_change_does_not_know_which_was_asked():
    p, p_m = torch.rand(2, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).softmax(-1)
    one, other = (losses.squared_change(p, p_m, torch.full((6,), c)) for c in (0, 1))
    torch.testing.assert_close(one, other)
