"""A network small enough to check by hand: a convolution, ReLU, mean, two classes; and images for it."""
import numpy as np
import torch
from PIL import Image
from torch import nn

from mammi.target.base import Tap, TorchTarget
from mammi.types import Batch

SIZE = 16


class Small(nn.Module):
    """(B, 1, 16, 16) -> (B, 2) logits; four maps of 8 x 8 below them, after the ReLU."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, 2, 1)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 4, 3, 1, 1)
        self.act2 = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.act2(self.second(self.act(self.first(x)))).mean((2, 3)))


def transform(image):
    return torch.from_numpy(np.array(image, np.float32))[None] / 64 - 2


def target(layer="final", linear=True):
    """A :class:`TorchTarget` of :class:`Small`; ``linear=False``: it does not know its head."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(3)
        module = Small()
    return TorchTarget(module, transform, {"final": Tap("head"), "penultimate": Tap("second", relu=True)}, ("A", "B"),
                       "head" if linear else None, name="small", layer=layer)


def batch(n=3):
    rng = np.random.default_rng(0)
    images = tuple(Image.fromarray(rng.integers(0, 255, (SIZE, SIZE), dtype=np.uint8)) for _ in range(n))
    names = tuple(f"i{i}" for i in range(n))
    return Batch(images, names, names)


def case(layer="final", n=3):
    """(target, x (n, 1, 16, 16), n read-outs: units 0, 1, 0 ...)."""
    one = target()
    return one, one.prepare(batch(n)), [one.unit(layer, i % 2) for i in range(n)]
