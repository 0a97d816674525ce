"""Synthetic chest radiographs: from label rows to images, masks, boxes and facts.

The chain of one image, every step with its own random stream from (seed, index, step):

    label row -> ``plan`` -> Facts -> Chest -> findings -> devices -> exposure and noise -> uint8

``Facts`` (mammi.phantom.facts) is what reports are written from. For one image:

    Facts(findings={"Effusion": Finding(side="right", zone="basal", many=False), ...}, devices=("Catheter",))

``findings`` has exactly the image's positive labels, in the order of FINDINGS; the patient's right is image left.
An image depends on seed, index, size and its label row alone, never on the images it is rendered with.
"""
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mammi.errors import BadInput
from mammi.files import digest
from mammi.phantom import devices, findings
from mammi.phantom.anatomy import Chest
from mammi.phantom.facts import plan
from mammi.phantom.names import DEVICES, FINDINGS
from mammi.phantom.shapes import between, field
from mammi.types import Box

MASK_NAMES = FINDINGS + DEVICES
SOURCES = ("names.py", "facts.py", "shapes.py", "anatomy.py", "findings.py", "devices.py", "render.py")
PLAN, ANATOMY, EXPOSURE, REPORT, PARTS = 1, 2, 3, 4, 10      # steps of a random stream; PARTS + i: MASK_NAMES[i]
VISIBLE = .25                                     # opacity from which a pixel belongs to a mask


class Picture(NamedTuple):
    """One rendered image.

    image  (H, W) uint8
    masks  {name of MASK_NAMES: (H, W) bool} of what is shown
    boxes  boxes around the masks, in pixels; one for each side of a bilateral finding
    facts  :class:`~mammi.phantom.facts.Facts`
    """

    image: np.ndarray
    masks: dict
    boxes: tuple
    facts: object


def stream(seed, index, step):
    """The generator of one step of one image."""
    return np.random.default_rng([seed, index, step])


def facts_of(row, seed, index):
    """:class:`~mammi.phantom.facts.Facts` of an image, without drawing it."""
    return plan(row, stream(seed, index, PLAN))


@lru_cache
def generator_hash():
    """Hash of the code that decides what an image looks like."""
    return digest(*(Path(__file__).with_name(name).read_bytes() for name in SOURCES))


def render_one(row, seed, index, size=96):
    """:class:`Picture` of one label row (14,) bool. ``seed`` and ``index`` are non-negative."""
    if size < 32:
        raise BadInput(f"size={size}: a phantom needs at least 32 pixels")
    facts = facts_of(row, seed, index)
    chest = Chest(size, stream(seed, index, ANATOMY), facts.findings)
    opacities = {}
    for name, draw in findings.DRAW.items():
        if name in facts.findings:
            rng = stream(seed, index, PARTS + MASK_NAMES.index(name))
            opacities[name] = draw(chest, rng, facts.findings[name])
    for name in facts.devices:
        opacities[name] = devices.DRAW[name](chest, stream(seed, index, PARTS + MASK_NAMES.index(name)))
    masks = {name: opacities[name] > VISIBLE for name in MASK_NAMES if name in opacities}
    return Picture(_expose(chest.image, stream(seed, index, EXPOSURE)), masks, _boxes(masks, chest, facts), facts)


def render(labels, seed, indices, size=96, masks=False):
    """Images uint8 (B, H, W), masks bool (B, 18, H, W) in the order of MASK_NAMES or None, B :class:`Facts`.

    labels   (B, 14) bool, columns FINDINGS
    indices  B non-negative integers: which image of ``seed`` each one is
    """
    pictures = [render_one(row, seed, int(index), size) for row, index in zip(labels, indices, strict=True)]
    images = np.stack([p.image for p in pictures]) if pictures else np.zeros((0, size, size), np.uint8)
    return images, stack_masks(pictures, size) if masks else None, tuple(p.facts for p in pictures)


def stack_masks(pictures, size):
    """(B, 18, H, W) bool."""
    out = np.zeros((len(pictures), len(MASK_NAMES), size, size), bool)
    for picture, channels in zip(pictures, out):
        for name, mask in picture.masks.items():
            channels[MASK_NAMES.index(name)] = mask
    return out


def _expose(image, rng):
    """Gain, offset, uneven illumination, gamma and grain; then 8 bits."""
    size = len(image)
    image = image * between(rng, .9, 1.1) + between(rng, -.03, .03) + .03 * field(rng, 3, size)
    image = image.clip(1e-3, 1.3) ** between(rng, .85, 1.18)
    image += between(rng, .006, .022) * rng.standard_normal((size, size), np.float32)
    return (image * .98 * 255).round().clip(0, 255).astype(np.uint8)


def _boxes(masks, chest, facts):
    boxes = []
    for name, mask in masks.items():
        both = name in facts.findings and facts.findings[name].side == "bilateral"
        for part in (mask & (chest.x < 0), mask & (chest.x >= 0)) if both else (mask,):
            rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            if len(rows):
                x, y = int(columns[0]), int(rows[0])
                boxes.append(Box(name, x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y))
    return tuple(boxes)
