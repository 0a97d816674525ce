from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mammi.errors import BadInput
from mammi.target.planted import Planted
from mammi.types import Batch

NAMES = ("Mass", "Nodule", "Tube")
SIDE = 10


def batch(ids=("a", "b", "c"), masks=True):
    """Image a shows a mass of 4 pixels, b a nodule of 1 pixel and a tube of 20, c nothing."""
    shown = np.zeros((3, 3, SIDE, SIDE), bool)
    shown[0, 0, :2, :2] = True
    shown[1, 1, 0, 0] = True
    shown[1, 2, :2] = True
    return Batch((Image.new("L", (SIDE, SIDE)),) * 3, tuple(ids), tuple(ids), masks=shown if masks else None,
                 mask_names=NAMES)


def read(target, **kwargs):
    return target.read(batch(**kwargs), ["final"], maps=True)["final"]


def test_oracle_units_follow_the_formula():
    got = read(Planted(NAMES)).pooled.numpy()
    z = 0.7 + 0.3 * (4 / 100) ** 0.5 / 0.15
    assert np.isclose(got[0, 0], 1 / (1 + np.exp(-12 * (z - 0.7))))
    assert np.isclose(got[2, 0], 1 / (1 + np.exp(12 * 0.7)))
    assert np.isclose(got[1, 2], 1 / (1 + np.exp(-12 * 0.6))), "extent counts up to twice 0.15"
    assert (got.argmax(0) == [0, 1, 1]).all()


def test_a_map_has_its_activation_in_the_mask_and_everywhere_without_one():
    got = read(Planted(NAMES, noise=0.5, random=2))
    shown = np.concatenate([batch().masks, np.zeros((3, 2, SIDE, SIDE), bool)], 1)
    for image in range(3):
        for unit in range(5):
            mask = shown[image, unit] if shown[image, unit].any() else np.ones((SIDE, SIDE))
            assert np.allclose(got.maps[image, unit], got.pooled[image, unit] * mask)


def test_or_units_take_the_larger_and_accept_both_names():
    target = Planted(NAMES, pairs=[["Mass", "Tube"]], oracle=False)
    single = read(Planted(NAMES)).pooled.numpy()
    assert np.allclose(read(target).pooled.numpy()[:, 0], single[:, [0, 2]].max(1))
    assert target.neurons("final") == ("Mass or Tube",) and target.truths("final") == [["mass", "tube"]]


def test_noise_belongs_to_the_image_and_the_seed():
    noisy = Planted(NAMES, noise=0.5, random=4)
    a, b = read(noisy).pooled.numpy(), read(noisy, ids=("x", "b", "c")).pooled.numpy()
    assert np.array_equal(a[1:], b[1:]) and not np.array_equal(a[0], b[0])
    assert not np.array_equal(a, read(Planted(NAMES, noise=0.5, random=4, seed=1)).pooled.numpy())
    assert noisy.fingerprint("final") != Planted(NAMES, noise=0.4, random=4).fingerprint("final")


def test_controls_are_judged_by_a_name_in_turn():
    target = Planted(NAMES, random=4, oracle=False)
    assert target.truths("final") == [["mass"], ["nodule"], ["tube"], ["mass"]]
    assert read(target).pooled.shape == (3, 4)


@pytest.mark.parametrize("make, words", [
    (lambda: Planted(NAMES, layer="conv1"), "one layer"), (lambda: Planted(NAMES, noise=-1), "noise=-1"),
    (lambda: Planted(NAMES, random=1.5), "random"),
    (lambda: Planted(NAMES, pairs=[["Mass", "Nodul"]]), "Did you mean Nodule"),
    (lambda: Planted(NAMES, oracle=False), "without a unit"),
    (lambda: read(Planted(NAMES), masks=False), "probing_set=phantom"),
    (lambda: read(Planted(("Hernia",))), "no mask is called 'Hernia'")])
def test_bad_input_is_named(make, words):
    with pytest.raises(BadInput, match=words):
        make()


def test_masks_may_be_of_different_sizes():
    """An image twice as large, with each mask pixel four times, says the same; maps are of the smallest size."""
    same = batch()
    mixed = [same.masks[0], same.masks[1].repeat(2, 1).repeat(2, 2), same.masks[2].repeat(3, 2)]
    target = Planted(NAMES, pairs=[["Mass", "Tube"]], random=1)
    one = target.read(same, ["final"], maps=True)["final"]
    other = target.read(replace(same, masks=mixed), ["final"], maps=True)["final"]
    assert np.array_equal(one.pooled, other.pooled) and np.array_equal(one.maps, other.maps)
    assert one.maps.shape == (3, 5, SIDE, SIDE)
