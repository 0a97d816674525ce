"""Where the maps of a layer lie on an image: what the transform kept of it."""
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mammi.target.base import Tap, TorchTarget
from mammi.target.efficientnet_lite0 import EfficientNetLite0
from mammi.target.phantom import PhantomTarget
from mammi.target.planted import Planted
from mammi.target.transform import ResizeCrop

SIZES = [(200, 200), (240, 160), (161, 243), (101, 100), (250, 97), (36, 36), (37, 53)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize, crop", [(36, 32), (64, 64), (100, 71)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_pixel_comes_from_where_the_field_says(size, resize, crop, axis):
    """In an image whose grey values count its columns (or rows), what the network gets tells where it was."""
    ramp = np.arange(size[axis], dtype=np.uint8)
    image = Image.fromarray(np.broadcast_to(ramp if axis == 0 else ramp[:, None], size[::-1]).copy())
    transform = ResizeCrop(resize, crop, (0.,), (1.,), "BILINEAR")
    field = transform.field(size)
    near, far = field[axis], field[axis + 2]
    centres = near + (np.arange(crop) + .5) / crop * (far - near) - .5
    pixels = transform(image)[0].numpy() * 255
    got = pixels[crop // 2] if axis == 0 else pixels[:, crop // 2]
    inner = (centres > 3) & (centres < size[axis] - 4)  # at the rim resampling has fewer neighbours
    assert inner.sum() > crop / 2 and np.abs(got - centres)[inner].max() < .75
    assert -.5 <= near < far <= size[axis] + .5


@pytest.mark.parametrize("size", [(64, 64), (91, 64), (64, 77)])
def test_a_marked_pixel_is_the_corner_of_the_crop(size):
    transform = ResizeCrop(64, 33, (0.,), (1.,))
    left, top, right, bottom = transform.field(size)
    assert all(value == int(value) for value in (left, top, right, bottom)), "nothing is resized"
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[int(top), int(left)], pixels[int(bottom) - 1, int(right) - 1] = 255, 255
    got = transform(Image.fromarray(pixels))[0]
    assert got[0, 0] == got[-1, -1] == 1 and got.sum() == 2


def test_nothing_is_cut_from_a_square_image_resized_to_the_crop():
    assert ResizeCrop(224, 224, (.5,), (.5,)).field((1024, 1024)) == (0, 0, 1024, 1024)


def test_the_papers_crop_leaves_77_percent():
    left, top, right, bottom = ResizeCrop(256, 224, (.5,), (.5,)).field((1024, 1024))
    assert (left, top, right, bottom) == (64, 64, 960, 960)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 1), nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


class Squeeze:
    """A transform of one's own: it squeezes the whole image."""

    def __call__(self, image):
        return torch.tensor(np.array(image.convert("L").resize((8, 8)), np.float32))[None]


@pytest.mark.parametrize("transform, expected", [(Squeeze(), (0, 0, 40, 20)),
                                                 (ResizeCrop(10, 8, (.5,), (.5,)), (12, 2, 28, 18))])
def test_a_target_asks_its_transform(transform, expected):
    target = TorchTarget(Network(), transform, {"final": Tap("head")}, ("a", "b"), "head", name="net")
    assert target.field((40, 20)) == expected


@pytest.mark.parametrize("target, expected", [(PhantomTarget, (0, 0, 300, 100)),
                                              (lambda: Planted(["a"]), (0, 0, 300, 100)),
                                              (lambda: EfficientNetLite0(["a"], weights=None), (100, 0, 200, 100))])
def test_shipped_targets(target, expected):
    assert target().field((300, 100)) == expected


def test_a_field_is_no_part_of_a_fingerprint():
    transform = ResizeCrop(256, 224, (.5,), (.5,))
    assert repr(transform) == "ResizeCrop 2(resize=256, crop=224, mean=(0.5,), sd=(0.5,), filter='BICUBIC')"
