import numpy as np
import pytest

from mammi.errors import BadInput
from mammi.phantom.facts import Facts, Finding
from mammi.phantom.names import DEVICES, FINDINGS
from mammi.phantom.render import MASK_NAMES, render, render_one
from mammi.phantom.rows import sample_rows

ROWS = sample_rows(64, 5, .7)
ONE_EACH = np.eye(14, dtype=bool)


@pytest.fixture(scope="module")
def together():
    return render(ROWS, 5, range(64), masks=True)


def test_an_image_does_not_depend_on_its_batch(together):
    images, masks, facts = together
    order = np.random.default_rng(0).permutation(64)[:24]
    again = render(ROWS[order], 5, order, masks=True)
    assert (again[0] == images[order]).all() and (again[1] == masks[order]).all()
    assert again[2] == tuple(facts[i] for i in order)
    for i in range(6):
        alone = render(ROWS[i:i + 1], 5, [i], masks=True)
        assert (alone[0][0] == images[i]).all() and (alone[1][0] == masks[i]).all()


def test_seed_and_index_make_another_image():
    base = render_one(ONE_EACH[0], 5, 3).image
    for seed, index in ((5, 4), (6, 3)):
        assert (render_one(ONE_EACH[0], seed, index).image != base).mean() > .5


def test_masks_are_there_exactly_for_what_is_shown(together):
    _, masks, facts = together
    assert masks.shape == (64, 18, 96, 96) and masks.dtype == bool
    for row, channels, fact in zip(ROWS, masks, facts):
        shown = [name for name, channel in zip(MASK_NAMES, channels) if channel.any()]
        assert shown == [n for n, present in zip(FINDINGS, row) if present] + list(fact.devices)


@pytest.mark.parametrize("size", (64, 96, 128))
def test_every_finding_has_a_mask_at_every_size(size):
    for index in range(5):
        for row, name in zip(ONE_EACH, FINDINGS):
            assert render_one(row, 9, index, size).masks[name].sum() >= 3, (name, index)


@pytest.mark.parametrize("name", [n for n in FINDINGS if n not in ("Cardiomegaly", "Emphysema", "Atelectasis")])
def test_a_finding_changes_the_image_at_its_mask(name):
    """Those three change the anatomy too, so the same index without them is another chest."""
    row = ONE_EACH[FINDINGS.index(name)]
    inside = outside = 0
    for index in range(10):
        with_it, without = render_one(row, 4, index), render_one(~ONE_EACH.any(0), 4, index)
        change = np.abs(with_it.image.astype(float) - without.image)
        inside += change[with_it.masks[name]].mean()
        outside += change[~with_it.masks[name]].mean()
    assert inside > 5 * outside


@pytest.mark.parametrize("name", ("Effusion", "Pneumothorax", "Mass", "Atelectasis", "Infiltration"))
def test_the_patients_right_is_image_left(name):
    row = ONE_EACH[FINDINGS.index(name)]
    for index in range(12):
        picture = render_one(row, 3, index)
        columns = np.flatnonzero(picture.masks[name].any(0))
        match picture.facts.findings[name].side:
            case "right":
                assert columns.mean() < 48
            case "left":
                assert columns.mean() > 48
            case "bilateral":
                assert columns.min() < 44 and columns.max() > 52


def test_upper_is_above_lower():
    heights = {"upper": [], "mid": [], "lower": []}
    for index in range(30):
        picture = render_one(ONE_EACH[FINDINGS.index("Mass")], 3, index)
        heights[picture.facts.findings["Mass"].zone].append(np.nonzero(picture.masks["Mass"])[0].mean())
    assert np.mean(heights["upper"]) + 8 < np.mean(heights["mid"]) < np.mean(heights["lower"]) - 8


def test_boxes_touch_their_masks_and_cover_them():
    for index, row in enumerate(ROWS[:40]):
        picture = render_one(row, 5, index)
        for name, mask in picture.masks.items():
            covered = np.zeros_like(mask)
            for box in (b for b in picture.boxes if b.label == name):
                part = mask[box.y:box.y + box.h, box.x:box.x + box.w]
                assert part.shape == (box.h, box.w)
                assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()
                covered[box.y:box.y + box.h, box.x:box.x + box.w] = True
            assert (mask <= covered).all()


def test_a_bilateral_finding_has_two_boxes():
    picture = render_one(ONE_EACH[FINDINGS.index("Edema")], 5, 0)
    assert picture.facts == Facts({"Edema": Finding("bilateral", "perihilar")}, picture.facts.devices)
    left, right = sorted(b for b in picture.boxes if b.label == "Edema")
    assert left.x + left.w <= right.x


def test_devices_are_drawn():
    pictures = [render_one(~ONE_EACH.any(0), 1, index) for index in range(80)]
    assert {name for p in pictures for name in p.masks} == set(DEVICES)


def test_too_small_a_size_is_refused():
    with pytest.raises(BadInput, match="size=8"):
        render_one(ONE_EACH[0], 0, 0, 8)
