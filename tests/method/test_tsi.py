"""Network dissection against plain loops and counting by hand, on images of 8 pixels."""
import json
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.evaluation.final_layer import FinalLayer
from mammi.evidence import Evidence
from mammi.files import digest
from mammi.method import dissection
from mammi.method.concept_masks import drawn, on_cells, without_overlap
from mammi.method.tsi import Tsi
from mammi.method.tsi_paper import TsiPaper
from mammi.probing_set.base import ProbingSet
from mammi.probing_set.phantom import Phantom
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.target.base import Target
from mammi.target.phantom import PhantomTarget
from mammi.target.planted import Planted
from mammi.task.annotate import annotate as annotate_task
from mammi.types import Annotations, Batch, Box, Reading
from tests.test_conf import build, config
from tests.tiny import TinyConcepts, TinyDissector, TinyTarget

SIDE = 8
DATA = os.environ.get("MAMMI_DATA")


class World(ProbingSet):
    """Images of 8 x 8 with masks (P, M, 8, 8), or boxes (P tuples)."""

    name = "world"

    def __init__(self, masks=None, names=(), boxes=None, outlined=None):
        n = len(masks if masks is not None else boxes if boxes is not None else range(3))
        self.ids = self.patients = tuple(f"image{i}" for i in range(n))
        self.keys = tuple(digest("world", i) for i in range(n))
        self.masks, self.mask_names, self.boxes = masks, tuple(names), boxes
        self.outlined, self.loaded = outlined, []

    def load(self, indices, masks=False):
        self.loaded += [int(i) for i in indices]
        ids = tuple(self.ids[i] for i in indices)
        return Batch(tuple(Image.new("L", (SIDE, SIDE), 10 + int(i)) for i in indices), ids, ids,
                     masks=[self.masks[i] for i in indices] if masks and self.masks is not None else None,
                     mask_names=self.mask_names,
                     boxes=None if self.boxes is None else tuple(self.boxes[i] for i in indices))


class MapTarget(Target):
    """Shows the maps (N, P, h, w) that it was given."""

    name, layer = "maps", "conv"

    def __init__(self, maps):
        self.maps = torch.tensor(np.asarray(maps), dtype=torch.float32)

    def neurons(self, layer):
        return tuple(f"conv[{i}]" for i in range(len(self.maps)))

    def read(self, batch, layers, maps=False):
        found = self.maps[:, [image.getpixel((0, 0)) - 10 for image in batch.images]].swapaxes(0, 1)
        return {layer: Reading(found.mean((2, 3)), found if maps else None) for layer in layers}

    def fingerprint(self, layer):
        return digest("maps", self.maps.numpy())


def annotate(tmp_path, target, probing_set, batch_size=2, **options):
    return Tsi(**options)(Evidence(target, probing_set, None, None, None, Cache(tmp_path), batch_size))


def random_world(seed=0, units=4, n=5, concepts=3):
    rng = np.random.default_rng(seed)
    masks = rng.random((n, concepts, SIDE, SIDE)) < .3
    return rng.standard_normal((units, n, SIDE, SIDE)), World(masks, [f"C{c}" for c in range(concepts)])


# --- the whole method against plain loops ---------------------------------------------------------------------------


@pytest.mark.parametrize("quantile", [.5, .9, .99])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_iou_is_what_counting_cells_gives(tmp_path, quantile, batch_size):
    maps, images = random_world()
    got = annotate(tmp_path, MapTarget(maps), images, batch_size, quantile=quantile, grid=SIDE, min_iou=0)
    for unit in range(len(maps)):
        level = np.quantile(maps[unit].astype(np.float32), quantile)
        on = {(p, y, x) for p in range(5) for y in range(SIDE) for x in range(SIDE) if maps[unit, p, y, x] > level}
        for c in range(3):
            concept = {(p, y, x) for p, y, x in np.argwhere(images.masks[:, c])}
            assert got.dense[unit, c] == pytest.approx(len(on & concept) / len(on | concept), rel=1e-6)
        best = max(range(3), key=lambda c: got.dense[unit, c])
        assert got.concepts[unit] == [f"c{best}"], "names are in lower case"
        assert got.scores[unit] == [pytest.approx(got.dense[unit, best], rel=1e-6)]
        assert got.why[unit]["none_iou"] == pytest.approx(len(on) / (5 * SIDE * SIDE))
        assert got.why[unit]["threshold"] == pytest.approx(level)
        assert [p for p in range(5) if got.selected[p, unit]] == sorted({p for p, _, _ in on})
    assert got.vocabulary == ("c0", "c1", "c2") and got.status == ["ok"] * 4


def test_a_concept_that_is_everywhere_has_the_iou_that_a_label_must_beat(tmp_path):
    maps, images = random_world()
    images.masks = np.concatenate([images.masks, np.ones((5, 1, SIDE, SIDE), bool)], 1)
    images.mask_names += ("all",)
    got = annotate(tmp_path, MapTarget(maps), images, quantile=.9, grid=SIDE)
    for unit in range(4):
        assert got.why[unit]["none_iou"] == pytest.approx(float(got.dense[unit, 3]))
        assert bool(got.concepts[unit]) == (got.dense[unit, :3].max() > got.why[unit]["none_iou"])


def test_a_small_map_is_interpolated_to_the_grid(tmp_path):
    maps, images = random_world()
    small = maps[..., ::2, ::2]
    got = annotate(tmp_path, MapTarget(small), images, quantile=.8, grid=SIDE, min_iou=0)
    large = torch.nn.functional.interpolate(torch.tensor(small), size=SIDE, mode="bilinear").numpy()
    for unit in range(4):
        on = large[unit] > np.quantile(large[unit], .8)
        concept = images.masks[:, 1]
        assert got.dense[unit, 1] == pytest.approx((on & concept).sum() / (on | concept).sum(), rel=1e-6)


def test_order_of_images_changes_nothing(tmp_path):
    maps, images = random_world()
    order = [3, 0, 4, 2, 1]
    first = annotate(tmp_path, MapTarget(maps), images, quantile=.9, grid=SIDE)
    again = annotate(tmp_path, MapTarget(maps[:, order]), World(images.masks[order], images.mask_names), quantile=.9,
                     grid=SIDE)
    assert np.array_equal(first.dense, again.dense) and first.concepts == again.concepts
    assert np.array_equal(first.selected[order], again.selected)


def test_only_the_first_images_set_the_threshold(tmp_path):
    maps, images = random_world()
    got = annotate(tmp_path, MapTarget(maps), images, quantile=.9, grid=SIDE, threshold_images=2)
    for unit in range(4):
        assert got.why[unit]["threshold"] == pytest.approx(np.quantile(maps[unit, :2], .9), rel=1e-6)


# --- labels ---------------------------------------------------------------------------------------------------------


def halves(concepts=("left", "right", "never")):
    """Two images; one mask is the left half, one the right, one is never drawn."""
    masks = np.zeros((2, len(concepts), SIDE, SIDE), bool)
    masks[:, 0, :, :4], masks[:, 1, :, 4:] = True, True
    return World(masks, concepts)


def unit(columns):
    maps = np.zeros((1, 2, SIDE, SIDE))
    maps[..., columns] = 1
    return maps


@pytest.mark.parametrize("min_iou, status", [("implicit", "ok"), (.2, "ok"), (.3, "empty"), (.25, "empty")])
def test_one_neuron_and_the_least_iou(tmp_path, min_iou, status):
    got = annotate(tmp_path, MapTarget(unit(slice(0, 1))), halves(), quantile=.8, grid=SIDE, min_iou=min_iou)
    assert got.status == [status] and got.why[0]["iou"] == .25 and got.why[0]["none_iou"] == .125
    assert (got.concepts, got.scores) == (([["left"]], [[.25]]) if status == "ok" else ([[]], [[]]))
    assert got.why[0]["runner_up"] == ("right" if status == "ok" else "left")


def test_a_tie_goes_to_the_first_concept(tmp_path):
    got = annotate(tmp_path, MapTarget(unit(slice(2, 6))), halves(), quantile=.4, grid=SIDE, min_iou=0)
    assert got.dense[0, 0] == got.dense[0, 1] and got.concepts == [["left"]] and got.why[0]["runner_up"] == "right"


def test_dead_units_and_concepts_never_seen_are_zero(tmp_path):
    maps = np.concatenate([np.full((1, 2, SIDE, SIDE), 3.), unit(slice(0, 4)), np.zeros((1, 2, SIDE, SIDE))])
    got = annotate(tmp_path, MapTarget(maps), halves(), grid=SIDE)
    assert got.status == ["dead", "ok", "dead"] and got.concepts == [[], ["left"], []]
    assert np.isfinite(got.dense).all() and not got.dense[[0, 2]].any() and not got.dense[:, 2].any()
    assert got.selected.T.tolist() == [[False] * 2, [True] * 2, [False] * 2]


def test_a_unit_saturated_on_more_than_the_quantile_fires_on_its_plateau(tmp_path):
    got = annotate(tmp_path, MapTarget(unit(slice(0, 4))), halves(), quantile=.99, grid=SIDE)
    assert got.dense[0].tolist() == [1, 0, 0] and got.why[0]["none_iou"] == .5


# --- masks ----------------------------------------------------------------------------------------------------------


def test_overlapping_masks_stay_whole_or_the_last_one_wins(tmp_path):
    masks = np.zeros((1, 2, SIDE, SIDE), bool)
    masks[:, 0], masks[:, 1, :4] = True, True  # the whole image, and its upper half
    maps = np.zeros((1, 1, SIDE, SIDE))
    maps[..., :4, :4] = 1
    lung = dict(grid=SIDE, quantile=.7, min_iou=0)
    many = annotate(tmp_path, MapTarget(maps), World(masks, ["lung", "opacity"]), **lung)
    one = annotate(tmp_path, MapTarget(maps), World(masks, ["lung", "opacity"]), one_label=True, **lung)
    assert many.dense.tolist() == [[.25, .5]] and one.dense.tolist() == [[0, .5]]
    assert many.vocabulary == one.vocabulary == ("lung", "opacity")


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_without_overlap_every_pixel_has_its_last_name(seed, n):
    masks = dict(zip("abcd", np.random.default_rng(seed).random((n, 3, 4)) < .5))
    alone = without_overlap(masks)
    assert list(alone) == list(masks)
    for y in range(3):
        for x in range(4):
            names = [name for name in masks if masks[name][y, x]]
            assert [name for name in alone if alone[name][y, x]] == names[-1:]


@pytest.mark.parametrize("field", [(0, 0, 12, 9), (2, 1, 11, 7), (1.5, .25, 9.75, 8.5)])
@pytest.mark.parametrize("grid", [1, 3, 4, 20])
def test_a_cell_holds_the_share_that_a_mask_fills(field, grid):
    mask = np.random.default_rng(0).random((9, 12)) < .5
    left, top, right, bottom = field
    fine = 1920  # sample points a side: many in each pixel's part of each cell
    x = left + (np.arange(fine) + .5) / fine * (right - left)
    y = top + (np.arange(fine) + .5) / fine * (bottom - top)
    seen = mask[np.floor(y).astype(int)[:, None], np.floor(x).astype(int)]
    shares = seen.reshape(grid, fine // grid, grid, fine // grid).mean((1, 3))
    assert np.abs(on_cells(mask, field, grid) - shares).max() < .02
    centres = seen.reshape(grid, fine // grid, grid, fine // grid)[:, fine // grid // 2, :, fine // grid // 2]
    assert np.array_equal(on_cells(mask, field, grid, whole=True), centres)


def test_masks_are_taken_from_what_the_network_sees(tmp_path):
    class Cropped(MapTarget):
        def field(self, size):
            return 2, 2, 6, 6

    mask = np.zeros((1, 2, SIDE, SIDE), bool)
    mask[0, 0, 2:6, 2:4] = True   # the left half of the crop
    mask[0, 1, :, :2] = True      # beside it
    maps = np.array([[1., 0.], [1., 0.]])[None, None]
    got = annotate(tmp_path, Cropped(maps), World(mask, ["inside", "outside"]), quantile=.5, grid=2)
    assert got.dense.tolist() == [[1, 0]]


def test_boxes_are_drawn_as_masks_where_there_are_no_masks(tmp_path):
    boxes = [(Box("Mass", 1, 2, 3, 1), Box("Mass", 5, 5, 2, 2), Box("Nodule", 1.5, 2.5, .2, .2)), ()]
    first, second = drawn(World(boxes=boxes).load([0, 1]))
    expected = np.zeros((SIDE, SIDE), bool)
    expected[2, 1:4], expected[5:7, 5:7] = True, True
    assert np.array_equal(first["mass"], expected) and not second
    assert np.argwhere(first["nodule"]).tolist() == [[2, 1]], "every pixel that it touches"
    maps = np.stack([expected, np.zeros_like(expected)])[None].astype(float)
    got = annotate(tmp_path, MapTarget(maps), World(boxes=boxes), quantile=.9, grid=SIDE)
    assert got.concepts == [["mass"]] and got.scores == [[1]] and got.vocabulary == ("mass", "nodule")


def test_images_that_nobody_annotated_are_left_out(tmp_path):
    boxes = [(), (Box("Mass", 0, 0, 4, 8),), ()]
    maps = np.zeros((1, 3, SIDE, SIDE))
    maps[0, 1, :, :4] = 1
    maps[0, 2] = 5  # fires where nothing was drawn: nobody knows whether that is wrong
    images = World(boxes=boxes, outlined=np.array([False, True, False]))
    got = annotate(tmp_path, MapTarget(maps), images, quantile=.5, grid=SIDE)
    assert got.scores == [[1]] and images.loaded == [1] and got.selected.T.tolist() == [[False, True, False]]
    assert "2 of 3 images have no boxes and are left out" in got.notes[0]


def test_another_set_to_dissect_on(tmp_path):
    maps, images = random_world()
    direct = annotate(tmp_path, MapTarget(maps), images, grid=SIDE, quantile=.9)
    other = World(boxes=[()] * 5)
    got = annotate(tmp_path, MapTarget(maps), other, grid=SIDE, quantile=.9, images=images)
    assert np.array_equal(got.dense, direct.dense) and got.selected is None and not other.loaded


# --- pieces ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n, grid", [(7, 56), (1, 5), (6, 8), (12, 5), (8, 8)])
@pytest.mark.parametrize("zeros", [False, True])
def test_interpolation_is_torchs(n, grid, zeros):
    x = np.random.default_rng(0).standard_normal((2, 3, n, n)).astype(np.float32)
    weights = dissection.bilinear(n, grid, zeros)
    if zeros:
        at = torch.nn.functional.affine_grid(torch.eye(2, 3).repeat(2, 1, 1), (2, 3, grid, grid), align_corners=False)
        expected = torch.nn.functional.grid_sample(torch.tensor(x), at, padding_mode="zeros", align_corners=False)
    else:
        expected = torch.nn.functional.interpolate(torch.tensor(x), size=grid, mode="bilinear")
    assert np.abs(dissection.resample(x, weights, weights) - expected.numpy()).max() < 1e-5


def test_a_map_of_ones_fades_under_zeros_alone():
    ones = np.ones((7, 7), np.float32)
    clamped, faded = (dissection.resample(ones, w, w) for w in (dissection.bilinear(7, 56, z) for z in (False, True)))
    assert np.array_equal(clamped, np.ones((56, 56)))
    assert faded[0, 0] == pytest.approx(.316, abs=1e-3) and faded[0, 28] == .5625
    assert (faded[4:-4, 4:-4] == 1).all() and (faded[3] < 1).all(), "the outer 4 cells"


@given(st.integers(0, 2**32 - 1), st.sampled_from([.5, .9, .99, .999]))
def test_thresholds_are_numpys_quantiles(seed, quantile):
    maps = np.random.default_rng(seed).standard_normal((3, 4, 5, 5)).astype(np.float32)
    weights = dissection.bilinear(5, 9)
    got = dissection.thresholds(maps, quantile, weights, weights)
    for own, level in zip(maps, got):
        values = dissection.resample(own, weights, weights)
        limit = values.max() - 1e-4 * (values.max() - values.min())
        assert level == pytest.approx(min(np.quantile(values, quantile), limit), rel=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_iou_is_within_bounds_and_finite(seed):
    rng = np.random.default_rng(seed)
    units, concepts = rng.random((3, 50)) < rng.random((3, 1)), rng.random((4, 50)) < rng.random((4, 1))
    units[0], concepts[0] = False, False
    got = dissection.iou((units[:, None] & concepts).sum(2).astype(float), units.sum(1), concepts.sum(1))
    assert (got >= 0).all() and (got <= 1).all() and got[0, 0] == 0


# --- planted units and real sets ------------------------------------------------------------------------------------


def test_planted_units_are_found_until_noise_fires_for_nothing(tmp_path):
    _, images = random_world(n=6, concepts=3)
    images.masks &= np.random.default_rng(1).random((6, 3, 1, 1)) < .6
    sound, noisy = (annotate(tmp_path, Planted(images.mask_names, noise=noise), images, grid=SIDE, quantile=.5)
                    for noise in (0, 3))
    assert sound.concepts == [["c0"], ["c1"], ["c2"]] and sound.scores == [[1.], [1.], [1.]]
    assert noisy.dense.diagonal().mean() < .7
    assert any("made of the masks" in note for note in sound.notes)


@lru_cache
def real(name):
    if DATA is None or not (Path(DATA) / name).is_dir():
        pytest.skip(f"MAMMI_DATA with {name} is not here")
    return build(config(f"probing_set={name}", f"paths.data={DATA}", "paths.cache=null"), "probing_set")


def test_nih_boxes_are_few_and_named_as_its_labels():
    images = real("nih14")
    where = np.flatnonzero(images.outlined)
    assert 0 < len(where) < 100
    masks = drawn(images.load(where))
    assert all(masks) and {name for own in masks for name in own} <= {name.lower() for name in images.label_names}


def test_covid_masks_are_of_100_images():
    images = real("covid_cxr")
    where = np.flatnonzero(images.outlined)
    assert len(where) == 100
    masks = drawn(images.load(where[:5], masks=True))
    assert all(any(mask.any() for mask in own.values()) for own in masks)
    assert {"left lung", "ground glass opacities"} <= set(masks[0])


def test_a_run_on_planted_units_says_what_it_chose_from(tmp_path):
    """Vocabulary and ceiling are the masks', not the concept set's; what a reader must know is in run.json."""
    images, target = Phantom(n=40, boost=1.), Planted(("Cardiomegaly", "Effusion"))
    got, metrics = annotate_task(target, images, TinyConcepts(["nothing"]), TinyDissector(), TopK(2), Tsi(),
                                 FinalLayer(bootstrap=20), Cache(tmp_path / "cache"), 16, RunFolder(tmp_path))
    assert got.concepts == [["cardiomegaly"], ["effusion"]] and min(s for s, in got.scores) > .4
    assert metrics["hit"] == metrics["hit_ceiling"] == metrics["purity"] == 1
    about = json.loads((tmp_path / "run.json").read_text())
    assert any(note.startswith("tsi chooses among the 18 names of phantom's masks") for note in about["notes"])
    assert {"runner_up", "iou", "none_iou", "threshold"} <= set(pd.read_csv(tmp_path / "neurons.csv").columns)


def test_class_activation_maps_are_called_our_choice(tmp_path):
    images = Phantom(n=20, boost=1.)
    got = annotate(tmp_path, PhantomTarget(), images, 16)
    assert got.dense.shape == (14, 18) and any("class activation maps, which is our choice" in n for n in got.notes)
    assert not any("class activation" in note
                   for note in annotate(tmp_path, PhantomTarget(layer="penultimate"), images, 16).notes)


# --- the paper's combination ----------------------------------------------------------------------------------------


def found(words, scores, none, names):
    words = [[word] if word else [] for word in words]
    scores = [[score] if word else [] for word, score in zip(words, scores)]
    return lambda evidence: Annotations(
        ("a", "b", "c", "d"), words, scores, ["ok" if word else "empty" for word in words], vocabulary=names,
        dense=np.array([[s[0] if s else 0] * len(names) for s in scores], np.float32), notes=("same", names[0]),
        why=[{"none_iou": value, "iou": 0.} for value in none])


def test_the_larger_iou_wins_and_ties_go_to_nih():
    covid = found(["lung", "lung", "lung", ""], [.3, .2, .1, 0], [.01, .01, .01, .02], ("lung", "mass"))
    nih = found(["mass", "mass", "mass", "mass"], [.2, .2, .2, .015], [.01] * 4, ("mass",))
    got = TsiPaper(covid, nih)(None)
    assert got.concepts == [["lung"], ["mass"], ["mass"], []], "no class has its own IoU, a_u"
    assert [row["dissected_on"] for row in got.why] == ["covid", "nih", "nih", "covid"]
    assert got.vocabulary == ("mass", "lung") and got.status[3] == "empty"
    assert got.dense.tolist() == np.float32([[.3, .3], [.2, .2], [.2, .1], [.015, 0]]).tolist()
    assert got.notes == ("same", "mass", "lung")


def test_the_papers_yaml_has_the_official_options():
    method = config("method=tsi_paper", "paths.data=somewhere").method
    for one, name in ((method.covid, "covid_cxr_full"), (method.nih, "nih14_full")):
        assert (one.quantile, one.threshold_images, one.upsample, one.one_label) == (.99, 100, "zeros", True)
        assert one.min_iou == "implicit" and one.images.name == name and one.images.root == "somewhere"
    assert method.nih.images.split == "test" and method.nih.images.boxes.frame == 1024, "all boxes are in that split"


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [
    ({"quantile": 99}, "0.99"), ({"quantile": "high"}, "method.quantile"), ({"upsample": "nearest"}, "clamp or zeros"),
    ({"min_iou": "none"}, "implicit"), ({"min_iou": 4}, "method.min_iou"), ({"grid": 0}, "method.grid"),
    ({"threshold_images": 0}, "method.threshold_images")])
def test_bad_options_teach(options, words):
    with pytest.raises(BadInput, match=words):
        Tsi(**options)


@pytest.mark.fault
def test_masks_of_another_size_name_the_image_and_both_sizes(tmp_path):
    masks = np.ones((2, 1, 5, 6), bool)
    with pytest.raises(BadInput, match="image0 has 8 x 8 pixels, its masks 6 x 5"):
        annotate(tmp_path, MapTarget(np.zeros((1, 2, 4, 4))), World(masks, ["c"]))


@pytest.mark.fault
@pytest.mark.parametrize("images, words", [
    (World(), "neither: probing_set=phantom"),
    (World(boxes=[()] * 3, outlined=np.zeros(3, bool)), "none of 3 images of world has a mask or a box"),
    (World(np.zeros((3, 1, SIDE, SIDE), bool), ["c"]), "all masks of world are empty")])
def test_sets_without_masks_or_boxes_say_which_have_them(tmp_path, images, words):
    with pytest.raises(BadInput, match=words) as error:
        annotate(tmp_path, MapTarget(np.zeros((1, 3, 4, 4))), images)
    assert "covid_cxr" in str(error.value)


@pytest.mark.fault
def test_a_target_without_maps_says_what_to_choose(tmp_path):
    maps, images = random_world()
    with pytest.raises(BadInput, match="target.layer=final of tiny_target has no maps.*task=layers"):
        annotate(tmp_path, TinyTarget(np.zeros((200, 3))), World(images.masks, images.mask_names))

    class Layers(MapTarget):
        layer, taps = "final", ("final", "penultimate")

        def read(self, batch, layers, maps=False):
            found = super().read(batch, layers, maps)
            return {layer: Reading(r.pooled, r.maps if layer == "penultimate" else None)
                    for layer, r in found.items()}

    with pytest.raises(BadInput, match="Next: target.layer=penultimate, or a module"):
        annotate(tmp_path, Layers(maps), images)


@pytest.mark.fault
def test_maps_that_are_not_the_neurons_are_refused(tmp_path):
    class Flat(MapTarget):
        def neurons(self, layer):
            return tuple(map(str, range(64)))

    maps, images = random_world()
    with pytest.raises(BadInput, match="4 maps for 64 neurons of conv"):
        annotate(tmp_path, Flat(maps), images)
