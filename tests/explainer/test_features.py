import pytest
import torch
from torch import nn

from mammi.errors import BadInput
from mammi.explainer.features import FeatureTap, find
from mammi.target.efficientnet_lite0 import EfficientNetLite0
from mammi.target.phantom import PhantomTarget
from mammi.target.timm_model import TimmModel
from mammi.target.torchvision_model import TorchvisionModel
from mammi.types import Reading


class Plain:
    """A subject of a bare module."""
    name, prefix = "plain", None

    def __init__(self, module):
        self.module = module.eval()

    def forward(self, x, layers, maps=False):
        return {layer: Reading(self.module(x).flatten(1)) for layer in layers}


def shapes(target, x):
    tap = find(target, x, "final")
    readings, features = tap.read(target, x, ["final"])
    assert features[0] is x and tuple(f.shape[1] for f in features) == tap.channels
    assert not any(f.requires_grad for f in features) and torch.equal(readings["final"].pooled, target.module(x))
    assert not any(m._forward_hooks for m in target.module.modules())
    return tap.names, [tuple(f.shape[1:]) for f in features[1:]]


FAMILIES = {
    "phantom": (lambda: PhantomTarget(), 1, 96, ("features.relu0", "features.denseblock1", "features.denseblock2",
                                                 "features.relu5"),
                [(32, 48, 48), (64, 24, 24), (128, 12, 12), (128, 6, 6)]),
    "densenet": (lambda: TorchvisionModel("densenet121", None), 3, 224,
                 ("features.relu0", "features.denseblock1", "features.denseblock2", "features.denseblock3",
                  "features.norm5"),
                 [(64, 112, 112), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (1024, 7, 7)]),
    "resnet": (lambda: TorchvisionModel("resnet50", None), 3, 224, ("relu", "layer1", "layer2", "layer3", "layer4"),
               [(64, 112, 112), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]),
    "resnet of timm": (lambda: TimmModel("resnet18", None), 3, 64, ("act1", "layer1", "layer2", "layer3", "layer4"),
                       [(64, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]),
    "efficientnet": (lambda: EfficientNetLite0(("a", "b"), weights=None), 3, 128,
                     ("blocks.0", "blocks.1", "blocks.2", "blocks.4", "bn2"),
                     [(16, 64, 64), (24, 32, 32), (40, 16, 16), (112, 8, 8), (1280, 4, 4)]),
    "vit": (lambda: TimmModel("vit_tiny_patch16_224", None), 3, 224,
            ("blocks.1", "blocks.3", "blocks.6", "blocks.8", "blocks.11"),
            [(192, 112, 112), (192, 56, 56), (192, 28, 28), (192, 14, 14), (192, 7, 7)]),
    "swin": (lambda: TimmModel("swin_tiny_patch4_window7_224", None), 3, 224,
             ("layers.0", "layers.1", "layers.2", "norm"),
             [(96, 56, 56), (192, 28, 28), (384, 14, 14), (768, 7, 7)]),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_maps_of_every_size(family):
    create, channels, side, names, sizes = FAMILIES[family]
    x = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    assert shapes(create(), x) == (names, sizes)


def test_what_works_in_place_later_does_not_reach_a_feature():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 3, 3, 2, 1),
                        nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    subject, x = Plain(net), torch.randn(2, 1, 16, 16)
    tap = FeatureTap(net, ("0", "2"), (1, 2, 3))
    first = tap.read(subject, x, ["final"])[1]
    assert torch.equal(first[1], net[0](x)) and first[1].min() < 0
    assert find(subject, x, "final").names == ("1", "3")


def test_tokens_are_turned_to_maps_and_resized_by_the_nearest():
    target = TimmModel("vit_tiny_patch16_224", None)
    x = torch.randn(1, 3, 224, 224)
    tap = find(target, x, "final")
    kept = {}
    hook = target.module.blocks[1].register_forward_hook(lambda m, a, output: kept.update(tokens=output))
    features = tap.read(target, x, ["final"])[1]
    hook.remove()
    square = kept["tokens"][0, 1:].T.reshape(192, 14, 14)  # token 0 is the class token
    for i, j in ((0, 0), (17, 50), (111, 111)):
        assert torch.equal(features[1][0, :, i, j], square[:, i // 8, j // 8])
    assert tap.tokens and features[5].shape[-1] == 7


@pytest.mark.fault
def test_a_network_without_maps_is_told():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 2))
    with pytest.raises(BadInput, match="plain has no spatial features.*explainer=rise"):
        find(Plain(net), torch.randn(2, 1, 8, 8), "final")


@pytest.mark.fault
def test_a_module_that_is_gone_is_named():
    with pytest.raises(BadInput, match="no module layer9"):
        FeatureTap(nn.Sequential(), ("layer9",), (1, 2))
