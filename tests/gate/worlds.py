"""A world in which words mean something: images of one grey value for each label, a dissector that reads it."""
import numpy as np
from PIL import Image

from mammi.cache import Cache
from mammi.dissector.base import Dissector
from mammi.evidence import Evidence
from mammi.files import digest
from mammi.gate.gate import Gate
from mammi.probing_set.base import ProbingSet
from mammi.types import Batch
from tests.tiny import TinyConcepts, TinyTarget, vector

NAMES = ("Edema", "Mass", "Pleural_Thickening", "Hernia", "Nodule")
WORDS = ("edema", "mass", "pleural thickening", "hernia", "nodule", "heart", "lung", "tube")
QUICK = {"permutations": 200, "images": 64, "words": 8}
DIMS = 16


class Greys(ProbingSet):
    """Image i shows label i % 5; two images a patient."""

    name, template, synthetic, label_names = "greys", "A picture of a", True, NAMES

    def __init__(self, n=160, labels=True, texts=False):
        self.shown = np.arange(n) // 2 % len(NAMES)
        self.ids = tuple(f"image{i}" for i in range(n))
        self.patients = tuple(f"patient{i // 2}" for i in range(n))
        self.keys = tuple(digest("greys", i) for i in range(n))
        self.labels = np.eye(len(NAMES), dtype=np.float32)[self.shown] if labels else None
        self.label_names = NAMES if labels else ()
        self.texts = tuple((f"There is {NAMES[i].lower()}.", "other") for i in self.shown) if texts else None

    def load(self, indices, masks=False):
        images = tuple(Image.new("L", (8, 8), 20 * int(self.shown[i]) + 40 + int(i) % 8) for i in indices)
        return Batch(images, *(tuple(own[i] for i in indices) for own in (self.ids, self.patients)))


class Reader(Dissector):
    """Knows the grey values of NAMES; ``wrong`` gives each label the grey of the next. Counts what it sees."""

    name = "reader"

    def __init__(self, wrong=False, golden=True, embeds=True, card=None):
        self.wrong, self.embeds, self.tensors = wrong, embeds, 3
        self.images, self.texts = [], []
        self.known = card or (self.golden() if golden else None)
        self.images, self.texts = [], []

    @property
    def fingerprint(self):
        return digest("reader", self.wrong, self.embeds)

    def _of(self, name, key):
        row = .6 * vector(("name", name), DIMS) + vector(key, DIMS)
        return row / np.linalg.norm(row)

    def _rows(self, batch):
        self.images += list(batch.ids)
        found = [int(np.asarray(image.convert("L"))[0, 0]) for image in batch.images]
        return np.stack([self._of(NAMES[((grey - 40) // 20 + self.wrong) % 5].lower().replace("_", " "), (i, grey))
                         for i, grey in zip(batch.ids, found)]).astype(np.float32)

    def _texts(self, texts):
        self.texts += list(texts)
        names = [name.lower().replace("_", " ") for name in NAMES]
        return np.stack([self._of(next((n for n in names if n in text.replace("_", " ")), text), text)
                         for text in texts]).astype(np.float32)

    def embed_images(self, batch):
        return self._rows(batch) if self.embeds else super().embed_images(batch)

    def embed_texts(self, texts):
        return self._texts(texts) if self.embeds else super().embed_texts(texts)

    def score(self, batch, texts):
        return self._rows(batch) @ self._texts(texts).T


def evidence(folder, dissector=None, images=None, words=WORDS):
    cache = Cache(folder)
    return Evidence(TinyTarget(), images or Greys(), TinyConcepts(words).load(cache), dissector or Reader(), None,
                    cache)


def ask(folder, dissector=None, on=None, **options):
    """The verdict on ``dissector`` of a quick gate with ``options``, on the images ``on``."""
    return Gate(**{**QUICK, **options})(evidence(folder, dissector, on))
