"""Mammo-CLIP's image tower as a target, on stand-ins with the authors' key names and on the true sizes."""
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mammi.dissector.mammo_clip import Preprocess
from mammi.efficientnet import B5, EfficientNet
from mammi.errors import BadInput, MissingAsset
from mammi.mammogram import FILE
from mammi.target.depth import blocks
from mammi.target.mammo_clip_tower import MammoCLIPTower
from tests.dissector.test_mammo_clip import STATE, TOWER, batch, mammo_clip, picture, write

SIZE = (48, 64)
TOWER_STATE = {key: value for key, value in STATE.items() if key.startswith("image_encoder.")}


def tower(weights, **options):
    return MammoCLIPTower(weights, **{"size": SIZE, "tower": TOWER, **options})


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


def test_it_is_the_dissectors_tower_and_sees_the_same_pixels(folder):
    target, dissector = tower(folder), mammo_clip(folder)
    images = batch(picture(0), picture(1, "RGB", (30, 40)))
    torch.testing.assert_close(target.prepare(images), dissector.prepare(images.images))
    assert isinstance(dissector.preprocess, Preprocess)
    features = target.read(images, ["final", "penultimate"])
    with torch.no_grad():
        expected = dissector._network.image_encoder(dissector.prepare(images.images))
    torch.testing.assert_close(features["final"].pooled, expected)
    torch.testing.assert_close(features["penultimate"].pooled, expected)
    assert target.neurons("final")[:2] == ("feature 0", "feature 1")


def test_layers_are_the_blocks_in_true_order_by_mean_or_maximum(folder):
    target = tower(folder)
    assert blocks(target) == tuple(f"image_encoder._blocks.{i}" for i in range(5))
    layer, images = "image_encoder._blocks.2", batch(picture(0), picture(1))
    maps = target.read(images, [layer], maps=True)[layer].maps
    assert maps.shape[1] == 12
    np.testing.assert_allclose(target.read(images, [layer])[layer].pooled, maps.mean((2, 3)), atol=1e-6)
    peak = tower(folder, reducer="max")
    np.testing.assert_allclose(peak.read(images, [layer])[layer].pooled, maps.amax((2, 3)), atol=1e-6)
    assert peak.fingerprint(layer) != target.fingerprint(layer)


def test_imagenet_weights_have_other_names_and_a_head_that_is_left_away(folder, tmp_path):
    state = {key.removeprefix("image_encoder."): value for key, value in TOWER_STATE.items()}
    torch.save(state | {"_fc.weight": torch.zeros(1000, 16), "_fc.bias": torch.zeros(1000)}, tmp_path / "imagenet.pth")
    one, other = tower(folder), tower(tmp_path / "imagenet.pth")
    for key, value in one.module.state_dict().items():
        assert torch.equal(value, other.module.state_dict()[key]), key


def test_fine_tuning_begins_with_a_new_head_and_comes_back_with_it(folder, tmp_path):
    begun = tower(folder, classes=["Mass", "Calcification"])
    assert begun.classes == ("Mass", "Calcification") and "head was never trained" in begun.notes[0]
    assert begun.head.layer == "penultimate" and begun.read(batch(picture()), ["final"])["final"].pooled.shape == (1, 2)
    fitted = tmp_path / "fit"
    fitted.mkdir()
    save_file({key: value.contiguous() for key, value in begun.module.state_dict().items()},
              fitted / "weights.safetensors")
    with pytest.raises(BadInput, match="has a head, and no card beside it.*target.classes"):
        tower(fitted / "weights.safetensors")
    card = {"classes": ["Mass", "Calcification"], "trained_on": {"names": ["vindr_mammo/training"], "keys": ""}}
    (fitted / "card.json").write_text(json.dumps(card))
    again = tower(fitted / "weights.safetensors")
    assert again.classes == begun.classes and again.trained_on == {"vindr_mammo/training"}
    torch.testing.assert_close(again.read(batch(picture()), ["final"])["final"].pooled,
                               begun.read(batch(picture()), ["final"])["final"].pooled)


def test_random_weights_are_asked_for_and_named(folder):
    one, other = tower("random", seed=1), tower("random", seed=2)
    assert "random weights" in one.name and "random weights" not in tower(folder).name
    layer = "image_encoder._blocks.0"
    assert len({model.fingerprint(layer) for model in (one, other, tower("random", seed=1), tower(folder))}) == 3


@pytest.mark.fault
def test_files_that_are_not_there_or_of_another_network(tmp_path):
    with pytest.raises(MissingAsset, match="no checkpoint given .paths.mammo_clip.*target.weights=random"):
        tower(None)
    with pytest.raises(MissingAsset, match="there is no file.*EfficientNet-PyTorch"):
        tower(tmp_path / "none.pth")
    lacking = {key: value for key, value in STATE.items() if key != "image_encoder._blocks.1._bn2.weight"}
    write(tmp_path, lacking)
    with pytest.raises(BadInput, match="does not fit Network: 1 missing .image_encoder._blocks.1._bn2.weight"):
        tower(tmp_path)
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(BadInput, match="missing"):
        tower(tmp_path / "other.pth")
    write(tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:2000])
    with pytest.raises(BadInput, match="no whole .safetensors or torch checkpoint"):
        tower(tmp_path)


@pytest.mark.fault
def test_a_size_at_which_maps_would_be_misread(folder):
    """48 pixels high, the second stage's 12 channels are 12 pixels high: channels first or last?"""
    with pytest.raises(BadInput, match="maps of 12 channels would be .* x 12 pixels.*Change the height"):
        tower(folder, size=(64, 48))
    with pytest.raises(BadInput, match="target.size=0"):
        tower(folder, size=(0, 64))


@pytest.mark.slow
def test_the_published_size(tmp_path):
    torch.manual_seed(0)
    torch.save({"model": {f"image_encoder.{key}": value for key, value in EfficientNet(B5).state_dict().items()}},
               tmp_path / FILE)
    target = MammoCLIPTower(tmp_path, size=(228, 380))
    found = blocks(target)
    assert found == tuple(f"image_encoder._blocks.{i}" for i in range(39))
    widths = [len(target.neurons(found[i])) for i in (2, 19, 38)]
    assert widths == [24, 128, 512] and sum(len(target.neurons(layer)) for layer in found) == 6992
    assert target.read(batch(Image.new("L", (300, 500))), ["penultimate"])["penultimate"].pooled.shape == (1, 2048)
