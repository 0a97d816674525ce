"""A data set of MedMNIST: small images in one .npz file, with the official splits or whatever a copy has of them."""
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from mammi.errors import BadInput, MissingAsset
from mammi.files import digest
from mammi.probing_set.base import ProbingSet, spread
from mammi.types import Batch

SPLITS = ("train", "val", "test")
# What zipfile and NumPy raise on what is cut, or no archive of plain arrays.
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, NotImplementedError)


class MedMNIST(ProbingSet):
    """``root/folder/file`` with the arrays ``train_images`` (n, h, w) or (n, h, w, 3) uint8 and ``train_labels`` (n, 1)
    or (n,) integers, the same for val and test; read without pickle.

    classes   name of each label value, in order; None for 'nothing present', which is the absence of the others
    official  {split: number of images} of the published file; where these are others, a note says so
    split     one name, several, or None for all; ``limit`` takes so many, evenly spread

    No patients are published: each image counts as one. Images that are there twice count once, by their pixels.
    """

    def __init__(self, root, folder, file, classes, official=None, split=None, template="A medical image of a",
                 limit=None, name=None, dataset=""):
        if root is None:
            raise MissingAsset(f"{name or file} lies in your data folder: give paths.data=FOLDER or MAMMI_DATA, with "
                               f"{folder}/{file} in it")
        path = Path(root).expanduser() / folder / file
        if not path.is_file():
            raise MissingAsset(f"there is no {path}. Get {file} of MedMNIST (https://medmnist.com, CC BY 4.0), or give "
                               "another paths.data=FOLDER")
        wanted = (split,) if isinstance(split, str) else tuple(split or SPLITS)
        if strange := [s for s in wanted if s not in SPLITS]:
            raise BadInput(f"probing_set.split={strange[0]}: expected {', '.join(SPLITS)}")
        arrays = _read(path, classes)
        sizes = {s: len(labels) for s, (_, labels) in arrays.items()}
        self.name = (name or path.stem) + (f" ({'+'.join(wanted)})" if split else "")
        self.template, self.dataset = template or "", dataset

        found, seen, twice = [], set(), 0  # (split, number, key, label), images aside
        pictures = []
        for part in SPLITS:  # of two equal images the one in the earlier split stays, whatever is asked for
            for i, (image, label) in enumerate(zip(*arrays[part])):
                key = digest(image)
                twice += key in seen
                if key not in seen and part in wanted:
                    found.append((part, i, key, int(label)))
                    pictures.append(image)
                seen.add(key)
        at = spread(len(found), limit)
        found, self._pictures = [found[i] for i in at], [pictures[i] for i in at]
        self.splits, numbers, self.keys, values = map(tuple, zip(*found))
        self.ids = self.patients = tuple(f"{s}-{i:05d}" for s, i in zip(self.splits, numbers))
        self.label_names = tuple(c for c in classes if c is not None)
        self.labels = np.array([[classes[v] == c for c in self.label_names] for v in values], np.float32)
        repeated = [f"{twice} images are there twice and count once"] if twice else []
        self.notes = (*_about(sizes, official, arrays), *repeated)

    def load(self, indices, masks=False):
        indices = [int(i) for i in indices]
        ids = tuple(self.ids[i] for i in indices)
        return Batch(tuple(Image.fromarray(self._pictures[i]) for i in indices), ids, ids, self.labels[indices],
                     self.label_names)


def _read(path, classes):
    """{split: (images, (n,) labels)}; :class:`BadInput` where the file is damaged or holds something else."""
    try:
        with np.load(path) as file:
            arrays = {s: (file[f"{s}_images"], file[f"{s}_labels"].reshape(len(file[f"{s}_images"]), -1))
                      for s in SPLITS}
    except BROKEN as error:
        raise BadInput(f"{path} is no whole MedMNIST file with {{train,val,test}}_{{images,labels}} "
                       f"({str(error).splitlines()[0] if str(error) else type(error).__name__})") from error
    for split, (images, labels) in arrays.items():
        if images.dtype != np.uint8 or not (images.ndim == 3 or images.ndim == 4 and images.shape[3] == 3):
            raise BadInput(f"{path}: {split}_images is {images.dtype} {images.shape}; expected uint8 (n, h, w) or "
                           "(n, h, w, 3)")
        if labels.shape[1:] != (1,) or not np.isin(labels, range(len(classes))).all():
            raise BadInput(f"{path}: {split}_labels {labels.shape} must hold one of 0 to {len(classes) - 1} an image "
                           f"(probing_set.classes has {len(classes)} names)")
    return {split: (images, labels[:, 0]) for split, (images, labels) in arrays.items()}


def _about(sizes, official, arrays):
    if not official or sizes == dict(official):
        return []
    balanced = all(np.ptp(np.unique(labels, return_counts=True)[1]) <= 1 for _, labels in arrays.values())
    told, theirs = ("/".join(str(n[s]) for s in SPLITS) for n in (sizes, official))
    return [f"{told} images, not the official {theirs}: a {'class-balanced ' * balanced}subset, so no number is "
            "comparable with published ones"]
