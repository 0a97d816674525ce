"""Splits by shares and by folders, patients in two of them; labels by folder and by list, facts, masks."""
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mammi.errors import BadInput
from mammi.probing_set.boxes import BoxTable
from mammi.probing_set.image_folder import ImageFolder
from mammi.probing_set.splits import by_share
from tests.probing_set.packed import zipped

SHARES = {"train": .6, "val": .15, "test": .25}


def picture(path, value=0, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def table(root, *lines, name="table.csv"):
    (root / name).write_text("\n".join(lines) + "\n")


@pytest.fixture
def studies(tmp_path):
    """60 images of 20 patients, three each."""
    for i in range(60):
        picture(tmp_path / f"{i // 3:02}_{i % 3}.png", i)
    return tmp_path


# --- shares -----------------------------------------------------------------------------------------------------------


def test_shares_keep_patients_whole_and_say_every_split(studies):
    images = ImageFolder(studies, patient_pattern=r"^(\d+)_", split_shares=SHARES)
    of = dict(zip(images.patients, images.splits))
    assert [of[patient] for patient in images.patients] == list(images.splits) and set(of.values()) <= set(SHARES)
    parts = [ImageFolder(studies, patient_pattern=r"^(\d+)_", split_shares=SHARES, split=split) for split in SHARES]
    assert sorted(image for part in parts for image in part.ids) == list(images.ids)
    assert all(set(part.splits) == {split} for part, split in zip(parts, SHARES))


@given(patients=st.lists(st.text(min_size=1), min_size=1, unique=True), more=st.lists(st.text(min_size=1)),
       seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_a_patient_is_drawn_without_regard_to_others(patients, more, seed):
    every = by_share([*more, *patients], SHARES, seed)[len(more):]
    assert every == [by_share([patient], SHARES, seed)[0] for patient in patients]
    assert every[::-1] == by_share(patients[::-1], SHARES, seed)


def test_shares_are_what_they_say_and_the_seed_matters():
    patients = [f"P{i}" for i in range(20000)]
    drawn = by_share(patients, SHARES, 0)
    counts = Counter(drawn)
    for split, share in SHARES.items():
        assert abs(counts[split] / 20000 - share) < 4 * (share * (1 - share) / 20000) ** .5
    other = by_share(patients, SHARES, 1)
    agree = sum(one == two for one, two in zip(drawn, other)) / 20000
    assert abs(agree - sum(share ** 2 for share in SHARES.values())) < .02
    assert by_share(["a"], {"all": 1.0}, 0) == ["all"]


def test_rows_without_an_image_belong_to_their_patients_split(studies):
    rows = [f"{i // 3:02}_{i % 3}.png,P{i // 3}" for i in range(60)]
    table(studies, "image,who", *rows)
    options = {"csv": "table.csv", "patient_column": "who", "split_shares": SHARES}
    train = ImageFolder(studies, split="train", **options)
    lost = next(name for name, patient in (row.split(",") for row in rows) if patient not in train.patients)
    (studies / lost).unlink()
    assert ImageFolder(studies, split="train", **options).ids == train.ids
    with pytest.raises(BadInput, match=f"1 rows have no image .{lost}"):
        ImageFolder(studies, **options)


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kermany(tmp_path):
    names = ("train/NORMAL/n1.png", "train/NORMAL/n2.png", "train/PNEUMONIA/p1.png", "val/PNEUMONIA/p2.png",
             "test/NORMAL/n3.png", "test/PNEUMONIA/p3.png")
    for i, name in enumerate(names):
        picture(tmp_path / "chest" / name, i)
    return tmp_path


def test_folders_name_splits_and_labels(kermany):
    options = {"images": "chest", "split_folders": True, "class_folders": True, "none": "NORMAL",
               "aliases": {"PNEUMONIA": "pneumonia"}}
    images = ImageFolder(kermany, **options)
    assert images.label_names == ("pneumonia",)
    assert dict(zip(images.ids, images.labels[:, 0])) == {"n1.png": 0, "n2.png": 0, "p1.png": 1, "p2.png": 1,
                                                          "n3.png": 0, "p3.png": 1}
    assert dict(zip(images.ids, images.splits)) == {"n1.png": "train", "n2.png": "train", "p1.png": "train",
                                                    "p2.png": "val", "n3.png": "test", "p3.png": "test"}
    assert ImageFolder(kermany, split=["val", "test"], **options).ids == ("n3.png", "p3.png", "p2.png")
    both = ImageFolder(kermany, images="chest", class_folders=True, label_names=["PNEUMONIA", "NORMAL"])
    assert both.label_names == ("PNEUMONIA", "NORMAL") and (both.labels.sum(1) == 1).all()
    zipped(kermany / "chest", kermany / "all.zip", "chest/")
    packed = ImageFolder(kermany, **options | {"images": "all.zip/chest"})
    assert (packed.ids, packed.splits) == (images.ids, images.splits)
    np.testing.assert_array_equal(packed.labels, images.labels)


def test_folders_that_are_called_otherwise(kermany):
    images = ImageFolder(kermany, images="chest", split_folders={"train": "fit", "test": "held out"}, split="held out")
    assert images.ids == ("n3.png", "p3.png") and set(images.splits) == {"held out"}


# --- lists of labels, facts, names ------------------------------------------------------------------------------------


def test_labels_in_brackets_and_in_several_columns(studies):
    table(studies, "image,finding,birads,extra",
          "00_0,\"['Mass', 'Suspicious Calcification']\",BI-RADS 4,", "00_1,['No Finding'],BI-RADS 1,Clip|Wire",
          "00_2,[],,")
    options = {"csv": "table.csv", "unmatched": "drop", "aliases": {"Suspicious Calcification": "calcification"}}
    images = ImageFolder(studies, labels_column="finding", **options)
    assert images.label_names == ("Mass", "calcification") and images.labels.tolist() == [[1, 1], [0, 0], [0, 0]]
    images = ImageFolder(studies, labels_column=["finding", "birads", "extra"], **options)
    assert images.label_names == ("BI-RADS 1", "BI-RADS 4", "Clip", "Mass", "Wire", "calcification")
    assert images.labels.tolist() == [[0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0], [0] * 6]


def test_facts_and_the_collection(studies):
    table(studies, "image,View Position,Age,Sex", "00_0,PA,058Y,F", "00_1,,57,nan", "00_2,AP,,M", "00_1,LAT,90,M")
    images = ImageFolder(studies, csv="table.csv", unmatched="drop", dataset="nih14",
                         facts={"view": "View Position", "age": "Age", "gender": "Sex"})
    assert images.facts == {"view": ("PA", "LAT", "AP"), "age": ("58", "57", ""), "gender": ("F", "M", "M")}
    assert images.dataset == "nih14" and images.splits == ()


def test_a_table_of_other_file_types_finds_its_images(studies):
    table(studies, "image,finding", "some/00_0.jpg,Mass", "00_1.dcm,Scar", "00_2.v1,Scar")
    with pytest.raises(BadInput, match="1 rows have no image .00_2.v1"):
        ImageFolder(studies, csv="table.csv", labels_column="finding")
    images = ImageFolder(studies, csv="table.csv", labels_column="finding", unmatched="drop")
    assert images.ids == ("00_0.png", "00_1.png") and images.labels.tolist() == [[1, 0], [0, 1]]


# --- masks ------------------------------------------------------------------------------------------------------------


class Stripes:
    """A reader of masks: the left ``k`` columns of each image it knows; ``log`` is what was asked of it."""

    def __init__(self, columns, names=("lung", "heart")):
        self.columns, self.names, self.images, self.notes, self.log = columns, names, tuple(columns), (), []

    def open(self, base, aliases):
        self.log.append((base, aliases))
        return self

    def draw(self, image, size):
        drawn = np.zeros((len(self.names), size[1], size[0]), bool)
        drawn[0, :, :self.columns[image]] = True
        return drawn


def test_masks_are_drawn_on_request_in_each_images_own_size(tmp_path):
    for name, size in (("a", (6, 4)), ("b", (6, 4)), ("c", (8, 2))):
        picture(tmp_path / f"{name}.png", size=size)
    reader = Stripes({"somewhere/a.jpg": 1, "b": 2, "c.png": 3, "./c.png": 5})
    images = ImageFolder(tmp_path, masks=reader, aliases={"x": "y"})
    assert reader.log == [(tmp_path, {"x": "y"})] and images.mask_names == ("lung", "heart") and images.notes == ()
    assert images.load([0]).masks is None and images.load([0]).mask_names == ()
    same, mixed = images.load([1, 0], masks=True), images.load([1, 2], masks=True)
    assert isinstance(same.masks, np.ndarray) and same.masks.shape == (2, 2, 4, 6) and same.masks.dtype == bool
    assert same.masks[:, 0].sum((1, 2)).tolist() == [8, 4] and not same.masks[:, 1].any()
    assert [mask.shape for mask in mixed.masks] == [(2, 4, 6), (2, 2, 8)] and mixed.mask_names == images.mask_names
    assert mixed.masks[1][0].sum() == 10  # two spellings of one image join
    assert ImageFolder(tmp_path).load([0], masks=True).masks is None


def test_images_without_masks_have_empty_ones_and_are_counted(tmp_path):
    for name in "abc":
        picture(tmp_path / f"{name}.png")
    images = ImageFolder(tmp_path, masks=Stripes({"b": 2}))
    assert images.notes == ("1 of 3 images have masks; the others count as empty",)
    assert images.load([0, 1, 2], masks=True).masks.sum((1, 2, 3)).tolist() == [0, 8, 0]
    with pytest.raises(BadInput, match=r"masks of 1 images that are neither here nor listed \(z\).*probing_set.masks"):
        ImageFolder(tmp_path, masks=Stripes({"b": 2, "z": 1}))
    dropped = ImageFolder(tmp_path, masks=Stripes({"b": 2, "z": 1}), unmatched="drop")
    assert "dropped: masks of 1 images" in dropped.notes[0]


# --- injected faults --------------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("shares", [{"train": .6, "test": .5}, {"train": .6, "test": .3}, {"train": 1.2, "test": -.2},
                                    {"train": 1.0, "test": 0.0}, {"train": "half", "test": .5}])
def test_shares_that_are_none_are_refused(studies, shares):
    with pytest.raises(BadInput, match="probing_set.split_shares"):
        ImageFolder(studies, split_shares=shares)


@pytest.mark.fault
def test_two_ways_to_split_are_refused(studies):
    with pytest.raises(BadInput, match="give one of probing_set.split_folders and probing_set.split_shares, not both"):
        ImageFolder(studies, split_shares=SHARES, split_folders=True)
    with pytest.raises(BadInput, match="patient_column or probing_set.patient_pattern, not both"):
        ImageFolder(studies, csv="table.csv", patient_pattern="(.)", patient_column=table(
            studies, "image,who", "00_0,P1") or "who")


@pytest.mark.fault
def test_a_patient_in_two_splits_is_refused_or_noted(studies):
    rows = [f"{i // 3:02}_{i % 3}.png,P{i // 3},{'test' if i in (2, 3) else 'train'}" for i in range(60)]
    table(studies, "image,who,part", *rows)
    options = {"csv": "table.csv", "patient_column": "who", "split_column": "part"}
    for split in (None, "train", "test"):  # rows that are not chosen count, too
        with pytest.raises(BadInput, match=r"2 of 20 patients are in two splits: P0 \(train: 2, test: 1\); "
                                           r"P1 \(test: 1, train: 2\).*probing_set.shared_patients=note"):
            ImageFolder(studies, split=split, **options)
    images = ImageFolder(studies, split="test", shared_patients="note", **options)
    assert len(images) == 2 and images.notes[0].startswith("2 of 20 patients are in two splits: P0")
    with pytest.raises(BadInput, match="shared_patients=maybe: expected error or note"):
        ImageFolder(studies, shared_patients="maybe", **options)


@pytest.mark.fault
def test_a_patient_in_two_split_folders_or_files_is_refused(tmp_path):
    for name in ("train/person1_a.png", "test/person1_b.png", "test/person2_a.png"):
        picture(tmp_path / "images" / name)
    with pytest.raises(BadInput, match="1 of 2 patients are in two splits: person1"):
        ImageFolder(tmp_path, images="images", split_folders=True, patient_pattern=r"^(person\d+)_")
    table(tmp_path, "person1_a.png", name="train.txt")
    table(tmp_path, "person1_b.png", "person2_a.png", name="test.txt")
    with pytest.raises(BadInput, match="1 of 2 patients are in two splits: person1"):
        ImageFolder(tmp_path, images="images", split_files={"train": "train.txt", "test": "test.txt"}, split="test",
                    patient_pattern=r"^(person\d+)_")


@pytest.mark.fault
def test_an_image_in_two_splits_is_refused(studies):
    table(studies, "image,part", "00_0,train", "00_1,test", "00_0.png,test")
    with pytest.raises(BadInput, match=r"1 of 2 patients are in two splits: 00_0.png \(train: 1, test: 1\)"):
        ImageFolder(studies, csv="table.csv", split_column="part", unmatched="drop")


@pytest.mark.fault
@pytest.mark.parametrize("field", ["[Mass", "['Mass'", "[Mass, Nodule]", "[1, 2]", "[__import__('os')]", "['a'] * 3"])
def test_a_list_of_labels_that_is_none_is_refused(studies, field):
    table(studies, "image,finding", f'00_0,"{field}"')
    with pytest.raises(BadInput, match="table.csv, column finding: .* begins like a list and is none; expected names"):
        ImageFolder(studies, csv="table.csv", labels_column="finding", unmatched="drop")


@pytest.mark.fault
def test_columns_of_another_table_are_refused_with_near_names(studies):
    table(studies, "Image Index,Finding Labels,Patient ID,View Position", "00_0.png,Mass,1,PA")
    for option, value, near in (("image_column", "image index", "Image Index"),
                                ("labels_column", "finding_labels", "Finding Labels"),
                                ("patient_column", "PatientID", "Patient ID"),
                                ("split_column", "official_split", "There are"),
                                ("facts", {"view": "ViewPosition"}, "View Position")):
        with pytest.raises(BadInput, match=f"probing_set.{option}.*table.csv has no such column.*{near}"):
            ImageFolder(studies, csv="table.csv", unmatched="drop", **{option: value})


@pytest.mark.fault
def test_images_in_no_folder_have_no_class_or_split(studies):
    with pytest.raises(BadInput, match="probing_set.class_folders: 00_0.png lies in no folder"):
        ImageFolder(studies, class_folders=True)
    with pytest.raises(BadInput, match="split=train: no splits are known"):
        ImageFolder(studies, split_folders=True, split="train")
    with pytest.raises(BadInput, match="class_folders or labels by column, not both"):
        ImageFolder(studies, class_folders=True, csv="table.csv", labels_column=table(studies, "image,a", "b,c") or "a")


@pytest.mark.fault
def test_a_pattern_that_is_none_is_refused(studies):
    with pytest.raises(BadInput, match=r"patient_pattern=\^\(\\d is no regular expression"):
        ImageFolder(studies, patient_pattern=r"^(\d")
    with pytest.raises(BadInput, match="no group 1 in 00_0.png"):
        ImageFolder(studies, patient_pattern=r"^\d+_", split_shares=SHARES)


@pytest.mark.fault
@pytest.mark.parametrize("box", ["200,10,20,20", "10,900,20,20", "-90,10,20,20"])
def test_a_box_outside_of_its_image_is_named(tmp_path, box):
    for name in ("whole", "broken"):
        picture(tmp_path / f"{name}.png", size=(100, 80))
    table(tmp_path, "image,label,x,y,w,h", "whole,Mass,10,10,20,20", f"broken,Scar,{box}", name="boxes.csv")
    images = ImageFolder(tmp_path, boxes=BoxTable("boxes.csv", "image", "label", "x", "y", "w", "h"))
    assert images.load([1]).boxes[0][0].label == "Mass"
    with pytest.raises(BadInput, match=r"broken.png: a box of Scar \(.*outside of its image of 100 x 80 pixels.*"
                                       r"probing_set.boxes.frame"):
        images.load([0, 1])
