"""Boxes by corner and size, by two corners, by circles, from JSON; scaled, turned, cut at the border."""
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammi.errors import BadInput, MissingAsset
from mammi.probing_set.boxes import BoxJSON, BoxTable
from mammi.types import Box

SIZE = {"x": "x", "y": "y", "w": "w", "h": "h"}
CORNERS = {"xmin": "x", "ymin": "y", "xmax": "w", "ymax": "h"}
CIRCLE = {"x": "x", "y": "y", "radius": "r"}


def table(folder, *rows, header="image,label,x,y,w,h", **options):
    (folder / "boxes.csv").write_text("\n".join([header, *rows]))
    return BoxTable("boxes.csv", **{"image": "image", "label": "label", **options})


def only(reader, folder, size, image="a.png", aliases=None):
    [box] = reader.scaled(reader.read(folder, aliases or {})[image], *size)
    return box


def test_three_ways_to_write_the_same_box(tmp_path):
    same = Box("Mass", 10, 20, 40, 40)
    assert only(table(tmp_path, "a.png,Mass,10,20,40,40", **SIZE), tmp_path, (100, 100)) == same
    assert only(table(tmp_path, "a.png,Mass,10,20,50,60", **CORNERS), tmp_path, (100, 100)) == same
    assert only(table(tmp_path, "a.png,Mass,30,40,20", header="image,label,x,y,r", **CIRCLE), tmp_path,
                (100, 100)) == same


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40), st.sampled_from([25, 50, 200]))
def test_from_below_is_the_mirror_image(tmp_path_factory, x, y, w, h, side):
    folder = tmp_path_factory.mktemp("boxes")
    reader = table(folder, f"a.png,Mass,{x},{y},{w},{h}", **SIZE, frame=100, origin="bottom_left")
    box, f = only(reader, folder, (side, side)), side / 100
    assert box.label == "Mass" and box[1:] == pytest.approx((x * f, (100 - y - h) * f, w * f, h * f))


def test_a_row_may_name_several_findings_and_the_frame_of_its_image(tmp_path):
    header = "image,width,height,label,x,y,w,h"
    reader = table(tmp_path, 'a.png,400,200,"[\'Mass\', \'Old\']",100,50,200,150', header=header, **CORNERS,
                   frame=["width", "height"])
    drawn = reader.read(tmp_path, {"Old": "Scar"})["a.png"]
    assert reader.scaled(drawn, 200, 100) == (Box("Mass", 50, 25, 50, 50), Box("Scar", 50, 25, 50, 50))
    assert reader.scaled(drawn, 201, 100)[0].w == pytest.approx(50.25)  # rounded when it was resized
    with pytest.raises(BadInput, match="400 x 200 pixels, this one has 200 x 200: it was cropped"):
        reader.scaled(drawn, 200, 200)


def test_one_finding_and_rows_without_a_box(tmp_path):
    reader = table(tmp_path, "a.png,264.0,152.0,213.0,379.0,1", "a.png,562.0,152.0,256.0,453.0,1", "b.png,,,,,0",
                   "c.png,nan,nan,nan,nan,0", header="image,x,y,w,h,Target", **SIZE, label=None, finding="Lung Opacity",
                   frame=1024)
    boxes = reader.read(tmp_path, {})
    assert list(boxes) == ["a.png"] and reader.notes == ("2 of 4 rows of boxes.csv draw no box",)
    assert reader.scaled(boxes["a.png"], 512, 512)[0] == Box("Lung Opacity", 132, 76, 106.5, 189.5)


def test_words_that_mean_no_box_are_those_that_were_named(tmp_path):
    rows = "a.png,CALC,*NOTE,3*,", "b.png,CIRC,10,10,5"
    reader = table(tmp_path, *rows, header="image,label,x,y,r", **CIRCLE, no_box=["*NOTE"])
    assert list(reader.read(tmp_path, {})) == ["b.png"] and reader.notes
    with pytest.raises(BadInput, match=r"boxes.csv, row 2: \*NOTE, 3\*,  are no box; expected x, y, radius"):
        table(tmp_path, *rows, header="image,label,x,y,r", **CIRCLE).read(tmp_path, {})


def test_what_lies_beyond_the_border_is_cut_off(tmp_path):
    reader = table(tmp_path, "a.png,Mass,-6,90,20,20", **SIZE)
    assert only(reader, tmp_path, (100, 100)) == Box("Mass", 0, 90, 14, 10)


def records(folder, *found, name="boxes.json"):
    (folder / name).write_text(json.dumps(list(found)))


def record(name, **fields):
    return {"file_name": name, "syms": ["Effusion"], "boxes": [[100, 200, 300, 600]],
            "polygons": [[[100, 200], [300, 200], [300, 600]]], **fields}


def test_json_of_one_file_or_several(tmp_path):
    records(tmp_path, record("1.png"), record("2.png", syms=[], boxes=[], polygons=[]))
    records(tmp_path, record("3.png"), name="more.json")
    reader = BoxJSON(["boxes.json", "more.json"], frame=1024)
    boxes = reader.read(tmp_path, {"Effusion": "fluid"})
    assert list(boxes) == ["1.png", "2.png", "3.png"] and boxes["2.png"] == ()
    assert reader.scaled(boxes["3.png"], 512, 512) == (Box("fluid", 50, 100, 100, 200),)
    assert list(BoxJSON("more.json").read(tmp_path, {})) == ["3.png"]


# --- injected faults --------------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("columns, row", [(CORNERS, "50,20,40,60"), (CORNERS, "10,60,40,20"), (SIZE, "10,20,0,5"),
                                          (SIZE, "10,20,30,"), (SIZE, "10,20,30,inf"), (SIZE, "here,20,30,4")])
def test_corners_in_the_wrong_order_empty_boxes_and_lacking_numbers_are_named(tmp_path, columns, row):
    with pytest.raises(BadInput, match="boxes.csv, row 3: .* are no box; expected"):
        table(tmp_path, "b.png,Mass,1,2,3,4", f"a.png,Mass,{row}", **columns).read(tmp_path, {})


@pytest.mark.fault
def test_a_box_outside_of_its_image_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"a box of Mass \(600, 20, 40, 40\) lies outside.*224 x 224.*boxes.frame"):
        only(table(tmp_path, "a.png,Mass,600,20,40,40", **SIZE), tmp_path, (224, 224))


@pytest.mark.fault
def test_other_column_names_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(BadInput, match="probing_set.boxes.ymax=h: boxes.csv has no such column"):
        table(tmp_path, "a.png,Mass,1,2,3,4", header="image,label,x,y,w,height", **CORNERS).read(tmp_path, {})
    with pytest.raises(MissingAsset, match="probing_set.boxes.path=.*lost.csv"):
        BoxTable("lost.csv", "image", "label", **SIZE).read(tmp_path, {})


@pytest.mark.fault
@pytest.mark.parametrize("options, told", [
    ({"x": 0, "y": 1, "w": 2}, "columns are given for x, y, w; expected x, y, w, h; or xmin"),
    ({}, "no number"), ({**SIZE, "origin": "left"}, "origin=left"), ({**SIZE, "label": None}, "give label"),
    ({**SIZE, "finding": "Mass"}, "give label"), ({**SIZE, "frame": ["width"]}, "two columns"),
    ({**SIZE, "frame": 0}, "boxes.frame=0")])
def test_options_that_contradict_each_other(options, told):
    with pytest.raises(BadInput, match=told):
        BoxTable("boxes.csv", **{"image": "image", "label": "label", **options})


@pytest.mark.fault
@pytest.mark.parametrize("text, told", [
    ('{"a": 1}', "expected a list of objects, one an image, found dict"), ("[1]", "a list of other things"),
    ("[{", "no JSON file"), ('[{"name": "a"}]', "record 0: there is no field file_name. Did you mean name"),
    (json.dumps([record("a", boxes=[])]), "1 syms, 0 boxes"), (json.dumps([record("a", boxes=7)]), "a list in each"),
    (json.dumps([record("a", boxes=[[3, 1, 2, 4]])]), "record 0: 3, 1, 2, 4 are no box"),
    (json.dumps([record("a", boxes=[[3, 1, 2]])]), "are no box")])
def test_json_that_is_something_else(tmp_path, text, told):
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(BadInput, match=told):
        BoxJSON("boxes.json").read(tmp_path, {})


@pytest.mark.fault
def test_an_image_of_two_records_is_refused_not_overwritten(tmp_path):
    records(tmp_path, record("1.png"), record("2.png"))
    records(tmp_path, record("2.png", syms=[], boxes=[]), name="more.json")
    with pytest.raises(BadInput, match=r"more\.json, record 0: 2\.png is in boxes\.json, record 1, too"):
        BoxJSON(["boxes.json", "more.json"]).read(tmp_path, {})
