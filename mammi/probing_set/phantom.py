"""Synthetic chest radiographs, rendered as they are asked for."""
from functools import cached_property

import numpy as np
from PIL import Image

from mammi.errors import number
from mammi.files import digest
from mammi.phantom.names import FINDINGS
from mammi.phantom.render import MASK_NAMES, REPORT, facts_of, generator_hash, render_one, stack_masks, stream
from mammi.phantom.rows import sample_rows
from mammi.probing_set.base import ProbingSet, spread
from mammi.types import Batch


class Phantom(ProbingSet):
    """Procedural chest x-rays with the 14 NIH findings, exact masks and, on wish, reports.

    n      number of images; image i is the same whatever n
    seed   which world; sets of different seeds share no image
    size   image height and width in pixels
    boost  in [0, 1]: share of images whose label row is drawn to contain a uniformly picked finding; 0: as NIH
    limit  take this many of the n, evenly spread
    texts  (Facts of an image, NumPy generator) -> tuple of sentences; None: no texts

    Images (uint8) and boxes are kept once rendered; masks are drawn anew at each request.
    """

    name = dataset = "phantom"
    template = "A chest x-ray image of a"
    synthetic = True
    label_names = FINDINGS
    mask_names = MASK_NAMES

    def __init__(self, n=4000, seed=3, size=96, boost=0.0, limit=None, texts=None):
        number("probing_set.n", n, 1, whole=True)
        number("probing_set.seed", seed, 0, whole=True)
        number("probing_set.boost", boost, 0, 1)
        self.seed, self.size, self._write = seed, size, texts
        self.indices = spread(n, limit)
        self._rows = sample_rows(n, seed, boost)[self.indices]
        self.labels = self._rows.astype(np.float32)
        self.ids = tuple(f"phantom-{seed}-{index:05d}" for index in self.indices)
        self.patients = self.ids
        self.splits = (f"seed {seed}",) * len(self.ids)
        self.keys = tuple(digest(generator_hash(), seed, int(index), row, size)
                          for index, row in zip(self.indices, self._rows))
        self.notes = ("synthetic images: nothing measured on them carries over to patients",)
        self._images = np.zeros((len(self.ids), size, size), np.uint8)
        self._boxes = [None] * len(self.ids)

    @cached_property
    def plans(self):
        """P :class:`~mammi.phantom.facts.Facts`."""
        return tuple(facts_of(row, self.seed, int(index)) for row, index in zip(self._rows, self.indices))

    @cached_property
    def texts(self):
        """P tuples of sentences, or None."""
        if self._write is None:
            return None
        return tuple(tuple(self._write(facts, stream(self.seed, int(index), REPORT)))
                     for facts, index in zip(self.plans, self.indices))

    def load(self, indices, masks=False):
        indices = [int(i) for i in indices]
        pictures = [self._render(i) if masks or self._boxes[i] is None else None for i in indices]
        return Batch(
            images=tuple(Image.fromarray(self._images[i]) for i in indices),
            ids=tuple(self.ids[i] for i in indices),
            patients=tuple(self.patients[i] for i in indices),
            labels=self.labels[indices], label_names=self.label_names,
            masks=stack_masks(pictures, self.size) if masks else None,
            mask_names=self.mask_names if masks else (),
            boxes=tuple(self._boxes[i] for i in indices))

    def _render(self, i):
        picture = render_one(self._rows[i], self.seed, int(self.indices[i]), self.size)
        self._images[i], self._boxes[i] = picture.image, picture.boxes
        return picture
