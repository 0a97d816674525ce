"""The head and the last maps of networks nobody described."""
import pytest
import timm
import torch
from torch import nn
from torchvision import models

from mammi.backbone import densenet121, efficientnet_lite0, resnet50
from mammi.errors import BadInput
from mammi.target.any_network import unlike
from mammi.target.base import Tap
from mammi.target.penultimate import find


def noise(size=64, channels=3):
    return torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("network, head, tap", [
    (densenet121, "classifier", Tap("features", relu=True)), (resnet50, "fc", Tap("layer4")),
    (lambda: efficientnet_lite0(None, 3), "classifier", Tap("bn2"))], ids=["densenet121", "resnet50", "lite0"])
def test_it_finds_what_is_written_by_hand(network, head, tap):
    found = find(network().eval(), noise())
    assert found.head == head and found.linear and found.taps == {"final": Tap(""), "penultimate": tap}


def test_a_class_token_is_read_where_it_goes_into_the_head():
    vit = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=3).eval()
    assert find(vit, noise(), prefix=1).taps["penultimate"] == Tap("head", input=True)


def test_channels_last_and_a_layer_between_average_and_head():
    swin = find(timm.create_model("swin_tiny_patch4_window7_224", img_size=64, depths=(1, 1, 1, 1), window_size=2,
                                  num_classes=3).eval(), noise())
    assert swin.taps["penultimate"] == Tap("norm")
    convnext = find(timm.create_model("convnext_atto", num_classes=3).eval(), noise())
    assert (convnext.head, convnext.taps["penultimate"]) == ("head.fc", Tap("head.fc", input=True))


def test_two_averaged_heads_are_not_linear_on_one_layer():
    deit = timm.create_model("deit_tiny_distilled_patch16_224", img_size=64, num_classes=3).eval()
    found = find(deit, noise(), prefix=2)
    assert found.head == "head" and not found.linear and found.classes == 3


@pytest.mark.parametrize("network", [lambda: models.squeezenet1_1(num_classes=3),
                                     lambda: timm.create_model("resnet18", num_classes=0)], ids=["conv", "none"])
def test_without_a_linear_head_there_is_no_penultimate(network):
    found = find(network().eval(), noise())
    assert found.head is None and set(found.taps) == {"final"}


class Small(nn.Module):
    """Max pooling into the head: no mean of any map is what it sees."""

    def __init__(self, out=lambda y: y):
        super().__init__()
        self.conv, self.hidden, self.fc, self.out = nn.Conv2d(1, 4, 3), nn.Linear(4, 4), nn.Linear(4, 2), out

    def forward(self, x):
        return self.out(self.fc(self.hidden(self.conv(x).amax((2, 3))).relu()))


def test_maps_that_are_not_averaged_are_not_taken():
    found = find(Small().eval(), noise(16, 1))
    assert found.head == "fc" and found.taps["penultimate"] == Tap("fc", input=True)
    assert find(Small().eval(), noise(16, 1), head="hidden").taps["penultimate"] == Tap("hidden", input=True)


def test_no_hook_is_left():
    network = Small()
    find(network.eval(), noise(16, 1))
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.fault
@pytest.mark.parametrize("out, head, words", [
    (lambda y: {"logits": y}, None, "returns dict"), (lambda y: y[:, :, None], None, r"returns \(1, 2, 1\)"),
    (lambda y: y, "fd", "target.head=fd.*Did you mean fc"), (lambda y: y, "unused", "never ran")])
def test_networks_that_are_no_classifiers_are_refused(out, head, words):
    network = Small(out)
    network.unused = nn.Linear(2, 2)
    with pytest.raises(BadInput, match=words):
        find(network.eval(), noise(16, 1), head)


@pytest.mark.fault
@pytest.mark.parametrize("network", [Small(), nn.LSTM(3, 3), nn.Linear(3, 3), nn.Module()])
def test_networks_that_cannot_take_the_image_are_refused(network):
    with pytest.raises(BadInput, match=r"cannot take an image of shape \(3, 64, 64\).*target.size"):
        find(network.eval(), noise())


def test_an_average_that_a_relu_changes_is_not_the_heads_input():
    """Of few units, each average may by chance be positive for one input: then the ReLU behind it does nothing."""
    wrong = 0
    for seed in range(60):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(3, 2, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.ReLU(),
                                nn.Linear(2, 3)).eval()
        tap = find(network, unlike(3, 32)).taps["penultimate"]
        below = network[:3](torch.randn(20, 3, 32, 32) + torch.linspace(-2, 2, 20)[:, None, None, None])
        wrong += not tap.input and bool((below < 0).any())
    assert wrong == 0
