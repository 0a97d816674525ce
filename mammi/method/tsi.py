"""TSI: network dissection (Bau et al., CVPR 2017) on chest x-rays. A unit means the mask that it covers best."""
import numpy as np

from mammi.errors import BadInput, number
from mammi.method.concept_masks import SETS, ConceptCells, drawn
from mammi.method.dissection import bilinear, intersections, iou, resample, thresholds
from mammi.types import Annotations

IMPLICIT = "implicit"


class Tsi:
    """Label of unit u: argmax over concepts c of IoU_uc = i / (a + g - i), over all images together. a is the area in
    which the unit's map exceeds its threshold T_u, g the concept's, i that of both.

    quantile          T_u is this quantile of the unit's map over all cells of the images
    threshold_images  the first so many images count for it; None: all
    grid              maps and masks are compared on grid x grid cells over what the network sees of an image
    upsample          of the maps, bilinear: ``clamp`` continues them to the rim, ``zeros`` fades them there as the
                      official code does
    min_iou           what a label's IoU must exceed: ``implicit``, that of a concept which is everywhere, a_u = the
                      unit's share of all cells, about 1 - quantile (the official code's "no class"); or a number, .04
                      in its strict figure
    one_label         False: concepts may overlap, and a cell holds the share of it that a concept fills. True, as the
                      official code: a pixel has one concept, the last in the set's order, and a cell that of the pixel
                      in its centre
    images            another set to dissect on; None: the probing set

    Masks where the set has them, else boxes; only images that somebody annotated count, for the rest nobody knows what
    is background. A layer without maps raises :class:`BadInput`. Maps of a linear final layer are class activation
    maps: the paper does not say how its logits got maps. Planted units have maps made of the masks themselves.

    ``dense`` is (N, C) IoU over all masks, ``why`` has T_u, the best IoU, a_u (``none_iou``) and the runner-up. Maps
    are kept, no larger than the grid: N P grid^2 numbers at most, on disk where they are many.
    """

    asks_dissector = False

    def __init__(self, quantile=0.99, threshold_images=None, grid=56, upsample="clamp", min_iou=IMPLICIT,
                 one_label=False, images=None):
        if not 0 < number("method.quantile", quantile) < 1:
            raise BadInput(f"method.quantile must lie in (0, 1), got {quantile}; the official code's 99 % is 0.99")
        if upsample not in ("clamp", "zeros"):
            raise BadInput(f"method.upsample={upsample}: expected clamp or zeros (the official code)")
        if min_iou != IMPLICIT and (isinstance(min_iou, str) or not 0 <= number("method.min_iou", min_iou) < 1):
            raise BadInput(f"method.min_iou={min_iou}: expected {IMPLICIT}, or a number in [0, 1) such as 0.04")
        if not isinstance(one_label, bool):
            raise BadInput(f"method.one_label={one_label}: expected true or false")
        if threshold_images is not None:
            number("method.threshold_images", threshold_images, 1, whole=True)
        self.quantile, self.threshold_images, self.min_iou = quantile, threshold_images, min_iou
        self.grid, self.zeros = number("method.grid", grid, 1, whole=True), upsample == "zeros"
        self.one_label, self.images = one_label, images

    def __call__(self, evidence):
        seen = evidence if self.images is None else evidence.on(self.images)
        positions = _annotated(seen.images)
        maps, masks, names = self._look(seen, positions)
        if len(maps) != len(evidence.neurons):
            raise BadInput(f"{len(maps)} maps for {len(evidence.neurons)} neurons of {evidence.target.layer}: a map is "
                           "one neuron under target.reducer=mean or max")
        weights = self._weights(maps)
        levels = thresholds(maps[:, :self.threshold_images], self.quantile, *weights)
        inside, area, fires = intersections(maps, masks, levels, *weights)
        scores = iou(inside, area, masks.sum(0, dtype=np.float64))
        nowhere = area / (len(positions) * self.grid ** 2)
        dead = np.array([own.min() == own.max() for own in maps])
        selected = None
        if self.images is None:
            selected = np.zeros((len(seen.images), len(maps)), bool)
            selected[positions] = fires & ~dead
        return self._annotations(evidence.neurons, names, scores, nowhere, dead, levels, selected,
                                 _notes(seen, positions, names))

    def _look(self, evidence, positions):
        """(N, P, h, w) maps, sparse (P grid^2, C) masks and C names, of one pass over the images at ``positions``."""
        target, layer = evidence.target, evidence.target.layer
        maps, cells = None, ConceptCells(self.grid, self.one_label)
        for at, batch in evidence.batches(positions, f"{target.name} maps and masks", masks=True):
            masks = drawn(batch)  # first: without any the rest is in vain
            found = target.read(batch, [layer], maps=True)[layer].maps
            if found is None:
                raise BadInput(_no_maps(target, batch))
            found = found.float().cpu().numpy()
            if max(found.shape[2:]) > self.grid:
                found = resample(found, *self._weights(found))
            if maps is None:
                maps = evidence.cache.empty((found.shape[1], len(positions), *found.shape[2:]), np.float32)
            maps[:, at] = found.swapaxes(0, 1)
            for image, (picture, own) in enumerate(zip(batch.images, masks), at.start):
                cells.add(image, own, target.field(picture.size))
        if not cells.parts:
            raise BadInput(f"all masks of {evidence.images.name} are empty. Next: more images, or another set: {SETS}")
        return maps, cells.table(len(positions)), tuple(cells.names)

    def _weights(self, maps):
        return tuple(bilinear(side, self.grid, self.zeros) for side in maps.shape[-2:])

    def _annotations(self, neurons, names, scores, nowhere, dead, levels, selected, notes):
        order = np.argsort(-scores, axis=1, kind="stable")
        best = scores[np.arange(len(scores)), order[:, 0]]
        passed = ~dead & (best > (nowhere if self.min_iou == IMPLICIT else self.min_iou))
        concepts = [[names[first[0]]] if some else [] for first, some in zip(order, passed)]
        why = []
        for unit, some in enumerate(passed):
            second = order[unit, int(some):int(some) + 1]  # the best that is not its label
            why.append({"runner_up": names[second[0]] if len(second) and not dead[unit] else None,
                        "iou": float(best[unit]), "none_iou": float(nowhere[unit]), "threshold": float(levels[unit])})
        return Annotations(
            neurons=neurons, concepts=concepts, scores=[[float(b)] if some else [] for b, some in zip(best, passed)],
            status=["dead" if gone else "ok" if some else "empty" for gone, some in zip(dead, passed)],
            selected=selected, dense=scores.astype(np.float32), vocabulary=names, why=why, notes=notes)


def _annotated(images):
    """(P,) positions of the images on which somebody drew what there is."""
    positions = np.arange(len(images)) if images.outlined is None else np.flatnonzero(images.outlined)
    if not len(positions):
        raise BadInput(f"none of {len(images)} images of {images.name} has a mask or a box. Next: another split "
                       f"(probing_set.split), or another set: {SETS}")
    return positions


def _no_maps(target, batch):
    layers = [layer for layer in getattr(target, "taps", ())
              if target.read(batch, [layer], maps=True)[layer].maps is not None]
    return (f"target.layer={target.layer} of {target.name} has no maps, which method=tsi compares with masks. Next: "
            + "".join(f"target.layer={layer}, or " for layer in layers)
            + "a module that says 'mean of H x W' in task=layers")


def _notes(evidence, positions, names):
    images, target = evidence.images, evidence.target
    what, rest = "masks" if images.mask_names else "boxes", len(images) - len(positions)
    notes = [f"tsi chooses among the {len(names)} names of {images.name}'s {what}, not among the words of the concept "
             "set" + (f"; {rest} of {len(images)} images have no {what} and are left out" if rest else "")]
    if target.layer == "final" and target.head is not None:
        notes.append("tsi: the maps of the final layer are class activation maps, which is our choice; the paper does "
                     "not say how its logits got maps")
    if target.needs_masks:
        notes.append("tsi: the maps of these units are made of the masks themselves")
    return tuple(notes)
