"""Wrong pixel ranges and constant networks are refused; odd but honest batches pass."""
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mammi.errors import BadInput
from mammi.target.base import Tap, TorchTarget
from mammi.target.transform import ResizeCrop, resize_crop
from mammi.types import Batch

SIDE = 8


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.fc = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))


class Scaled(ResizeCrop):
    """What a wrong transform does: the declared one, then times and plus."""

    times, plus = 1., 0.

    def __call__(self, image):
        return super().__call__(image) * self.times + self.plus


def look(times=1., plus=0., mean=.5, sd=.25):
    transform = Scaled(SIDE, SIDE, (mean,), (sd,))
    object.__setattr__(transform, "times", times)
    object.__setattr__(transform, "plus", plus)
    return transform


def target(network=None, transform=None):
    return TorchTarget(network or Network(), transform or look(), {"final": Tap("fc")}, "abc", name="net")


def batch(n=8, seed=0, low=0, high=255):
    rng = np.random.default_rng(seed)
    images = tuple(Image.fromarray(rng.integers(low, high + 1, (SIDE, SIDE), dtype=np.uint8)) for _ in range(n))
    names = tuple(map(str, range(n)))
    return Batch(images, names, names)


def trained():
    """A network whose normalisation has seen images as ``look()`` prepares them."""
    network = Network().train()
    for seed in range(20):
        network(torch.stack([look()(image) for image in batch(32, seed).images]))
    return network.eval()


def test_honest_batches_pass():
    same = batch(8)
    same = Batch(same.images[:1] * 8, same.ids, same.ids)
    dark = Batch(tuple(Image.new("L", (SIDE, SIDE), i) for i in range(8)), same.ids, same.ids)
    for some in (batch(), batch(1), same, dark):
        assert target().read(some, ["final", "conv"])["final"].pooled.shape == (len(some), 3)
        assert target(trained()).read(some, ["final"])


def test_a_dead_unit_is_no_alarm():
    network = Network()
    with torch.no_grad():
        network.fc.weight[1] = 0
    assert target(network).read(batch(), ["final"])["final"].pooled[:, 1].std() == 0


@pytest.mark.fault
@pytest.mark.parametrize("times, plus", [(255, 0), (4, -2), (1, 1)], ids=["0-255", "normalised twice", "shifted"])
def test_pixels_outside_the_declared_range_are_refused(times, plus):
    with pytest.raises(BadInput, match="prepared pixels span .* can only span -2 to 2"):
        target(transform=look(times, plus)).read(batch(2), ["final"])


@pytest.mark.fault
def test_images_divided_by_255_twice_are_refused():
    with pytest.raises(BadInput, match="divided by 255 twice"):
        target(transform=look(1 / 255, -2 + 2 / 255)).read(batch(), ["final"])
    one = Batch((Image.new("L", (SIDE, SIDE), 7),) * 8, tuple("abcdefgh"), tuple("abcdefgh"))
    assert target().read(one, ["conv"])  # one and the same grey image, eight times


@pytest.mark.fault
@pytest.mark.parametrize("mean, sd", [(0., 1 / 255), (.5, 1 / 2048), (0, .25 / 1024)],
                         ids=["0-255", "-1024-1024", "0-4096"])
def test_a_checkpoint_of_another_pixel_range_is_refused(mean, sd):
    """The images are prepared as declared, but the network's normalisation knows others."""
    with pytest.raises(BadInput, match="varies .* times as much as in training.*another range"):
        target(trained(), look(mean=mean, sd=sd)).read(batch(), ["final"])


def test_training_statistics_nobody_made_are_not_believed():
    assert target(Network(), look(mean=0, sd=1 / 255)).read(batch(), ["final"])


@pytest.mark.fault
@pytest.mark.parametrize("where", ["fc", "conv"])
def test_a_constant_network_is_refused(where):
    network = Network().eval()
    nn.init.zeros_(getattr(network, where).weight)
    with pytest.raises(BadInput, match="all 3 units of final say the same of 8 different images.*task=layers"):
        target(network).read(batch(), ["final"])
    assert target(network).read(batch(7), ["final"])  # too few to tell


@pytest.mark.fault
def test_a_transform_that_makes_nan_is_refused():
    with pytest.raises(BadInput, match="NaN or infinity"):
        target(transform=look(float("nan"))).read(batch(1), ["final"])


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [
    (dict(mean=(123.7, 116.3, 103.5), sd=(58.4, 57.1, 57.4)), "target.mean=123.7.*divided by 255"),
    (dict(mean=.5, sd=0), "target.sd=0"), (dict(mean=(.5, .5), sd=(.5, .5)), "one number each, or three"),
    (dict(mean=.5, sd=(.5,) * 3), "one number each, or three"), (dict(filter="bicubik"), "Did you mean BICUBIC"),
    (dict(resize=32), "target.resize=32"), (dict(crop=0), "target.crop=0")])
def test_settings_of_images_that_cannot_be_are_named(options, words):
    with pytest.raises(BadInput, match=words):
        resize_crop(**{**dict(resize=64, crop=64, mean=.5, sd=.25), **options})


def test_range_and_grey():
    colour, grey = ResizeCrop(4, 4, (.5, .4, .5), (.25, .2, .5)), resize_crop(4, 4, .5, 1 / 2048, "bilinear")
    assert colour.range == (-2, pytest.approx(3)) and grey.range == (-1024, 1024)
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    assert colour(image).shape == (3, 4, 4) and grey(image).shape == (1, 4, 4)
    values = np.asarray(image.convert("L"), np.float64)
    np.testing.assert_allclose(grey(image)[0], (2 * values / 255 - 1) * 1024, rtol=1e-5)
