"""What every explainer keeps: shape, range, and the same map for the same image."""
import numpy as np
import pytest
import torch

from mammi.errors import BadInput
from mammi.explainer.actmap import ActMap
from mammi.explainer.base import of_sign, read, without_offset
from mammi.explainer.extremal import Extremal
from mammi.explainer.gradcam import GradCam
from mammi.explainer.gradients import GradientShap, IntegratedGradients
from mammi.explainer.relax import Relax
from mammi.explainer.rise import Rise
from mammi.target.planted import Planted
from tests.explainer.small import case

ALL = [ActMap(), ActMap(percentile=70), GradCam(), IntegratedGradients(steps=8), GradientShap(samples=6, noise=.1),
       Rise(masks=20, cells=3, batch_size=8), Relax(masks=20, cells=3, batch_size=8), Extremal(steps=6, cells=4)]


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("layer", ["final", "penultimate"])
def test_an_explanation_is_a_map_that_two_calls_agree_on(explainer, layer):
    target, x, readouts = case(layer)
    before = {key: value.clone() for key, value in target.module.state_dict().items()}
    explainer.check(target, readouts)
    out = explainer(target, x, readouts)
    assert out.shape == (3, 16, 16) and out.dtype == torch.float32 and out.min() >= 0 and out.isfinite().all()
    torch.rand(3), np.random.rand()  # whatever was drawn in between
    assert torch.equal(out, explainer(target, x, readouts)), "the same call, another map"
    assert not out.requires_grad and all(torch.equal(value, before[key])
                                         for key, value in target.module.state_dict().items())


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: one.name)
def test_an_image_s_map_does_not_hang_on_the_others(explainer):
    target, x, readouts = case()
    alone = explainer(target, x[1:2], readouts[1:2])
    torch.testing.assert_close(alone, explainer(target, x, readouts)[1:2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("explainer", [one for one in ALL if one.name != "relax"], ids=lambda one: one.name)
def test_another_read_out_has_another_map(explainer):
    target, x, _ = case()
    one, other = (explainer(target, x[:1], [target.unit("final", k)]) for k in (0, 1))
    assert not torch.allclose(one, other)


@pytest.mark.fault
@pytest.mark.parametrize("explainer", [one for one in ALL if one.name != "actmap"], ids=lambda one: one.name)
def test_units_without_a_network_can_only_be_read_off_their_maps(explainer):
    planted = Planted(["Mass"])
    with pytest.raises(BadInput, match="needs (gradients|a network)"):
        explainer.check(planted, [planted.unit("final", 0)])
    ActMap().check(planted, [planted.unit("final", 0)])


@pytest.mark.fault
@pytest.mark.parametrize("make, words", [
    (lambda: ActMap(percentile=170), "percentile"), (lambda: IntegratedGradients(steps=0), "steps"),
    (lambda: IntegratedGradients(sign="both"), "absolute or positive"), (lambda: GradientShap(noise=-1), "noise"),
    (lambda: Rise(masks=0), "masks"), (lambda: Rise(keep=2), "keep"), (lambda: Relax(certain="yes"), "certain"),
    (lambda: Extremal(area=1.5), "area"), (lambda: Extremal(fill="black"), "blur or mean")])
def test_bad_options_are_told(make, words):
    with pytest.raises(BadInput, match=words):
        make()


def test_values_are_read_image_by_image():
    target, x, _ = case()
    out = target.module(x)
    mixed = read(target, x, [target.unit("final", 1), target.unit("penultimate", 2), target.unit("final", 0)])
    maps = target.module.second(target.module.first(x).relu()).relu()
    torch.testing.assert_close(mixed, torch.stack([out[0, 1], maps[1, 2].mean(), out[2, 0]]))


def test_signs_and_offsets():
    signed = torch.tensor([[[[1., -4.]], [[2., 1.]]]])
    assert of_sign(signed, "absolute").tolist() == [[[3, 3]]] and of_sign(signed, "positive").tolist() == [[[3, 0]]]
    assert without_offset(torch.tensor([[[2., 5.]], [[1., 1.]]])).tolist() == [[[0, 3]], [[0, 0]]]
