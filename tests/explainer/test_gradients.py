import numpy as np
import torch

from mammi.explainer.base import read
from mammi.explainer.gradients import GradientShap, IntegratedGradients, drawn_from
from mammi.types import Reading, Readout
from tests.explainer.small import case


class Linear:
    """f(x) = sum of weights * x: its attributions are known."""

    name, device = "linear", torch.device("cpu")
    weights = torch.arange(8.0).reshape(1, 2, 4) - 3

    def forward(self, x, layers, maps=False):
        return {"a": Reading((x * self.weights).sum((1, 2, 3))[:, None])}


def test_the_shares_add_up_to_the_difference_from_the_mean_image():
    target, x, readouts = case()
    shares = IntegratedGradients(steps=200).signed(target, x, readouts)
    wanted = read(target, x, readouts) - read(target, torch.zeros_like(x), readouts)
    torch.testing.assert_close(shares.sum((1, 2, 3)).float(), wanted.detach(), rtol=1e-2, atol=1e-3)


def test_integrated_gradients_by_a_plain_sum():
    target, x, readouts = case()
    points, weights = np.polynomial.legendre.leggauss(10)
    total = torch.zeros_like(x)
    for point, weight in zip((points + 1) / 2, weights / 2):
        at = (x * float(point)).requires_grad_()
        total += float(weight) * torch.autograd.grad(read(target, at, readouts).sum(), at)[0]
    out = IntegratedGradients(steps=10, sign="positive")(target, x, readouts)
    torch.testing.assert_close(out, (total * x).sum(1).relu(), rtol=1e-4, atol=1e-6)
    few = IntegratedGradients(steps=10, sign="positive", batch_size=4)(target, x, readouts)
    torch.testing.assert_close(out, few, rtol=1e-5, atol=1e-7)


def test_of_a_linear_function_expected_gradients_are_its_terms():
    x = torch.rand(2, 1, 2, 4)
    out = GradientShap(samples=3)(Linear(), x, [Readout("a", 0)] * 2)
    torch.testing.assert_close(out, (x * Linear.weights).abs().sum(1))
    positive = GradientShap(samples=3, sign="positive")(Linear(), x, [Readout("a", 0)] * 2)
    torch.testing.assert_close(positive, (x * Linear.weights).sum(1).relu())


def test_it_draws_from_its_own_seed_and_leaves_the_global_ones():
    target, x, readouts = case()
    torch.manual_seed(1), np.random.seed(1)
    wanted = torch.rand(2), np.random.rand(2)
    torch.manual_seed(1), np.random.seed(1)
    one = GradientShap(samples=4, noise=.5, seed=0)(target, x, readouts)
    assert torch.equal(torch.rand(2), wanted[0]) and (np.random.rand(2) == wanted[1]).all()
    assert not torch.equal(one, GradientShap(samples=4, noise=.5, seed=1)(target, x, readouts))


def test_the_generator_of_the_images_device_is_left_as_found_too(monkeypatch):
    from contextlib import nullcontext

    forked = []
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: nullcontext(forked.append(list(devices))))
    for device in ("cpu", "cuda:1"):
        with drawn_from(0, torch.device(device)):
            pass
    assert forked == [[], [torch.device("cuda:1")]]
