"""TorchTarget on a network small enough to compute by hand: hooks, reductions, class activation maps, read-outs."""
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mammi.errors import BadInput
from mammi.target.base import Tap, TorchTarget
from mammi.types import Batch

SIDE = 8


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.unused = nn.Linear(2, 2)
        self.classifier = nn.Linear(5, 3)

    def forward(self, x):
        return self.classifier(self.conv2(self.conv1(x).relu()).relu().mean((2, 3)))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Identity()
        self.head = nn.Linear(SIDE, 2)

    def forward(self, x):
        return self.head(self.embed(x[:, 0])[:, 0])


class Grey:
    def __call__(self, image):
        return torch.from_numpy(np.array(image.resize((SIDE, SIDE)), np.float32))[None] / 255

    def __repr__(self):
        return "Grey()"


def target(module=None, **options):
    taps = {"final": Tap("classifier"), "penultimate": Tap("conv2", relu=True)}
    return TorchTarget(module or Network(), Grey(), taps, ("a", "b", "c"), "classifier", name="net", **options)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    images = tuple(Image.fromarray(rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8)) for _ in range(3))
    return Batch(images, ("x", "y", "z"), ("x", "y", "z"))


def test_layers_equal_a_plain_forward_pass(batch):
    net, x = Network().eval(), torch.stack([Grey()(i) for i in batch.images])
    first = net.conv1(x)
    second = net.conv2(first.relu()).relu()
    got = target(net).read(batch, ["final", "penultimate", "conv1"], maps=True)
    assert torch.allclose(got["final"].pooled, net(x))
    assert torch.allclose(got["penultimate"].pooled, second.mean((2, 3)))
    assert torch.allclose(got["conv1"].maps, first) and torch.allclose(got["conv1"].pooled, first.mean((2, 3)))
    assert not got["final"].pooled.requires_grad


def test_class_activation_maps_average_to_the_logits(batch):
    got = target().read(batch, ["final"], maps=True)["final"]
    assert torch.allclose(got.maps.mean((2, 3)), got.pooled, atol=1e-6)


def test_head_gives_the_exact_shapley_values(batch):
    model = target()
    got = model.read(batch, ["final", "penultimate"])
    phi = model.head.weight[None] * got["penultimate"].pooled[:, None]
    assert torch.allclose(phi.sum(2), got["final"].pooled - model.head.bias, atol=1e-6)


def test_read_out_is_differentiable_and_the_same_as_reading(batch):
    model, unit = target(), target().unit("final", 1)
    x = model.prepare(batch).requires_grad_()
    value = unit(model.forward(x, ["final"]))
    value.sum().backward()
    assert unit.name == "b" and x.grad.abs().sum() > 0
    assert torch.allclose(value, model.read(batch, ["final"])["final"].pooled[:, 1])


def test_no_hook_is_left_even_after_an_error(batch):
    model = target()
    model.read(batch, ["conv1"])
    with pytest.raises(BadInput, match="never ran"):
        model.read(batch, ["unused"])
    assert not any(m._forward_hooks for m in model.module.modules())


class InPlace(nn.Module):
    """conv1's output is overwritten by the ReLU behind it, as in torchvision's DenseNet."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.relu, self.classifier = nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.classifier(self.relu(self.conv1(x)).mean((2, 3)))


def test_an_in_place_module_does_not_change_what_was_read(batch):
    net = InPlace().eval()
    model = TorchTarget(net, Grey(), {"final": Tap("classifier")}, ("a", "b", "c"), name="net")
    with torch.no_grad():
        before = net.conv1(model.prepare(batch))
    assert before.min() < 0 and torch.equal(model.read(batch, ["conv1"], maps=True)["conv1"].maps, before)


def test_a_token_reducer_on_maps_is_refused(batch):
    with pytest.raises(BadInput, match="cls is for tokens"):
        target(reducer="cls").read(batch, ["conv1"])


@pytest.mark.parametrize("reducer, width", [("mean", 4), ("max", 4), ("none", 4 * SIDE * SIDE)])
def test_reducers_of_maps(batch, reducer, width):
    got = target(reducer=reducer).read(batch, ["conv1"], maps=True)["conv1"]
    assert got.pooled.shape == (3, width)
    plain = {"mean": got.maps.mean((2, 3)), "max": got.maps.amax((2, 3)), "none": got.maps.flatten(1)}[reducer]
    assert torch.equal(got.pooled, plain)


@pytest.mark.parametrize("reducer", ["mean", "max", "cls"])
def test_reducers_of_tokens(batch, reducer):
    model = TorchTarget(Tokens(), Grey(), {"final": Tap("head")}, ("a", "b"), name="vit", reducer=reducer)
    x = model.prepare(batch)[:, 0]
    plain = {"mean": x.mean(1), "max": x.amax(1), "cls": x[:, 0]}[reducer]
    assert torch.allclose(model.read(batch, ["embed"])["embed"].pooled, plain)


def test_neurons_and_truths():
    model = target()
    assert model.neurons("final") == ("a", "b", "c") and model.neurons("conv2")[4] == "conv2[4]"
    assert model.truths("final") == [["a"], ["b"], ["c"]] and model.truths("conv2") is None


def test_fingerprint_tells_weights_layer_reducer_and_transform_apart():
    other = Network()
    with torch.no_grad():
        other.conv1.weight[0, 0, 0, 0] += 1e-3
    prints = [target().fingerprint("final"), target().fingerprint("conv1"), target(other).fingerprint("final"),
              target(reducer="max").fingerprint("final")]
    assert len(set(prints)) == 4 and target().fingerprint("final") == prints[0]


@pytest.mark.parametrize("options, words", [
    (dict(layer="conv3"), "Did you mean conv"), (dict(layer="penultimat"), "penultimate"),
    (dict(activation="probability"), "logit"), (dict(layer="conv1", activation="prob"), "final"),
    (dict(reducer="median"), "mean")])
def test_bad_input_is_named(options, words):
    with pytest.raises(BadInput, match=words):
        target(**options)
