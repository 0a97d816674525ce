"""Masks from files that a table lists, from files found by name, from outlines: drawn at the size of their image."""
import json

import numpy as np
import pytest
from PIL import Image

from mammi.errors import BadInput, MissingAsset
from mammi.probing_set.masks import MaskFiles, MaskPolygons, MaskTable

ROWS = ("filename,class,mask", "a.jpeg,left_lung,masks/left/a.png", "a.jpeg,opacity,masks/opacity/a.png",
        "b.png,opacity,masks/opacity/b.png")
CROPS = ("Template Name,Filename,Mask,Resolution,Top,Left,Width,Height",
         "Left Lung,a.jpeg,masks/1.png,10x8,1,4,3,2", "Left Lung,a.jpeg,masks/2.png,10x8,6,0,2,2",
         "Monitoring Probes,a.jpeg,,10x8,0,0,10,8")


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(path)


def half(height=8, width=16, value=255):
    return np.repeat([[0, value]], width // 2, 1).repeat(height, 0).reshape(height, width)


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "masks.csv").write_text("\n".join(ROWS))
    save(tmp_path / "masks" / "left" / "a.png", half(value=1))
    save(tmp_path / "masks" / "opacity" / "a.png", np.full((8, 16), 255), "1")
    save(tmp_path / "masks" / "opacity" / "b.png", np.zeros((8, 16)), "1")
    return MaskTable("masks.csv", "filename", "class", "mask"), tmp_path


def test_a_pixel_may_be_in_several_masks(listed):
    reader, base = listed
    masks = reader.open(base, {"left_lung": "left lung"})
    assert masks.names == ("left lung", "opacity") and masks.images == ("a.jpeg", "b.png") and masks.notes == ()
    drawn = masks.draw("a.jpeg", (16, 8))
    assert drawn.shape == (2, 8, 16) and drawn.dtype == bool
    np.testing.assert_array_equal(drawn[0], half() > 0)
    assert drawn[1].all() and not masks.draw("b.png", (16, 8)).any()


def test_nothing_is_read_before_it_is_drawn(listed):
    reader, base = listed
    (base / "masks" / "opacity" / "b.png").write_bytes(b"no image")
    masks = reader.open(base, {})
    masks.draw("a.jpeg", (16, 8))
    with pytest.raises(BadInput, match="b.png cannot be read"):
        masks.draw("b.png", (16, 8))


def test_resized_by_the_nearest_pixel_where_the_aspect_agrees(listed):
    reader, base = listed
    masks = reader.open(base, {})
    np.testing.assert_array_equal(masks.draw("a.jpeg", (32, 16))[0], half(16, 32) > 0)
    assert masks.draw("a.jpeg", (401, 200))[0].sum() == pytest.approx(200 * 200, rel=.01)  # rounded when resized


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_no_mask(tmp_path, mode):
    save(tmp_path / "m" / "a.png", half(value=3), mode)  # alpha is 255 everywhere
    mask = MaskFiles({"lung": "m/{stem}.png"}).open(tmp_path, {}).draw("a", (16, 8))
    np.testing.assert_array_equal(mask[0], half() > 0)


def test_sixteen_bits(tmp_path):
    (tmp_path / "m").mkdir()
    Image.fromarray(half(value=1).astype(np.uint16) * 40000).save(tmp_path / "m" / "a.png")
    mask = MaskFiles({"lung": "m/{stem}.png"}).open(tmp_path, {}).draw("a", (16, 8))
    np.testing.assert_array_equal(mask[0], half() > 0)


@pytest.fixture
def cropped(tmp_path):
    (tmp_path / "structure.csv").write_text("\n".join(CROPS))
    save(tmp_path / "masks" / "1.png", [[0, 9, 9], [9, 9, 0]])
    save(tmp_path / "masks" / "2.png", np.ones((2, 2)), "L")
    return MaskTable("structure.csv", "Filename", "Template Name", "Mask", ["Left", "Top"], "Resolution"), tmp_path


def test_a_part_lies_at_its_corner_and_parts_of_one_name_join(cropped):
    reader, base = cropped
    expected = np.zeros((8, 10), bool)
    expected[1, 5:7] = expected[2, 4:6] = expected[6:, :2] = True
    masks = reader.open(base, {})
    assert masks.names == ("Left Lung",)
    np.testing.assert_array_equal(masks.draw("a.jpeg", (10, 8))[0], expected)
    np.testing.assert_array_equal(masks.draw("a.jpeg", (20, 16))[0], expected.repeat(2, 0).repeat(2, 1))


@pytest.mark.fault
def test_rows_without_a_mask_are_counted_not_silently_used(cropped):
    reader, base = cropped
    assert reader.open(base, {}).notes == (
        "1 of 3 rows of structure.csv name no mask file (Monitoring Probes): nothing is drawn for them",)


def test_files_found_by_name(tmp_path):
    for stem in ("ISIC_1", "x.webp-day5"):
        save(tmp_path / "lesions" / f"{stem}_segmentation.png", half())
    save(tmp_path / "lesions" / "other.png", half())
    masks = MaskFiles({"lesion": "lesions/{stem}_segmentation.png"}).open(tmp_path, {"lesion": "mole"})
    assert masks.images == ("ISIC_1", "x.webp-day5") and masks.names == ("mole",)
    assert masks.draw("ISIC_1", (16, 8)).sum() == 64


def test_two_files_of_one_alias_join(tmp_path):
    save(tmp_path / "left" / "a.png", half())
    save(tmp_path / "right" / "a.png", 255 - half())
    masks = MaskFiles({"left": "left/{stem}.png", "right": "right/{stem}.png"}).open(
        tmp_path, {"left": "lung", "right": "lung"})
    drawn = masks.draw("a", (16, 8))
    assert masks.names == ("lung",) and drawn.shape == (1, 8, 16) and drawn.all()


def test_an_outline_is_filled_with_its_border(tmp_path):
    square = [[10, 20], [30, 20], [30, 40], [10, 40]]
    record = {"file_name": "1.png", "syms": ["Mass", "Nodule"], "polygons": [square, [[0, 0], [4, 0], [0, 4]]]}
    (tmp_path / "a.json").write_text(json.dumps([record, {**record, "file_name": "2.png", "syms": [], "polygons": []}]))
    masks = MaskPolygons("a.json").open(tmp_path, {})
    drawn = masks.draw("1.png", (50, 60))
    assert drawn.shape == (2, 60, 50) and drawn[0].sum() == 21 * 21 and drawn[0, 20:41, 10:31].all()
    assert drawn[1].sum() == 15  # the rows of the triangle hold 5, 4, 3, 2, 1
    assert masks.images == ("1.png", "2.png") and not masks.draw("2.png", (50, 60)).any()
    scaled = MaskPolygons("a.json", frame=100).open(tmp_path, {}).draw("1.png", (50, 50))
    assert scaled[0].sum() == 11 * 11


# --- injected faults --------------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_a_mask_of_another_aspect_than_its_image_is_refused(listed):
    reader, base = listed
    with pytest.raises(BadInput, match="a.png has 16 x 8 pixels, its image 16 x 16: another aspect"):
        reader.open(base, {}).draw("a.jpeg", (16, 16))


@pytest.mark.fault
def test_a_lacking_mask_file_is_named_when_the_set_is_opened(listed):
    reader, base = listed
    (base / "masks" / "left" / "a.png").unlink()
    with pytest.raises(MissingAsset, match=r"1 of 3 mask files are not there: .*left.a.png.*probing_set.masks=null"):
        reader.open(base, {})
    with pytest.raises(MissingAsset, match=r"no mask is named nowhere/\{stem\}.png"):
        MaskFiles({"lung": "nowhere/{stem}.png"}).open(base, {})
    with pytest.raises(MissingAsset, match="2 of 4 mask files are not there: .*left.a.png, .*left.b.png"):
        MaskFiles({"lung": "masks/left/{stem}.png", "opacity": "masks/opacity/{stem}.png"}).open(base, {})


@pytest.mark.fault
def test_an_unknown_structure_is_refused_with_the_nearest(listed):
    _, base = listed
    reader = MaskTable("masks.csv", "filename", "class", "mask", names=["left lung", "opacity"])
    with pytest.raises(BadInput, match="masks of left_lung: not in probing_set.masks.names. Did you mean left lung"):
        reader.open(base, {})
    assert reader.open(base, {"left_lung": "left lung"}).names == ("left lung", "opacity")


@pytest.mark.fault
def test_a_header_that_lacks_a_column(listed):
    _, base = listed
    with pytest.raises(BadInput, match="probing_set.masks.label=structure: masks.csv has no such column"):
        MaskTable("masks.csv", "filename", "structure", "mask").open(base, {})


@pytest.mark.fault
@pytest.mark.parametrize("row, told", [
    ("Left Lung,a.jpeg,masks/1.png,10x8,7,4,3,2", r"3 x 2 pixels at \(4, 7\) do not fit into a frame of 10 x 8"),
    ("Left Lung,a.jpeg,masks/1.png,10,1,4,3,2", "row 2: left '4', top '1', frame '10'"),
    ("Left Lung,a.jpeg,masks/1.png,10x8,-1,4,3,2", "row 2: left '4', top '-1'"),
    ("Left Lung,a.jpeg,masks/1.png,10x8,1,,3,2", "row 2: left ''")])
def test_a_part_that_does_not_lie_in_its_frame(cropped, row, told):
    reader, base = cropped
    (base / "structure.csv").write_text("\n".join([CROPS[0], row]))
    with pytest.raises(BadInput, match=told):
        reader.open(base, {}).draw("a.jpeg", (10, 8))


@pytest.mark.fault
@pytest.mark.parametrize("points, told", [
    ([[1, 1], [2, 2]], "at least 3 points"), ([1, 2, 3], "at least 3 points"), ([[1, 2], [3], [4, 5]], "list of"),
    ([[1, 1], [2, 2], ["a", 3]], "list of"), ([[1, 1], [2, 2], [900, 3]], "an outline reaches.*masks.frame")])
def test_outlines_that_are_none(tmp_path, points, told):
    (tmp_path / "a.json").write_text(json.dumps([{"file_name": "1.png", "syms": ["Mass"], "polygons": [points]}]))
    with pytest.raises(BadInput, match=told):
        MaskPolygons("a.json").open(tmp_path, {}).draw("1.png", (50, 50))


@pytest.mark.fault
@pytest.mark.parametrize("make, told", [
    (lambda: MaskTable("m.csv", 0, 1, 2, corner=["Left", "Top"]), "corner=.*frame=None"),
    (lambda: MaskTable("m.csv", 0, 1, 2, corner=["Left"], frame="Resolution"), "corner"),
    (lambda: MaskFiles({"lung": "masks/x.png"}), r"must hold \{stem\}"),
    (lambda: MaskPolygons("a.json", frame=0), "masks.frame=0")])
def test_options_that_contradict_each_other(make, told):
    with pytest.raises(BadInput, match=told):
        make()
