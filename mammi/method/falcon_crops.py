"""Where a unit fires: the part of each image that FALCON captions (protocol D.2)."""
import math
from dataclasses import replace

import numpy as np

from mammi import matching
from mammi.files import digest

GRID = 224   # cells a side in which a map is thresholded, as in the original
RECIPE = 1   # raise when the boxes that come out change: it is part of the cache key
WHOLE = (0, 0, 0, 0)


def crop_embeddings(evidence, pairs, threshold):
    """((n, D) float32 of unit norm, (n,) bool: whether cut out) of the parts of images that units fire at.

    pairs      (n, 2) (image position, unit of the target's layer), ordered by image: each is decoded once
    threshold  share of a map's range, see :func:`box_of`

    Where a map says nothing, or the layer has none, the whole image is taken. Both are cached: a second call reads no
    image.
    """
    target, dissector, layer = evidence.target, evidence.dissector, evidence.target.layer
    made = {"target": target.fingerprint(layer), "threshold": threshold, "recipe": RECIPE}
    tables = {"boxes": made, "parts": {**made, "dissector": dissector.fingerprint}}

    def compute(todo, _):
        owners = pairs[todo, 0]
        images = np.unique(owners)
        for at, batch in evidence.batches(images, f"{target.name} maps", target.needs_masks):
            maps = gradcam(target, target.read(batch, [layer], maps=True)[layer].maps)
            first, last = np.searchsorted(owners, [images[at][0], images[at][-1] + 1])
            for start in range(first, last, evidence.batch_size):
                some = todo[start:min(start + evidence.batch_size, last)]
                of, units = np.searchsorted(images[at], pairs[some, 0]), pairs[some, 1]
                boxes = [WHOLE] * len(some) if maps is None else [
                    box_of(grid, threshold, target.field(batch.images[b].size), batch.images[b].size)
                    for b, grid in zip(of, enlarged(maps[of, units]))]
                cut = replace(batch, images=tuple(batch.images[b].crop(box) if box != WHOLE else batch.images[b]
                                                  for b, box in zip(of, boxes)),
                              ids=tuple(batch.ids[b] for b in of), patients=tuple(batch.patients[b] for b in of),
                              labels=None, masks=None, boxes=None)
                rows = matching.unit(dissector.embed_images(cut), f"{dissector.name}'s embeddings of crops")
                yield some, {"boxes": np.array(boxes, np.int32), "parts": rows}

    keys = [digest(evidence.images.keys[image], int(unit)) for image, unit in pairs]
    rows = evidence.cache.rows(tables, keys, compute)
    return rows["parts"], rows["boxes"].any(1)


def gradcam(target, maps):
    """(B, N, h, w) tensor, not negative: Grad-CAM of each unit by itself, up to a factor; None without maps.

    For a unit that is the mean of its own map it is that map's positive part; for a linear layer on pooled maps their
    weighted sum's. Gradients know no bias, so that of a class activation map is taken out again.
    """
    if maps is None:
        return None
    if target.layer == "final" and target.head is not None and target.head.bias is not None:
        maps = maps - target.head.bias.detach()[:, None, None]
    return maps.relu()


def enlarged(maps):
    """(n, h, w) tensor -> (n, GRID, GRID) NumPy, bilinear."""
    from torch.nn.functional import interpolate

    return interpolate(maps[:, None].float(), (GRID, GRID), mode="bilinear")[:, 0].cpu().numpy()


def box_of(grid, threshold, field, size):
    """(left, top, right, bottom) in pixels of the largest box around what is connected in a map.

    grid       (h, w), scaled to [0, 1] by its lowest and highest value; what reaches ``threshold`` counts, cells that
               share a side are connected
    field      the box of the image that the map lies over
    size       (width, height) of the image

    (0, 0, 0, 0), the whole image, where the map is constant. Of boxes of one area the upper is taken.
    """
    from scipy.ndimage import find_objects, label

    low, high = grid.min(), grid.max()
    if low == high:
        return WHOLE
    parts, _ = label(grid - low >= threshold * (high - low))
    rows, columns = max(find_objects(parts), key=lambda part: math.prod(side.stop - side.start for side in part))
    left, top, right, bottom = field
    x, y = (right - left) / grid.shape[1], (bottom - top) / grid.shape[0]
    return (max(math.floor(left + columns.start * x), 0), max(math.floor(top + rows.start * y), 0),
            min(math.ceil(left + columns.stop * x), size[0]), min(math.ceil(top + rows.stop * y), size[1]))
