"""A subject small enough to compute by hand: 1 x 16 x 16 images, maps of 8 and 4 pixels, a logit a class; and a set of
images with bright spots for it."""
import numpy as np
import torch
from PIL import Image
from torch import nn

from mammi.files import digest
from mammi.probing_set.base import ProbingSet
from mammi.types import Batch, Reading, Readout

CLASSES = ("a", "b", "c")


class Net(nn.Module):
    def __init__(self, outputs=3):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(6, outputs)

    def forward(self, x):
        return self.head(self.second(self.first(x)).mean((2, 3)))


class Small:
    """Layers ``final`` and ``penultimate``, as a :class:`mammi.explainer.base.Subject` has them.

    Over the spots of :class:`Spots` each logit has mean 0 and deviation 2.
    """

    name, prefix, device = "small", None, torch.device("cpu")

    def __init__(self, seed=0, outputs=3, layer="final"):
        torch.manual_seed(seed)
        self.module, self.seed, self.layer, self.classes = Net(outputs).eval(), seed, layer, CLASSES[:outputs]
        with torch.no_grad():
            logits, head = self.module(self.prepare(Spots(64).load(range(64)))), self.module.head
            head.weight *= (2 / logits.std(0))[:, None]
            head.bias.copy_(2 / logits.std(0) * (head.bias - logits.mean(0)))

    def neurons(self, layer):
        return self.classes if layer == "final" else tuple(f"{layer}[{i}]" for i in range(6))

    def prepare(self, batch):
        return torch.stack([torch.from_numpy(np.array(image, np.float32))[None] / 60 - 1 for image in batch.images])

    def forward(self, x, layers, maps=False):
        deep = self.module.second(self.module.first(x))
        pooled = deep.mean((2, 3))
        return {layer: Reading(self.module.head(pooled)) if layer == "final" else
                Reading(pooled, deep if maps else None) for layer in layers}

    def unit(self, layer, index):
        return Readout(layer, index, self.neurons(layer)[index])

    def fingerprint(self, layer):
        return f"small {self.seed} {layer}"


class Spots(ProbingSet):
    """Grey noise with a square that is bright or dark; a where it is bright, b where it is dark, c at the left."""

    name, synthetic, label_names = "spots", True, CLASSES

    def __init__(self, n, seed=1):
        rng = np.random.default_rng(seed)
        self.pixels, labels = rng.integers(40, 80, (n, 16, 16)).astype(np.uint8), np.zeros((n, 3), np.float32)
        for pixels, label in zip(self.pixels, labels):
            (top, left), grey = rng.integers(0, 10, 2), rng.choice([0, 60, 200])
            pixels[top:top + 6, left:left + 6] = grey
            label[:] = grey == 200, grey == 0, left < 5 and grey != 60
        self.labels = labels
        self.ids = self.patients = tuple(f"spots-{seed}-{i}" for i in range(n))
        self.keys = tuple(digest(identity) for identity in self.ids)

    def load(self, indices, masks=False):
        indices = [int(i) for i in indices]
        ids = tuple(self.ids[i] for i in indices)
        return Batch(tuple(Image.fromarray(self.pixels[i]) for i in indices), ids, ids, self.labels[indices], CLASSES)


def images(n=4, seed=0):
    return torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
