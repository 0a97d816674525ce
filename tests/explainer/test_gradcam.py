import pytest
import torch
from torch.nn.functional import interpolate

from mammi.errors import BadInput
from mammi.explainer.actmap import ActMap
from mammi.explainer.gradcam import GradCam
from mammi.phantom.names import FINDINGS
from mammi.probing_set.phantom import Phantom
from mammi.target.phantom import PhantomTarget
from tests.explainer.small import case


def enlarge(maps, size):
    return interpolate(maps[:, None], (size, size), mode="bilinear")[:, 0]


def test_it_is_captums():
    from captum.attr import LayerGradCam

    target, images, k = PhantomTarget(), Phantom(n=4, boost=1.0), FINDINGS.index("Effusion")
    x = target.prepare(images.load(range(4)))
    own = GradCam()(target, x, [target.unit("final", k)] * 4)
    theirs = LayerGradCam(target.module, target.module.features).attribute(x, target=k, relu_attributions=True)
    assert own.amax((1, 2)).count_nonzero() > 1
    torch.testing.assert_close(own, enlarge(theirs[:, 0].detach(), 96), rtol=1e-4, atol=1e-7)


def test_by_hand_through_the_relu_that_the_tap_adds():
    target, x, readouts = case()
    net = target.module
    maps = net.second(net.first(x).relu()).relu().detach()
    weights = net.head.weight.detach()[[0, 1, 0]] / 64  # the mean over 8 x 8 positions passes 1/64 of it to each
    plain = torch.stack([sum(w[k] * m[k] for k in range(4)).clamp(min=0) for w, m in zip(weights, maps)])
    torch.testing.assert_close(GradCam()(target, x, readouts), enlarge(plain, 16))


def test_of_a_unit_at_its_own_layer_it_is_the_activation_map():
    target, x, readouts = case("penultimate")
    torch.testing.assert_close(64 * GradCam()(target, x, readouts), ActMap()(target, x, readouts))


def test_an_earlier_layer_shows_more_of_a_unit():
    target, x, readouts = case("penultimate")
    early = GradCam("act")(target, x, readouts)
    kept = target.module.first(x).relu().detach().requires_grad_()
    values = target.module.second(kept).relu().mean((2, 3))
    slopes, = torch.autograd.grad(sum(values[i, r.index] for i, r in enumerate(readouts)), kept)
    torch.testing.assert_close(early, enlarge((slopes.mean((2, 3), keepdim=True) * kept).sum(1).relu().detach(), 16))


@pytest.mark.fault
def test_what_has_no_map_or_does_not_lead_to_the_read_out_is_told():
    target, x, readouts = case()
    with pytest.raises(BadInput, match="no spatial map"):
        GradCam("head")(target, x, readouts)
    with pytest.raises(BadInput, match="does not hang on its layer act2"):
        GradCam("act2")(target, x, [target.unit("first", 0)] * 3)
    with pytest.raises(BadInput, match="no such layer"):
        GradCam("frist")(target, x, readouts)
