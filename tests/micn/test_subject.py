"""Maps of classes, rules and concepts: exact where the head is linear, else a plain loop's derivative."""
import numpy as np
import pytest
import torch
from PIL import Image

from mammi.errors import BadInput
from mammi.explainer.actmap import ActMap
from mammi.micn.model import MedMICN
from mammi.micn.subject import LAYERS, Explained
from mammi.micn.train import EndToEnd
from mammi.target.base import Tap, TorchTarget
from mammi.types import Batch, Readout


class Grey:
    def __call__(self, image):
        return torch.from_numpy(np.array(image, np.float32))[None] / 255

    def __repr__(self):
        return "Grey()"


def subject(layer="penultimate"):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 5, 4, 4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                                  torch.nn.Flatten(), torch.nn.Linear(5, 2))
    target = TorchTarget(network, Grey(), {"final": Tap(""), "penultimate": Tap("1")}, ("a", "b"), "4", name="tiny")
    return Explained(target, EndToEnd(target, layer, MedMICN(5, 3, 2)))


def images(n=2):
    rng = np.random.default_rng(0)
    pictures = tuple(Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)) for _ in range(n))
    return Batch(pictures, tuple("ab"[:n]), tuple("ab"[:n]))


def test_maps_are_the_backbone_s_weighted_with_a_unit_s_slopes():
    one = subject()
    x = one.prepare(images())
    found = one.forward(x, LAYERS, maps=True)
    below = one.module.read(x, maps=True)
    for layer, get in zip(LAYERS, (lambda o: o.scores, lambda o: o.reasoning.truth, lambda o: o.concept_logits)):
        assert torch.equal(found[layer].pooled, get(one.module(x)))
        for b, k in np.ndindex(*found[layer].pooled.shape):
            features = below.pooled[b].detach().clone().requires_grad_(True)
            slopes, = torch.autograd.grad(get(one.module.head(features[None]))[0, k], features)
            expected = sum(slope * each for slope, each in zip(slopes, below.maps[b]))
            torch.testing.assert_close(found[layer].maps[b, k], expected)


def test_any_explainer_can_ask():
    one = subject()
    x = one.prepare(images())
    saliency = ActMap()(one, x, [Readout("class", 1), Readout("concept", 2)])
    assert saliency.shape == (2, 16, 16) and saliency.min() >= 0 and torch.isfinite(saliency).all()
    x.requires_grad_(True)
    one.forward(x, ["concept"])["concept"].pooled[0, 0].backward()
    assert x.grad[0].abs().max() > 0 and x.grad[1].abs().max() == 0


def test_a_layer_without_maps_is_told():
    one = subject("3")
    with pytest.raises(BadInput, match="no spatial map"):
        ActMap()(one, one.prepare(images()), [Readout("class", 0)] * 2)
