"""torchvision, timm and own networks with checkpoints, against plain forward passes of the same module."""
import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from mammi.errors import BadInput, MissingAsset
from mammi.target.any_network import AnyNetwork, class_names, first_conv
from mammi.target.own_network import OwnNetwork
from mammi.target.timm_model import TimmModel
from mammi.target.torchvision_model import TorchvisionModel, _published
from mammi.types import Batch

CLASSES = ["Mass", "Nodule", "Hernia"]


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    images = tuple(Image.fromarray(rng.integers(0, 255, (90, 80), np.uint8)) for _ in range(2))
    return Batch(images, ("a", "b"), ("a", "b"))


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(3)
    return models.resnet18(num_classes=3).eval()


def saved(folder, state, name="weights.safetensors"):
    path = folder / name
    if name.endswith("safetensors"):
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)


# --- torchvision ------------------------------------------------------------------------------------------------------

def test_a_torchvision_network_with_its_checkpoint(resnet, batch, tmp_path):
    target = TorchvisionModel("resnet18", saved(tmp_path, resnet.state_dict()), CLASSES, size=64)
    got = target.read(batch, ["final", "penultimate", "layer2.0.conv1"], maps=True)
    x = target.prepare(batch)
    assert x.shape == (2, 3, 64, 64) and target.transform.resize == 73  # 64 / 224 * 256
    with torch.no_grad():
        torch.testing.assert_close(got["final"].pooled, resnet(x))
        y = resnet.layer1(resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(x)))))
        torch.testing.assert_close(got["layer2.0.conv1"].maps, resnet.layer2[0].conv1(y))
        y = resnet.layer4(resnet.layer3(resnet.layer2(y)))
    torch.testing.assert_close(got["penultimate"].maps, y)
    torch.testing.assert_close(got["final"].maps.mean((2, 3)), got["final"].pooled, rtol=1e-4, atol=1e-5)
    assert target.neurons("final") == tuple(CLASSES) and target.name == "resnet18" and not target.notes


def test_published_settings_and_names_go_with_the_published_file(tmp_path):
    enum = models.ResNet18_Weights.IMAGENET1K_V1
    torch.manual_seed(0)
    path = saved(tmp_path, models.resnet18().state_dict(), enum.url.rpartition("/")[2])
    target = TorchvisionModel("resnet18", path)
    assert len(target.classes) == 1000 and target.classes[0] == "tench"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 280, 3), np.uint8))
    torch.testing.assert_close(target.transform(image), enum.transforms()(image), atol=1e-5, rtol=1e-5)
    weights = models.ResNet50_Weights
    assert weights.DEFAULT.transforms().resize_size != weights.IMAGENET1K_V1.transforms().resize_size
    assert all(_published(weights, f"/x/{member.url.rpartition('/')[2]}") == member for member in weights)


def test_vit_tokens_against_its_own_blocks(batch):
    target = TorchvisionModel("vit_b_32", None, CLASSES, size=64, seed=1)
    assert target.prefix == 1
    net, x = target.module, target.prepare(batch)
    with torch.no_grad():
        patches = net._process_input(x)
        y = torch.cat([net.class_token.expand(2, -1, -1), patches], 1) + net.encoder.pos_embedding
        for block in net.encoder.layers:
            y = block(y)
        y = net.encoder.ln(y)
    got = target.read(batch, ["encoder.ln", "penultimate", "final"], maps=True)
    torch.testing.assert_close(got["encoder.ln"].pooled, y[:, 1:].mean(1))
    assert got["encoder.ln"].maps.shape == (2, 768, 2, 2)
    torch.testing.assert_close(got["penultimate"].pooled, y[:, 0])
    torch.testing.assert_close(got["final"].pooled, net.heads.head(y[:, 0]).detach())
    assert got["penultimate"].maps is None and got["final"].maps is None
    weight, bias, layer = target.head
    torch.testing.assert_close(got[layer].pooled @ weight.T + bias, got["final"].pooled)


def test_grey_networks_take_grey_images(batch):
    target = TorchvisionModel("resnet18", None, CLASSES, size=64, channels=1)
    assert target.module.conv1.in_channels == 1 and target.prepare(batch).shape == (2, 1, 64, 64)
    assert target.transform.mean == (pytest.approx((.485 + .456 + .406) / 3),)
    assert target.read(batch, ["final"])["final"].pooled.shape == (2, 3)
    first = first_conv(nn.Sequential(nn.Conv2d(3, 4, 5, 2, padding=2, bias=False)), 1)[0]
    assert (first.kernel_size, first.stride, first.padding, first.bias) == ((5, 5), (2, 2), (2, 2), None)


# --- timm -------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(3)
    return timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=3).eval()


@pytest.mark.parametrize("reducer", ["mean", "max", "cls"])
def test_vit_tokens_of_timm(vit, batch, tmp_path, reducer):
    path = saved(tmp_path, {f"model.{k}": v for k, v in vit.state_dict().items()}, "lightning.ckpt")
    target = TimmModel("vit_tiny_patch16_224", path, CLASSES, size=64, reducer=reducer)
    x = target.prepare(batch)
    with torch.no_grad():
        tokens = vit.forward_features(x)
        logits = vit(x)
    got = target.read(batch, ["norm", "penultimate", "final"], maps=True)
    plain = {"mean": tokens[:, 1:].mean(1), "max": tokens[:, 1:].amax(1), "cls": tokens[:, 0]}[reducer]
    torch.testing.assert_close(got["norm"].pooled, plain)
    torch.testing.assert_close(got["norm"].maps, tokens[:, 1:].transpose(1, 2).reshape(2, 192, 4, 4))
    torch.testing.assert_close(got["penultimate"].pooled, tokens[:, 0])
    torch.testing.assert_close(got["final"].pooled, logits)


def test_settings_come_from_timm_and_its_tags():
    from timm.data import create_transform, resolve_model_data_config

    plain, tagged = (TimmModel(name, None, CLASSES).transform for name in ("resnet18", "resnet18.tv_in1k"))
    assert (plain.filter, tagged.filter) == ("BICUBIC", "BILINEAR") and tagged.resize == 256
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 280, 3), np.uint8))
    for transform, name in ((plain, "resnet18"), (tagged, "resnet18.tv_in1k")):
        theirs = create_transform(**resolve_model_data_config(timm.create_model(name)))
        torch.testing.assert_close(transform(image), theirs(image), atol=1e-5, rtol=1e-5)


def test_the_checkpoints_head_says_how_many_classes(batch, tmp_path):
    torch.manual_seed(0)
    net = timm.create_model("resnet18", num_classes=5, in_chans=1).eval()
    target = TimmModel("resnet18", saved(tmp_path, net.state_dict()), size=64, channels=1)
    assert target.classes == tuple(f"class {i}" for i in range(5))
    with torch.no_grad():
        torch.testing.assert_close(target.read(batch, ["final"])["final"].pooled, net(target.prepare(batch)))
    assert TimmModel("resnet18", None, size=64).classes[999] == "class 999"


def test_an_encoder_without_head_has_outputs(batch):
    target = OwnNetwork(timm.create_model("resnet18", num_classes=0), None, size=64)
    assert target.classes[-1] == "output 511" and target.head is None
    with pytest.raises(BadInput, match="target.layer=penultimate"):
        OwnNetwork(timm.create_model("resnet18", num_classes=0), None, size=64, layer="penultimate")


# --- what they share --------------------------------------------------------------------------------------------------

def test_a_new_head_leaves_the_rest_as_the_checkpoint_has_it(resnet, tmp_path):
    target = TorchvisionModel("resnet18", saved(tmp_path, resnet.state_dict()), ["a", "b"], new_head=True, size=64)
    state = target.module.state_dict()
    assert all(torch.equal(state[k], t) for k, t in resnet.state_dict().items() if not k.startswith("fc."))
    assert state["fc.weight"].shape == (2, 512) and "never trained" in target.notes[0]
    with pytest.raises(BadInput, match="new_head=true.*target.classes"):
        TorchvisionModel("resnet18", saved(tmp_path, resnet.state_dict()), new_head=True)


def test_random_weights_are_said_and_drawn_from_the_seed():
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    prints = [TimmModel("resnet18", None, CLASSES, size=64, seed=seed).fingerprint("final") for seed in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2] and torch.equal(torch.rand(2), expected)
    assert TimmModel("resnet18", None, CLASSES, size=64).name == "resnet18 (random weights)"


def test_fingerprints_know_what_weights_cannot_tell(tmp_path):
    """Two networks with the same tensors that pad differently; two image sizes."""
    torch.manual_seed(0)
    state = timm.create_model("tf_efficientnet_lite0", num_classes=3).state_dict()
    path = saved(tmp_path, state)
    prints = [TimmModel(name, path, CLASSES, size=size, mean=[.5] * 3, sd=[.5] * 3, crop_pct=1).fingerprint("final")
              for name, size in (("tf_efficientnet_lite0", 64), ("efficientnet_lite0", 64),
                                 ("tf_efficientnet_lite0", 96))]
    assert len(set(prints)) == 3


def test_what_it_was_trained_on_is_taken_over(resnet, tmp_path):
    (tmp_path / "card.json").write_text('{"trained_on": {"names": ["mine/train"], "keys": "0123456789ab"}}')
    target = TorchvisionModel("resnet18", saved(tmp_path, resnet.state_dict()), CLASSES, trained_on=["nih14/train"])
    assert target.trained_on == {"nih14/train", "mine/train", "0123456789ab"}
    assert not TorchvisionModel("resnet18", None, CLASSES, trained_on=["nih14/train"]).trained_on


def test_class_names_from_a_file(tmp_path):
    (tmp_path / "names.txt").write_text("Mass\nPleural thickening\n\n")
    assert class_names(str(tmp_path / "names.txt")) == ("Mass", "Pleural thickening") and class_names(None) is None


class Own(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.out = nn.Linear(4, classes)

    def forward(self, x):
        return self.out(self.body(x).mean((2, 3)))


def test_an_own_network(batch, tmp_path):
    torch.manual_seed(0)
    net = Own()
    path = saved(tmp_path, net.state_dict())
    target = OwnNetwork(Own(), path, ["ill", "well"], size=16, resize=20, mean=.5, sd=.5)
    got = target.read(batch, ["final", "penultimate"], maps=True)
    with torch.no_grad():
        torch.testing.assert_close(got["final"].pooled, net(target.prepare(batch)))
    assert got["penultimate"].maps.shape == (2, 4, 16, 16) and target.name == "Own"
    assert OwnNetwork(Own(), None, size=16, mean=.5, sd=.5).name == "Own (as built)"


# --- faults -----------------------------------------------------------------------------------------------------------

@pytest.mark.fault
@pytest.mark.parametrize("make, options, words", [
    (TorchvisionModel, dict(model="resnet81"), "no such classification network. Did you mean resnet18"),
    (TorchvisionModel, dict(model="fcn_resnet50"), "no such classification network"),
    (TimmModel, dict(model="vit_tiny_patch16_242"), "timm has no such network. Did you mean vit_tiny_patch16_224"),
    (TimmModel, dict(model="resnet18.a9_in1k"), "no weights 'a9_in1k' of resnet18. Did you mean .*resnet18.a1_in1k"),
    (TimmModel, dict(model="hf_hub:timm/resnet18"), "timm has no such network"),
    (TimmModel, dict(channels=4), "target.channels=4: expected 1"),
    (TorchvisionModel, dict(channels=2), "target.channels=2: expected 1"),
    (TimmModel, dict(channels=1, mean=[.5] * 3, sd=[.5] * 3), "target.channels=1"),
    (TimmModel, dict(crop_pct=87), "target.crop_pct=87"), (TimmModel, dict(size="224"), "target.size=224"),
    (TimmModel, dict(mean=[123.7, 116.3, 103.5], sd=[58.4, 57.1, 57.4]), "divided by 255"),
    (TimmModel, dict(filter="bicubik"), "Did you mean BICUBIC"), (TimmModel, dict(head="fd"), "Did you mean fc"),
    (TimmModel, dict(layer="layer5"), "target.layer=layer5.*Did you mean layer4"),
    (TimmModel, dict(classes=["a", "a"]), "expected different names"), (TimmModel, dict(classes=[]), "target.classes"),
    (TimmModel, dict(reducer="median"), "target.reducer=median"), (OwnNetwork, dict(module=3), "target.module is int")])
def test_options_that_cannot_be_are_named(make, options, words):
    given = {"model": "resnet18", "classes": CLASSES, "size": 64} if make is not OwnNetwork else {}
    with pytest.raises(BadInput, match=words):
        make(**{"weights": None, **given, **options})


@pytest.mark.fault
def test_checkpoints_that_do_not_fit_are_refused(resnet, tmp_path):
    state = resnet.state_dict()
    encoder = {k: v for k, v in state.items() if not k.startswith("fc.")}
    other = models.resnet34(num_classes=3).state_dict()
    for faulty, classes, words in (
            (encoder, CLASSES, "no head fc: is it the pretrained encoder"), (encoder, None, "no head fc"),
            (state, [*CLASSES, "Edema"], "head has 3 classes, 4 are expected"), (other, CLASSES, "unexpected"),
            ({**state, "fc2.weight": torch.zeros(1)}, CLASSES, r"1 unexpected \(fc2.weight\)"),
            ({k: v for k, v in state.items() if k != "bn1.bias"}, CLASSES, r"1 missing \(bn1.bias\)"),
            ({k: v.repeat(2, *[1] * (v.ndim - 1)) if k == "conv1.weight" else v for k, v in state.items()}, CLASSES,
             "conv1.weight .* instead of")):
        with pytest.raises(BadInput, match=words):
            TorchvisionModel("resnet18", saved(tmp_path, faulty), classes, size=64)


@pytest.mark.fault
def test_a_grey_checkpoint_in_a_colour_network(tmp_path):
    state = timm.create_model("resnet18", num_classes=3, in_chans=1).state_dict()
    with pytest.raises(BadInput, match=r"conv1.weight \(64, 1, 7, 7\) instead of \(64, 3, 7, 7\)"):
        TimmModel("resnet18", saved(tmp_path, state), CLASSES)


@pytest.mark.fault
@pytest.mark.parametrize("make", [TorchvisionModel, TimmModel])
def test_an_absent_file_is_named(make, tmp_path):
    with pytest.raises(MissingAsset, match="target.weights: there is no file .*nowhere.*target.weights=FILE"):
        make("resnet18", tmp_path / "nowhere.pth", CLASSES)
    with pytest.raises(MissingAsset, match="names.txt"):
        make("resnet18", None, str(tmp_path / "names.txt"))


@pytest.mark.fault
def test_as_many_names_as_outputs():
    with pytest.raises(BadInput, match="target.classes has 3 names, but the network 2 outputs"):
        OwnNetwork(Own(2), None, CLASSES, size=16, mean=.5, sd=.5)


@pytest.mark.fault
def test_a_constant_network_stops_at_the_first_batch():
    images = tuple(Image.fromarray(np.random.default_rng(i).integers(0, 255, (16, 16), np.uint8)) for i in range(8))
    network = Own()
    nn.init.zeros_(network.out.weight)
    target = OwnNetwork(network, None, size=16, mean=.5, sd=.5)
    assert isinstance(target, AnyNetwork)
    with pytest.raises(BadInput, match="all 2 units of final say the same of 8 different images"):
        target.read(Batch(images, tuple("abcdefgh"), tuple("abcdefgh")), ["final"])


@pytest.mark.fault
def test_the_checkpoint_of_another_network_is_called_so(resnet, tmp_path):
    path = saved(tmp_path, resnet.state_dict())
    with pytest.raises(BadInput, match="It is the checkpoint of another network$"):
        TorchvisionModel("mobilenet_v3_small", path)
    path = saved(tmp_path, {k: t for k, t in resnet.state_dict().items() if not k.startswith("fc.")})
    with pytest.raises(BadInput, match="It has no head fc: is it the pretrained encoder"):
        TorchvisionModel("resnet18", path)


def test_fitted_classes_need_not_be_repeated(resnet, tmp_path):
    path = saved(tmp_path, models.resnet18(num_classes=2).state_dict())
    (tmp_path / "card.json").write_text(json.dumps({"classes": ["Normal", "Opacity"], "transform": "other"}))
    target = TorchvisionModel("resnet18", path, size=64)
    assert target.neurons("final") == ("Normal", "Opacity") and "prepared as other, here" in target.notes[0]
    with pytest.raises(BadInput, match="output 0 .* was fitted as Normal, here it is called Opacity"):
        TorchvisionModel("resnet18", path, ["Opacity", "Normal"], size=64)
