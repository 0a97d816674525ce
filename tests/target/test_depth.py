"""Blocks are found, and layers stand in the order in which an image passes them."""
import pytest
import torch
from torch import nn

from mammi.errors import BadInput
from mammi.target.base import Tap, TorchTarget
from mammi.target.depth import blocks, in_order
from mammi.target.phantom import PhantomTarget
from mammi.target.planted import Planted
from mammi.target.timm_model import TimmModel
from mammi.target.torchvision_model import TorchvisionModel


class Grey:
    def __call__(self, image):
        return torch.zeros(1, 8, 8)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        return x + self.b(self.a(x))


class Backwards(nn.Module):
    """Its first part by name runs last, and one of its blocks never."""

    def __init__(self):
        super().__init__()
        self.late = nn.Sequential(Residual(), Residual())
        self.early = nn.Sequential(Residual())
        self.unused = nn.Sequential(Residual())
        self.head = nn.Linear(64, 2)

    def forward(self, x):
        return self.head(self.late(self.early(x)).flatten(1))


def backwards():
    return TorchTarget(Backwards(), Grey(), {"final": Tap("head"), "penultimate": Tap("late")}, ("a", "b"), name="back")


def test_blocks_come_in_the_order_of_the_forward_pass_not_of_the_names():
    assert blocks(backwards()) == ("early.0", "late.0", "late.1")
    assert in_order(backwards(), ["final", "late.1", "penultimate", "early.0.a", "early.0"]) == (
        "early.0.a", "early.0", "late.1", "penultimate", "final")


@pytest.mark.parametrize("model, count, first, last", [
    ("resnet18", 8, "layer1.0", "layer4.1"), ("densenet121", 7, "features.denseblock1", "features.denseblock4")])
def test_blocks_of_torchvision(model, count, first, last):
    found = blocks(TorchvisionModel(model, None))
    assert len(found) == count and (found[0], found[-1]) == (first, last)


def test_blocks_of_a_transformer_and_of_the_phantom():
    assert blocks(TimmModel("vit_tiny_patch16_224", None)) == tuple(f"blocks.{i}" for i in range(12))
    found = blocks(PhantomTarget(None))
    assert len(found) == 14 and found[2] == "features.transition1"
    assert found.index("features.denseblock2.denselayer6") < found.index("features.transition2")


def test_looking_for_blocks_changes_nothing():
    target = backwards()
    before = target.fingerprint("late")
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = target.module(x)
        blocks(target)
        torch.testing.assert_close(target.module(x), expected)
    assert target.fingerprint("late") == before and not target.module.head._forward_hooks


def test_oracle_units_are_one_layer():
    planted = Planted(["Mass"])
    assert blocks(planted) == in_order(planted, ["final"]) == ("final",)


@pytest.mark.fault
def test_unknown_layers_and_networks_without_blocks():
    with pytest.raises(BadInput, match="back has no such layer"):
        in_order(backwards(), ["early.7"])
    with pytest.raises(BadInput, match="planted has no layer early; its one layer is final"):
        in_order(Planted(["Mass"]), ["early"])
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    plain = TorchTarget(network, Grey(), {"final": Tap("1")}, ("a", "b"), name="plain")
    with pytest.raises(BadInput, match="plain has no blocks that could be found.*task=layers"):
        blocks(plain)
