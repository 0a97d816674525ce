"""Image towers of the locked-text dissector: an image in, a map of features out.

A tower is a torch module, (B, C, H, W) -> (B, channels, h, w), with

channels     number of features
frozen       True where training leaves it alone: its weights are then no part of the dissector's file
transform    PIL image -> (C, H, W) float tensor; its repr is part of the fingerprint
fingerprint  of the architecture, and of the weights where frozen
"""
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import nn

from mammi.errors import BadInput, near
from mammi.files import digest


class Transform:
    """PIL image, any mode and size -> (C, size, size) float32, normalised.

    ``mean`` and ``sd`` are numbers for one grey channel in [0, 1], or three of each for RGB.
    """

    def __init__(self, size, mean, sd):
        self.size, self.mean, self.sd = int(size), _channels(mean), _channels(sd)
        if len(self.mean) not in (1, 3) or len(self.mean) != len(self.sd):
            raise BadInput(f"tower: mean={mean} and sd={sd} must be one number each (grey) or three each (RGB)")

    def __call__(self, image):
        image = image.convert("L" if len(self.mean) == 1 else "RGB")
        if image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        x = np.asarray(image, np.float32).reshape(self.size, self.size, -1) / 255
        return torch.from_numpy(np.ascontiguousarray(((x - self.mean) / self.sd).transpose(2, 0, 1), np.float32))

    def __repr__(self):
        return f"Transform(size={self.size}, mean={self.mean}, sd={self.sd})"


class SmallResNet(nn.Module):
    """Stem and four residual blocks, trained from scratch; ``size`` pixels become a map of size/16.

    With widths 12-24-48-96 about 337,000 parameters. ``seed`` draws the initial weights.
    """

    frozen = False

    def __init__(self, widths=(12, 24, 48, 96), size=96, mean=.45, sd=.25, seed=0):
        super().__init__()
        self.transform = Transform(size, mean, sd)
        self.channels = widths[-1]
        strides = [2] * (len(widths) - 1) + [1]
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.stem = nn.Sequential(nn.Conv2d(len(self.transform.mean), widths[0], 5, 2, 2, bias=False),
                                      nn.BatchNorm2d(widths[0]), nn.ReLU())
            self.blocks = nn.Sequential(*(Residual(a, b, stride) for a, b, stride in
                                          zip(widths, [*widths[1:], widths[-1]], strides)))
        self.fingerprint = digest("SmallResNet 1", list(widths), repr(self.transform))

    def forward(self, x):
        return self.blocks(self.stem(x))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; ReLU after the sum."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
                                  nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
                                  nn.BatchNorm2d(outputs))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                                                 nn.BatchNorm2d(outputs))

    def forward(self, x):
        return (self.body(x) + self.shortcut(x)).relu()


class FeatureMap(nn.Module):
    """The feature map of any network, such as a pretrained one of timm or torchvision.

    network  module whose weights are in place
    layer    name of the module inside whose output (B, channels, h, w) is read; None: the network's own output
    relu     put a ReLU behind it
    size, mean, sd  what the network expects, see :class:`Transform`
    frozen   True: trained is only the projection behind it, on maps that are computed once
    """

    def __init__(self, network, layer=None, relu=False, size=224, mean=(.485, .456, .406), sd=(.229, .224, .225),
                 frozen=True):
        super().__init__()
        self.network, self.layer, self.relu, self.frozen = network, layer, relu, frozen
        self.transform = Transform(size, mean, sd)
        modules = dict(network.named_modules())
        if layer is not None and layer not in modules:
            raise BadInput(f"tower.layer={layer}: the network has no such module. {near(layer, filter(None, modules))}")
        self.network.eval().requires_grad_(not frozen)
        self._seen = None
        if layer is not None:
            modules[layer].register_forward_hook(self._keep)

    def _keep(self, _module, _input, output):
        self._seen = output

    @cached_property
    def channels(self):
        with torch.no_grad():
            device = next(self.network.parameters()).device
            blank = Image.new("L", (self.transform.size,) * 2)
            training = self.network.training
            self.network.eval()
            width = self(self.transform(blank)[None].to(device)).shape[1]
            self.network.train(training)
        return width

    @cached_property
    def fingerprint(self):
        state = {k: digest(v.detach().cpu().numpy()) for k, v in self.network.state_dict().items()}
        return digest("FeatureMap 1", self.layer, self.relu, repr(self.transform),
                      state if self.frozen else sorted(state), type(self.network).__qualname__)

    def train(self, mode=True):
        """A frozen network keeps its normalisation statistics: it never enters training mode."""
        return super().train(mode and not self.frozen)

    def forward(self, x):
        output = self.network(x)
        if self.layer is not None:
            output, self._seen = self._seen, None
        if not torch.is_tensor(output) or output.ndim != 4:
            shape = tuple(output.shape) if torch.is_tensor(output) else type(output).__name__
            raise BadInput(f"tower.layer={self.layer} gives {shape}; expected a feature map (B, channels, h, w)")
        return output.relu() if self.relu else output


def _channels(value):
    return [float(v) for v in value] if hasattr(value, "__iter__") else [float(value)]
