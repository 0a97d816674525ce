"""Where a unit fires: boxes by hand, Grad-CAM by its gradients, embeddings computed once (protocol D.2)."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mammi.cache import Cache
from mammi.method.falcon_crops import WHOLE, box_of, crop_embeddings, enlarged, gradcam
from mammi.probing_set.phantom import Phantom
from mammi.target.phantom import PhantomTarget
from mammi.types import Reading
from tests import tiny

SIZE = (80, 40)


def grid(*parts, shape=(4, 8)):
    """A map of zeros with (rows, columns, value) in it."""
    out = np.zeros(shape)
    for rows, columns, value in parts:
        out[rows, columns] = value
    return out


def whole(size):
    return (0, 0, *size)


def test_the_larger_of_two_parts_is_taken():
    two = grid((slice(0, 1), slice(0, 1), 1.0), (slice(2, 4), slice(4, 7), .6))
    assert box_of(two, .6, whole(SIZE), SIZE) == (40, 20, 70, 40)
    assert box_of(two, .61, whole(SIZE), SIZE) == (0, 0, 10, 10)


def test_cells_that_touch_at_a_corner_are_two_parts():
    assert box_of(grid((0, 0, 1), (1, 1, 1), (1, 2, 1)), .6, whole(SIZE), SIZE) == (10, 10, 30, 20)


def test_of_equal_boxes_the_upper_is_taken():
    assert box_of(grid((3, 0, 1), (0, 5, .9)), .6, whole(SIZE), SIZE) == (50, 0, 60, 10)


def test_the_range_counts_not_the_height():
    raised = 5 + grid((1, 1, 1.0), (1, 2, .5))
    assert box_of(raised, .6, whole(SIZE), SIZE) == (10, 10, 20, 20)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_map_says_nothing(value):
    assert box_of(np.full((4, 4), value), .6, whole(SIZE), SIZE) == WHOLE


def test_maps_lie_over_the_field():
    one = grid((slice(0, 2), slice(6, 8), 1.0))
    assert box_of(one, .6, (20, 0, 60, 40), SIZE) == (50, 0, 60, 20)
    assert box_of(one, .6, (19.5, .25, 60.5, 39.75), SIZE) == (50, 0, 61, 20)  # 50.25 .. 60.5, .25 .. 20


def test_boxes_are_never_empty_nor_outside():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = tuple(int(n) for n in rng.integers(1, 60, 2))
        left, top = rng.uniform(0, size[0] / 2), rng.uniform(0, size[1] / 2)
        field = (left, top, rng.uniform(left + .3, size[0]), rng.uniform(top + .3, size[1]))
        if field[2] <= field[0] or field[3] <= field[1]:
            continue
        x0, y0, x1, y1 = box_of(rng.random((7, 7)), .6, field, size)
        assert 0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]


def test_enlarging_keeps_place_and_range():
    big = enlarged(torch.tensor([[[0.0, 0.0], [0.0, 4.0]]]))
    assert big.shape == (1, 224, 224) and big.min() == 0 and big.max() == 4
    assert big[0, -1, -1] == 4 and big[0, :56, :56].max() == 0


@pytest.mark.parametrize("layer", ["final", "penultimate"])
def test_gradcam_is_that_of_the_gradients(layer):
    target, images = PhantomTarget(layer=layer), Phantom(n=3, boost=1.0)
    batch = images.load([0, 1, 2])
    readings = target.read(batch, [layer, "penultimate"], maps=True)
    maps, found = readings["penultimate"].maps.requires_grad_(), gradcam(target, readings[layer].maps)
    pooled = maps.mean((2, 3))
    if layer == "final":
        pooled = torch.nn.functional.linear(pooled, target.head.weight, target.head.bias)
    torch.testing.assert_close(pooled, readings[layer].pooled)
    for unit in (0, 5, 13):
        slope, = torch.autograd.grad(pooled[:, unit].sum(), maps, retain_graph=True)
        plain = (slope.mean((2, 3), keepdim=True) * maps).sum(1).relu()
        scale = plain.amax((1, 2), keepdim=True).clamp(min=1e-9)
        own = found[:, unit] / found[:, unit].amax((1, 2), keepdim=True).clamp(min=1e-9)
        torch.testing.assert_close(own, plain / scale, atol=1e-4, rtol=1e-4)
    assert gradcam(target, None) is None


class Dots(tiny.TinySet):
    """20 x 10 images, black but for the image's number in the upper left and 200 + number in the lower right."""

    def load(self, indices, masks=False):
        batch = super().load(indices, masks)
        images = []
        for i in indices:
            pixels = np.zeros((10, 20), np.uint8)
            pixels[:5, :10], pixels[5:, 10:] = 10 + i, 200 + i
            images.append(Image.fromarray(pixels))
        return replace(batch, images=tuple(images))


class Corners(tiny.TinyTarget):
    """Unit 0 fires in the upper left corner, unit 1 in the lower right, unit 2 nowhere."""

    with_maps = True

    def read(self, batch, layers, maps=False):
        self.passes += 1
        rows = [np.asarray(image)[0, 0] - 10 for image in batch.images]
        corner = torch.zeros(len(rows), 3, 2, 2)
        corner[:, 0, 0, 0] = corner[:, 1, 1, 1] = 1
        return {layer: Reading(torch.tensor(self.table[rows]), corner if maps and self.with_maps else None)
                for layer in layers}


class Looks(tiny.TinyDissector):
    """Embeds pixels; keeps the (mean, size) of what it was shown."""

    def embed_images(self, batch):
        shown = [(round(float(np.asarray(image).mean()), 3), image.size) for image in batch.images]
        self.images += shown
        return np.stack([tiny.vector(one) for one in shown])


PAIRS = np.array([[0, 0], [0, 1], [0, 2], [2, 1], [3, 0]])


def world(folder, **parts):
    parts = {"target": Corners(), "images": Dots(), "dissector": Looks(), **parts}
    return tiny.evidence(Cache(folder), **parts)


def test_what_is_embedded_is_the_part_the_unit_fires_at(tmp_path):
    evidence = world(tmp_path)
    rows, cropped = crop_embeddings(evidence, PAIRS, .6)
    assert cropped.tolist() == [True, True, False, True, True]
    shown = evidence.dissector.images
    assert shown == [(10, (10, 5)), (200, (10, 5)), ((10 + 200) / 4, (20, 10)), (202, (10, 5)), (13, (10, 5))]
    np.testing.assert_allclose(rows, [tiny.vector(one) for one in shown], atol=1e-6)


def test_an_image_is_decoded_once_and_a_second_run_computes_nothing(tmp_path):
    first = world(tmp_path)
    rows, cropped = crop_embeddings(first, PAIRS, .6)
    assert first.images.loaded == [0, 2, 3] and first.target.passes == 2  # batches of two
    again = world(tmp_path)
    same, too = crop_embeddings(again, PAIRS[::1], .6)
    assert again.images.loaded == [] and again.target.passes == 0 and again.dissector.images == []
    assert np.array_equal(rows, same) and np.array_equal(cropped, too)
    more = world(tmp_path)
    crop_embeddings(more, np.array([[0, 0], [1, 0], [3, 0]]), .6)
    assert more.images.loaded == [1]
    crop_embeddings(more, PAIRS[:1], .9)  # another threshold is another crop
    assert more.images.loaded == [1, 0]


def test_without_maps_the_whole_image_is_taken(tmp_path):
    target = Corners()
    target.with_maps = False
    evidence = world(tmp_path, target=target)
    rows, cropped = crop_embeddings(evidence, PAIRS, .6)
    assert not cropped.any() and {size for _, size in evidence.dissector.images} == {(20, 10)}
    assert np.array_equal(rows[0], rows[1]) and not np.array_equal(rows[0], rows[3])


def test_the_field_of_the_target_moves_the_crop(tmp_path):
    target = Corners()
    target.field = lambda size: (10, 0, 20, 10)  # it sees the right half alone
    evidence = world(tmp_path, target=target)
    crop_embeddings(evidence, PAIRS[:2], .6)
    assert evidence.dissector.images == [(0, (5, 5)), (200, (5, 5))]
