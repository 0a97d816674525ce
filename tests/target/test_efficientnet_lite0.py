"""EfficientNet-Lite0: the packaged weights land where they belong, and nothing loads by halves."""
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import nn

from mammi import backbone
from mammi.errors import BadInput, MissingAsset
from mammi.target.efficientnet_lite0 import EfficientNetLite0
from mammi.target.transform import ResizeCrop
from mammi.types import Batch

CLASSES = ("Mass", "Nodule", "Hernia")


def batch(*images):
    names = tuple(map(str, range(len(images))))
    return Batch(images, names, names)


@pytest.fixture(scope="module")
def radiographs():
    rng = np.random.default_rng(0)
    return batch(*(Image.fromarray(rng.integers(0, 255, (300, 260), np.uint8)) for _ in range(2)))


@pytest.fixture(scope="module")
def lite():
    return EfficientNetLite0(CLASSES, seed=3)


# --- EfficientNet-Lite0 -----------------------------------------------------------------------------------------------

def test_all_296_tensors_are_in_place(lite):
    theirs = backbone.read(backbone.imagenet_weights())
    ours = backbone.efficientnet_lite0().state_dict()
    assert len(theirs) == len(ours) == 296
    for (name, tensor), (own, filled) in zip(theirs.items(), ours.items()):
        assert name.split(".")[-1] == own.split(".")[-1] and torch.equal(tensor, filled), (name, own)
    fresh = lite.module.state_dict()
    assert all(torch.equal(ours[n], fresh[n]) for n in ours if not n.startswith("classifier."))
    assert fresh["classifier.weight"].shape == (3, 1280)


def test_it_still_knows_its_photographs():
    """ImageNet classes of scikit-learn's two photographs: 698 palace, 985 daisy (said of a dahlia)."""
    look = ResizeCrop(224, 224, (.5,) * 3, (.5,) * 3)
    x = torch.stack([look(Image.fromarray(photo)) for photo in load_sample_images().images])
    with torch.no_grad():
        assert backbone.efficientnet_lite0().eval()(x).argmax(1).tolist() == [698, 985]


def test_layers_and_read_outs(lite, radiographs):
    read = lite.read(radiographs, ["final", "penultimate", "blocks.2"], maps=True)
    assert read["final"].pooled.shape == (2, 3) and lite.neurons("final") == CLASSES
    maps = read["penultimate"].maps
    assert maps.shape == (2, 1280, 7, 7) and maps.min() == 0 and maps.max() <= 6  # after the ReLU6
    assert read["blocks.2"].maps.shape == (2, 40, 28, 28)
    weight, bias, layer = lite.head
    assert layer == "penultimate"
    torch.testing.assert_close(read[layer].pooled @ weight.T + bias, read["final"].pooled, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(read["final"].maps.mean((2, 3)), read["final"].pooled, rtol=1e-4, atol=1e-5)
    assert len(lite.neurons("penultimate")) == 1280


def test_seeds_draw_the_head_and_the_random_twin(lite):
    same, other = EfficientNetLite0(CLASSES, seed=3), EfficientNetLite0(CLASSES, seed=4)
    assert lite.fingerprint("final") == same.fingerprint("final") != other.fingerprint("final")
    twins = [EfficientNetLite0(CLASSES, weights=None, seed=s) for s in (3, 3, 4)]
    prints = [twin.fingerprint("final") for twin in twins]
    assert prints[0] == prints[1] != prints[2] and "random weights" in twins[0].name and not twins[0].notes
    assert lite.notes and not torch.equal(twins[0].module.conv_stem.weight, lite.module.conv_stem.weight)


def test_drawing_leaves_the_callers_random_state_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    EfficientNetLite0(CLASSES, weights=None, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_fitted_weights_come_back(lite, tmp_path):
    state = {name: tensor + 1 if name == "classifier.bias" else tensor for name, tensor in
             lite.module.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    again = EfficientNetLite0(CLASSES, weights=str(tmp_path / "w.safetensors"))
    torch.testing.assert_close(again.module.classifier.bias, lite.module.classifier.bias + 1)
    with pytest.raises(BadInput, match=r"2 of another shape \(classifier.weight \(3, 1280\) instead of \(2, 1280\)"):
        EfficientNetLite0(CLASSES[:2], weights=str(tmp_path / "w.safetensors"))
    with pytest.raises(MissingAsset, match="nowhere"):
        EfficientNetLite0(CLASSES, weights="nowhere.safetensors")


def test_by_position_refuses_another_network():
    small = nn.Linear(2, 3).state_dict()
    with pytest.raises(BadInput, match="has 1 tensors, the network 2"):
        backbone.by_position({"a": torch.zeros(3, 2)}, small, "file")
    with pytest.raises(BadInput, match=r"b is \(2,\), but bias"):
        backbone.by_position({"a": torch.zeros(3, 2), "b": torch.zeros(2)}, small, "file")


def test_transform_crops_the_middle_and_keeps_square_images_whole():
    look = ResizeCrop(4, 4, (.5,) * 3, (.25,) * 3)
    ramp = np.arange(16, dtype=np.uint8).reshape(4, 4) * 10
    x = look(Image.fromarray(ramp))
    assert x.shape == (3, 4, 4) and x.dtype == torch.float32
    np.testing.assert_allclose(x[1], (ramp / 255 - .5) / .25, rtol=1e-5)
    wide = np.pad(ramp, ((0, 0), (3, 3)), constant_values=255)
    torch.testing.assert_close(look(Image.fromarray(wide)), x)
    assert repr(look) != repr(ResizeCrop(5, 4, (.5,) * 3, (.25,) * 3))
    assert ResizeCrop(256, 224, (0,) * 3, (1,) * 3)(Image.new("L", (1000, 224))).shape == (3, 224, 224)
