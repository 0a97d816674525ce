"""A world small enough to check by hand: 5 grey images, 3 neurons, a dissector that gives every image and string
its own vector."""
import hashlib

import numpy as np
import torch
from PIL import Image

from mammi.dissector.base import Dissector
from mammi.files import digest
from mammi.probing_set.base import ProbingSet
from mammi.target.base import Target
from mammi.types import Batch, Concepts, Reading

WORDS = ("effusion", "mass", "nodule", "edema")
NEURONS = ("Effusion", "Mass", "Nodule")
ACTIVATIONS = np.array([[0.0, 3.0, 0.1], [9.2, 1.0, 0.1], [9.4, 2.5, 0.1], [10.0, 0.0, 0.1], [1.0, 2.9, 0.1]])
DIMS = 8


def vector(key, dims=DIMS):
    """A fixed unit vector that belongs to ``key`` alone."""
    seed = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "little")
    v = np.random.default_rng(seed).standard_normal(dims)
    return (v / np.linalg.norm(v)).astype(np.float32)


class TinySet(ProbingSet):
    name, template, synthetic = "tiny", "A picture of a", True

    def __init__(self, n=5, first=0):
        self.numbers = tuple(range(first, first + n))
        self.ids = tuple(f"image{i}" for i in self.numbers)
        self.patients = self.ids
        self.keys = tuple(digest("tiny", i) for i in self.numbers)
        self.label_names = NEURONS
        self.labels = np.array([[i % 2, i % 3 == 0, np.nan] for i in self.numbers], np.float32)
        self.loaded = []

    def load(self, indices, masks=False):
        self.loaded += [int(i) for i in indices]
        images = tuple(Image.new("L", (16, 16), 10 + self.numbers[i]) for i in indices)
        return Batch(images, tuple(self.ids[i] for i in indices), tuple(self.patients[i] for i in indices),
                     self.labels[indices], self.label_names)


class TinyTarget(Target):
    """Reads its activations out of a table, by the grey value."""

    name = "tiny_target"

    def __init__(self, activations=ACTIVATIONS, layer="final", activation="logit"):
        self.table, self.layer, self.activation, self.passes = np.asarray(activations), layer, activation, 0

    def neurons(self, layer):
        return NEURONS[:self.table.shape[1]] + tuple(f"n{i}" for i in range(3, self.table.shape[1]))

    def read(self, batch, layers, maps=False):
        self.passes += 1
        rows = [np.asarray(image)[0, 0] - 10 for image in batch.images]
        return {layer: Reading(torch.tensor(self.table[rows])) for layer in layers}

    def fingerprint(self, layer):
        return digest("tiny", layer, self.table)


class TinyDissector(Dissector):
    name, fingerprint = "tiny_dissector", "tiny-dissector-1"

    def __init__(self):
        self.images, self.texts = [], []

    def embed_images(self, batch):
        self.images += list(batch.ids)
        return np.stack([vector(i) for i in batch.ids])

    def embed_texts(self, texts):
        self.texts += list(texts)
        return np.stack([vector(t) for t in texts])


class TinyScorer(Dissector):
    """The same scores as :class:`TinyDissector`, without embeddings to show."""

    name, fingerprint, embeds = "tiny_scorer", "tiny-scorer-1", False

    def score(self, batch, texts):
        return np.stack([vector(i) for i in batch.ids]) @ np.stack([vector(t) for t in texts]).T


class TinyConcepts:
    name = "tiny_words"

    def __init__(self, words=WORDS):
        self.words = words

    def load(self, cache):
        return Concepts("tiny_words", tuple(self.words), source="made up")


def evidence(cache, selection=None, words=WORDS, **parts):
    from mammi.evidence import Evidence
    from mammi.selection import Adaptive

    parts = {"target": TinyTarget(), "images": TinySet(), "dissector": TinyDissector(), **parts}
    return Evidence(parts["target"], parts["images"], TinyConcepts(words).load(cache), parts["dissector"],
                    selection or Adaptive(0.93), cache, batch_size=2)
