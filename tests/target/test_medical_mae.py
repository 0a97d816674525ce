"""The paper's two targets on stand-ins: random weights of the true architecture under the true key names."""
import argparse
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from mammi.errors import BadInput, MissingAsset
from mammi.target.densenet121 import DenseNet121
from mammi.target.resnet50 import ResNet50
from mammi.types import Batch

CLASSES = tuple(f"finding {i}" for i in range(14))
TARGETS = {"densenet121": (DenseNet121, "classifier"), "resnet50": (ResNet50, "fc")}


@pytest.fixture(scope="module")
def networks():
    """Networks whose batch normalisation is not what it begins with, so that a tensor left out would show."""
    made = {}
    for name in TARGETS:
        torch.manual_seed(7)
        network = getattr(models, name)(weights=None, num_classes=14)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, .5, 1.5)
                nn.init.normal_(module.bias, std=.1)
                nn.init.normal_(module.running_mean, std=.1)
                nn.init.uniform_(module.running_var, .5, 1.5)
        made[name] = network.eval()
    return made


@pytest.fixture(scope="module")
def radiographs():
    rng = np.random.default_rng(0)
    images = tuple(Image.fromarray(rng.integers(0, 255, (70, 64), np.uint8)) for _ in range(2))
    return Batch(images, ("a", "b"), ("a", "b"))


def saved(tmp_path, content, **options):
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path, **options)
    return str(path)


WRAPPINGS = {
    "bare": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=1, model="x"), "optimizer": {"state": {}}},
    "parallel": lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
    "compiled": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
    "twice": lambda s: {"model": {f"module.model.{k}": v for k, v in s.items()}},
    "old names": lambda s: {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", k): v for k, v in s.items()},
    "no counters": lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("name, wrapping", [*(("densenet121", wrapping) for wrapping in WRAPPINGS),
                                            ("resnet50", "model"), ("resnet50", "parallel")])
def test_every_wrapping_of_a_checkpoint_loads_alike(networks, tmp_path, name, wrapping):
    state = networks[name].state_dict()
    target = TARGETS[name][0](CLASSES, saved(tmp_path, WRAPPINGS[wrapping](state)), resize=32, crop=32)
    own = target.module.state_dict()
    assert set(own) == set(state)
    assert all(torch.equal(t, own[k]) for k, t in state.items() if "num_batches" not in k)


def plain_images(batch, resize=256, crop=224):
    """medical_mae's images, by torchvision."""
    from torchvision.transforms import v2

    look = v2.Compose([v2.Resize(resize), v2.CenterCrop(crop), v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
                       v2.Normalize([.5056] * 3, [.252] * 3)])
    return torch.stack([look(image.convert("RGB")) for image in batch.images])


def test_resnet_layers_are_the_means_of_its_stages(networks, tmp_path, radiographs):
    net = networks["resnet50"]
    target = ResNet50(CLASSES, saved(tmp_path, net.state_dict()))
    layers = ["final", "penultimate", "layer4", "layer3", "layer2", "layer1"]
    got = target.read(radiographs, layers, maps=True)
    with torch.no_grad():
        x = plain_images(radiographs)
        torch.testing.assert_close(target.prepare(radiographs), x)
        x = target.prepare(radiographs)
        torch.testing.assert_close(got["final"].pooled, net(x))
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for i, width in ((1, 256), (2, 512), (3, 1024), (4, 2048)):
            x = getattr(net, f"layer{i}")(x)
            assert got[f"layer{i}"].pooled.shape == (2, width)
            torch.testing.assert_close(got[f"layer{i}"].pooled, x.mean((2, 3)))
    assert torch.equal(got["penultimate"].maps, got["layer4"].maps) and got["layer4"].maps.shape == (2, 2048, 7, 7)
    torch.testing.assert_close(got["final"].maps.mean((2, 3)), got["final"].pooled, rtol=1e-3, atol=1e-3)
    assert target.trained_on == {"nih14/train", "nih14/train_val"} and len(target.neurons("penultimate")) == 2048


def test_densenet_layers_at_a_small_crop(networks, tmp_path, radiographs):
    net = networks["densenet121"]
    target = DenseNet121(CLASSES, saved(tmp_path, net.state_dict()), resize=40, crop=32)
    got = target.read(radiographs, ["final", "penultimate"])
    x = target.prepare(radiographs)
    assert x.shape == (2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(got["final"].pooled, net(x))
        torch.testing.assert_close(got["penultimate"].pooled, net.features(x).relu().mean((2, 3)))
    assert "nih14/train" in target.trained_on
    assert target.fingerprint("final") != DenseNet121(CLASSES, saved(tmp_path, net.state_dict())).fingerprint("final")


def test_other_weights_never_share_a_fingerprint(networks, tmp_path):
    state = networks["densenet121"].state_dict()
    one = DenseNet121(CLASSES, saved(tmp_path, state)).fingerprint("features.conv0")
    other = {**state, "features.norm5.bias": state["features.norm5.bias"] + 1e-6}
    assert DenseNet121(CLASSES, saved(tmp_path, other)).fingerprint("features.conv0") != one


def without(state, *prefixes):
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}


@pytest.mark.fault
@pytest.mark.parametrize("name", TARGETS)
def test_checkpoints_that_fit_by_halves_are_refused(networks, tmp_path, name):
    make, head = TARGETS[name]
    state = networks[name].state_dict()
    key = next(k for k in state if k.endswith("bn2.weight") or k.endswith("norm2.weight"))
    weight = state[f"{head}.weight"]
    wide = {**state, f"{head}.weight": torch.zeros(15, weight.shape[1]), f"{head}.bias": torch.zeros(15)}
    faults = (
            (without(state, key), f"1 missing \\({key}\\)"),
            ({**state, "head.weight": torch.zeros(1)}, r"1 unexpected \(head.weight\)"),
            (wide, "2 of another shape.*head has 15 classes, 14 are expected"),
            (without(state, head), f"2 missing .*no head {head}.*pretrained encoder.*head of 14 classes"),
            ({f"module.encoder_q.{k}": v for k, v in without(state, head).items()}, "no head.*pretrained encoder"),
            ({key: state[key]}, "missing"),
            ({**state, key: state[key][:-1]}, "1 of another shape"))
    for faulty, words in faults if name == "densenet121" else faults[:1] + faults[3:4]:  # these files are 4 x as large
        with pytest.raises(BadInput, match=words):
            make(CLASSES, saved(tmp_path, {"state_dict": faulty}))


@pytest.mark.fault
def test_a_checkpoint_of_the_other_network_is_refused(networks, tmp_path):
    with pytest.raises(BadInput, match="does not fit ResNet: .* missing .* unexpected"):
        ResNet50(CLASSES, saved(tmp_path, networks["densenet121"].state_dict()))


class Payload:
    """What a pickle can do: run a command when it is opened."""

    def __init__(self, call, *args):
        self.reduced = call, args

    def __reduce__(self):
        return self.reduced


@pytest.mark.fault
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["system", "eval", "print", "whole model"])
def test_code_in_a_checkpoint_is_refused_and_never_run(networks, tmp_path, capsys, kind, zipped):
    import os

    trace = tmp_path / "trace"
    content = {"system": lambda: {"state_dict": Payload(os.system, f"touch {trace}")},
               "eval": lambda: {"model": {}, "x": Payload(eval, f"open({str(trace)!r}, 'w')")},
               "print": lambda: [Payload(print, "ran")], "whole model": lambda: networks["densenet121"]}[kind]()
    path = saved(tmp_path, content, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadInput, match="holds more than plain tensors.*none of it was run.*torch.save"):
        ResNet50(CLASSES, path)
    assert not trace.exists() and "ran" not in capsys.readouterr().out
    if kind == "system":  # the trap does work
        torch.load(path, weights_only=False)
        assert trace.exists()


@pytest.mark.fault
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0, .001, .5, .99])
def test_a_part_of_a_file_is_refused(networks, tmp_path, zipped, share):
    path = saved(tmp_path, networks["densenet121"].state_dict(), _use_new_zipfile_serialization=zipped)
    with open(path, "r+b") as file:
        file.truncate(int(share * file.seek(0, 2)))
    with pytest.raises(BadInput, match="no whole"):
        DenseNet121(CLASSES, path)


@pytest.mark.fault
@pytest.mark.parametrize("content", [b"", b"hello\n", b"layer,weight\nfc,1\n", b"<html>not found</html>", b"\x80\x02.",
                                     b"PK\x03\x04", b"version https://git-lfs.github.com/spec/v1\n", bytes(range(256))])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_files_that_are_no_checkpoints_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"weights.{suffix}"):
        ResNet50(CLASSES, str(path))


@pytest.mark.fault
@pytest.mark.parametrize("make, option", [(DenseNet121, "densenet121_nih14"), (ResNet50, "resnet50_nih14")])
@pytest.mark.parametrize("weights", [None, "somewhere/else.pth"])
def test_a_missing_checkpoint_says_where_it_comes_from(make, option, weights):
    with pytest.raises(MissingAsset, match=f"{option}.*paths.target_weights=.*medical_mae"):
        make(CLASSES, weights)
