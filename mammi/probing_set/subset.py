"""Some images of a set, as a set of their own."""
import numpy as np

from mammi.errors import BadInput
from mammi.probing_set.base import ProbingSet
from mammi.probing_set.splits import by_share


class Subset(ProbingSet):
    """The images at ``positions`` of ``images``; ``notes`` come before those of the whole set."""

    def __init__(self, images, positions, name=None, notes=()):
        self._whole, self._positions = images, np.asarray(positions, int)
        if not len(self._positions):
            raise BadInput(f"{name or images.name}: no image is left")
        for key in ("template", "dataset", "label_names", "mask_names", "synthetic"):
            setattr(self, key, getattr(images, key))
        for key in ("ids", "patients", "keys", "splits"):
            whole = getattr(images, key)
            setattr(self, key, tuple(whole[i] for i in self._positions) if whole else ())
        self.name, self.notes = name or images.name, (*notes, *images.notes)
        self.facts = {key: tuple(values[i] for i in self._positions) for key, values in images.facts.items()}
        self.labels, self.outlined = (None if part is None else part[self._positions]
                                      for part in (images.labels, images.outlined))
        self.texts = None if images.texts is None else tuple(images.texts[i] for i in self._positions)

    def load(self, indices, masks=False):
        return self._whole.load(self._positions[np.asarray(indices, int)], masks)


def divided(images, names=("train", "val", "test"), share=.1):
    """{name: :class:`Subset`} of ``images`` by their splits; ``names`` are those wanted.

    Without a split ``val`` the patients for it are drawn, this ``share`` of those of ``train``. Raises
    :class:`BadInput` where the set has no splits, or none of a name.
    """
    there, notes = sorted(set(images.splits) - {""}), {}
    if "val" in names and "val" not in there and "train" in there:
        drawn = by_share(images.patients, {"train": 1 - share, "val": share}, 0)
        images = Subset(images, range(len(images)))
        images.splits = tuple(new if old == "train" else old for old, new in zip(images.splits, drawn))
        notes["val"] = (f"val: {images.name} has no such split, {share:.0%} of the patients of train are it",)
        there = sorted(set(images.splits) - {""})
    for name in names:
        if name not in there:
            raise BadInput(f"{images.name} has no split {name!r} (there are: {', '.join(there) or 'none'}). Give all "
                           "of its splits (probing_set.split=null), or sets of their own (probing_set@task.train=..., "
                           "probing_set@task.val=...)")
    splits = np.asarray(images.splits)
    return {name: Subset(images, np.flatnonzero(splits == name), f"{images.name} ({name})", notes.get(name, ()))
            for name in names}
