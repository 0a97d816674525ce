"""What every image set offers: ids, truth where it exists, and batches of raw images."""
from abc import ABC, abstractmethod

import numpy as np

from mammi.errors import number
from mammi.types import Batch


class ProbingSet(ABC):
    """P images in a fixed order. Used for probing, for fitting and for held-out checks alike.

    Subclasses set, before use:

    name         what rows and logs call it
    template     the domain's prompt without the concept, e.g. "A chest x-ray image of a"; "" for none
    ids          P image ids, unique
    patients     P patient ids
    dataset      canonical name of the collection the images are from, e.g. ``nih14``, whatever the copy or the subset;
                 with ``splits`` it tells whether a target was trained on them
    splits       P split names (``train``, ``val``, ``test`` ...); empty where none are known
    facts        {name: P strings} of what else is known, ``""`` unknown: ``view``, ``sex``, ``age``, and others
    keys         P content keys of 32 characters: the image's bytes or its generator's identity, never a path
    label_names  L names; empty without labels
    labels       (P, L) float32, 1 present, 0 absent, NaN unknown; None without labels
    mask_names   names of the mask channels ``load(..., masks=True)`` gives; empty without masks
    outlined     (P,) bool, the images on which somebody drew what there is, masks or boxes; None: all, or no set with
                 any. Where it says no, an image without a mask is not known to be empty
    texts        P tuples of sentences that describe the image, or None (``task=fit_dissector`` needs them)
    synthetic    True where no image was taken from a patient
    notes        strings for the run's summary: skipped images and the like
    """

    name: str
    template: str = ""
    ids: tuple[str, ...]
    patients: tuple[str, ...]
    dataset: str = ""
    splits: tuple[str, ...] = ()
    facts: dict[str, tuple[str, ...]] = {}
    keys: tuple[str, ...]
    label_names: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    mask_names: tuple[str, ...] = ()
    outlined: np.ndarray | None = None
    texts: tuple[tuple[str, ...], ...] | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()

    @abstractmethod
    def load(self, indices, masks=False) -> Batch:
        """The images at ``indices`` (positions in this set, any order) with their truth."""

    def __len__(self):
        return len(self.ids)


def spread(n, limit):
    """Positions of ``limit`` of ``n`` images, evenly over the list; all of them without a limit."""
    if limit is None or number("probing_set.limit", limit, 1, whole=True) >= n:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, limit).round().astype(int))
