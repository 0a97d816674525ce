"""What is drawn on images, masks or boxes, brought onto the cells that maps are compared on."""
import math

import numpy as np

from mammi.errors import BadInput
from mammi.method.dissection import nearest, resample, shares

SETS = ("probing_set=phantom, covid_cxr or chestx_det has masks, nih14 or rsna_pneumonia boxes; your own: "
        "probing_set.masks or probing_set.boxes")


def drawn(batch):
    """B dicts {name in lower case: (H, W) bool}: an image's masks, its boxes where the set has no masks.

    :class:`BadInput` for a set with neither, and for a mask of another size than its image.
    """
    if batch.masks is not None:
        return [_named(masks, batch.mask_names, image, name)
                for masks, image, name in zip(batch.masks, batch.images, batch.ids)]
    if batch.boxes is not None:
        return [_filled(boxes, image.size) for boxes, image in zip(batch.boxes, batch.images)]
    raise BadInput(f"method=tsi compares units with masks or boxes, and these images have neither: {SETS}")


class ConceptCells:
    """The masks of images on the cells of their fields, put together image by image.

    names      {name: its column}, in the order of appearance
    parts      (values, rows, columns) of what is not 0
    one_label  without overlaps, and each cell as the pixel in its centre
    """

    def __init__(self, grid, one_label):
        self.grid, self.one_label, self.names, self.parts = grid, one_label, {}, []

    def add(self, image, masks, field):
        """Image number ``image`` with its ``masks`` {name: (H, W) bool}."""
        for name, mask in (without_overlap(masks) if self.one_label else masks).items():
            column = self.names.setdefault(name, len(self.names))
            if mask.any():
                cells = on_cells(mask, field, self.grid, self.one_label).ravel()
                filled = np.flatnonzero(cells)
                self.parts.append((cells[filled], image * self.grid ** 2 + filled, np.full(len(filled), column)))

    def table(self, images):
        """Sparse (images grid^2, C) float32: the share of each cell that each concept fills."""
        from scipy.sparse import csr_array

        values, rows, columns = map(np.concatenate, zip(*self.parts))
        return csr_array((values, (rows, columns)), (images * self.grid ** 2, len(self.names)))


def without_overlap(masks):
    """The same dict, in the same order, where a pixel has one name only, the last one that covers it."""
    taken, out = False, {}
    for name in reversed(masks):
        out[name] = masks[name] & ~taken
        taken = masks[name] | taken
    return {name: out[name] for name in masks}


def on_cells(mask, field, grid, whole=False):
    """(grid, grid) float32: the share of each cell of ``field`` (left, top, right, bottom) that ``mask`` (H, W) fills.

    whole  1 or 0 instead, as the pixel in the cell's centre
    """
    left, top, right, bottom = field
    weights = nearest if whole else shares
    return resample(mask.astype(np.float32), weights(top, bottom, len(mask), grid),
                    weights(left, right, mask.shape[1], grid))


def _named(masks, names, image, name):
    masks = np.asarray(masks)
    if masks.shape[1:] != image.size[::-1]:
        raise BadInput(f"{name} has {image.size[0]} x {image.size[1]} pixels, its masks {masks.shape[2]} x "
                       f"{masks.shape[1]}: nobody knows where they lie. Give masks of the image's own size")
    out = {}
    for key, mask in zip((key.lower() for key in names), masks):
        out[key] = out[key] | mask if key in out else mask
    return out


def _filled(boxes, size):
    """{label: every pixel that one of its boxes touches}."""
    out = {}
    for label, x, y, w, h in boxes:
        mask = out.setdefault(label.lower(), np.zeros(size[::-1], bool))
        mask[math.floor(y):math.ceil(y + h), math.floor(x):math.ceil(x + w)] = True
    return out
