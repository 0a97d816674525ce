"""Folders of images with and without tables: tiny PNGs, every way in which they can fail to match."""
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammi.errors import BadInput, MissingAsset
from mammi.probing_set.boxes import BoxTable
from mammi.probing_set.image_files import decode
from mammi.probing_set.image_folder import ImageFolder
from mammi.types import Box

NAMES = ("11_a.png", "11_b.png", "22_a.png", "33_a.png")
ROWS = ("file,finding,person,part,size,note", "11_a.png,Mass|Old,P1,train,1,A mass. It is big.",
        "11_b.png,None,P1,train,0,", "22_a.png,Old,P2,val,,Old scar.", "33_a.png,Mass,P3,test,0,A mass. A mass.")


@pytest.fixture
def root(tmp_path):
    for i, name in enumerate(NAMES):
        Image.fromarray(np.full((8, 16), 10 * i, np.uint8)).save(tmp_path / name)
    write(tmp_path, ROWS)
    return tmp_path


def write(root, lines, name="table.csv", end="\n"):
    (root / name).write_bytes(end.join(lines).encode())


def folder(root, **options):
    return ImageFolder(root, **{"csv": "table.csv", "labels_column": "finding", "none": "None", **options})


def test_images_alone(root):
    images = ImageFolder(root)
    assert images.ids == images.patients == NAMES and images.labels is None and images.texts is None
    assert len(set(images.keys)) == 4 and all(len(key) == 32 for key in images.keys)
    batch = images.load([2, 0])
    assert batch.ids == ("22_a.png", "11_a.png") and batch.boxes is None and batch.labels is None
    assert [np.asarray(image)[0, 0] for image in batch.images] == [20, 0] and batch.images[0].size == (16, 8)


def test_joined_labels_patients_and_sentences(root):
    images = folder(root, patient_column="person", text_columns=["note"], aliases={"Old": "Scar"})
    assert images.label_names == ("Mass", "Scar")
    np.testing.assert_array_equal(images.labels, [[1, 1], [0, 0], [0, 1], [1, 0]])
    assert images.patients == ("P1", "P1", "P2", "P3")
    assert images.texts == (("A mass.", "It is big."), (), ("Old scar.",), ("A mass.",))


def test_label_names_fix_the_order_and_strange_labels_are_refused(root):
    assert folder(root, label_names=["Old", "Mass", "Rare"]).labels[0].tolist() == [1, 1, 0]
    with pytest.raises(BadInput, match="Old not in probing_set.label_names.*aliases"):
        folder(root, label_names=["Mass", "Olds"])


def test_one_column_per_label(root):
    images = folder(root, labels_column=None, label_columns=["size"])
    np.testing.assert_array_equal(images.labels[:, 0], [1, 0, np.nan, 0])
    write(root, [ROWS[0], *(f"{name},,,,{flag}," for name, flag in zip(NAMES, ("Yes", "FALSE", "-1", "true")))])
    np.testing.assert_array_equal(folder(root, labels_column=None, label_columns=["size"]).labels[:, 0],
                                  [1, 0, np.nan, 1])
    write(root, [ROWS[0], "11_a.png,,,,maybe,"])
    with pytest.raises(BadInput, match="'maybe' is no label"):
        folder(root, labels_column=None, label_columns=["size"], unmatched="drop")


def test_crlf_bom_quotes_and_blank_lines_change_nothing(root):
    plain = folder(root, patient_column="person", text_columns=["note"])
    write(root, ["\ufefffile,finding,person,part,size,note", *ROWS[1:3], "", '"22_a.png" ,Old,P2,val,,Old scar.',
                 ROWS[4], ""], end="\r\n")
    other = folder(root, patient_column="person", text_columns=["note"])
    np.testing.assert_array_equal(plain.labels, other.labels)
    assert (plain.texts, plain.patients, plain.keys) == (other.texts, other.patients, other.keys)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_semicolons_and_tabs_of_spreadsheets_are_read(root, mark):
    plain = folder(root, patient_column="person", text_columns=["note"])
    write(root, [row.replace(",", mark) for row in ROWS])
    other = folder(root, patient_column="person", text_columns=["note"])
    np.testing.assert_array_equal(plain.labels, other.labels)
    assert (plain.texts, plain.patients) == (other.texts, other.patients)


@pytest.mark.fault
@pytest.mark.parametrize("row, change, words", [
    (1, ("A mass. It", "A mass, it"), "row of 11_a.png has more fields than .* columns .6.: put .* in quotes"),
    (0, ("size", "person"), "patient_column=person: table.csv has 2 columns of that name.*first is 2"),
    (4, ("33_a.png,Mass,P3", "11_a.png,Mass,P3"), "11_a.png is of two patients in .*patient_column: P1 and P3"),
    (2, ("11_b.png", '"' + "x" * 999), r"1 rows have no image \(x{100}\.\.\.\)")])
def test_tables_that_say_two_things_are_refused(root, row, change, words):
    write(root, [line.replace(*change) if i == row else line for i, line in enumerate(ROWS)])
    with pytest.raises(BadInput, match=f"(?s){words}"):
        folder(root, patient_column="person")


@pytest.mark.fault
def test_a_spreadsheet_is_named(root):
    (root / "table.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(BadInput, match="table.xlsx is a spreadsheet: save it as CSV"):
        folder(root, csv="table.xlsx")


@pytest.mark.fault
def test_pixels_that_are_no_number_are_refused(tmp_path):
    values = np.ones((4, 4), np.float32)
    values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tif")
    (tmp_path / "b.png").touch()
    with pytest.raises(BadInput, match="2 of 2 images .* a.tif .it has pixels that are no number"):
        ImageFolder(tmp_path)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(BadInput, match="b.png .it is empty"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize("split, expected", [("train", NAMES[:2]), (["val", "test"], NAMES[2:]), (None, NAMES)])
def test_splits_by_column_and_by_files(root, split, expected):
    assert folder(root, split_column="part", split=split).ids == expected
    write(root, ["11_a.png 0 1", "11_b.png 0 0"], "train.txt")
    write(root, ["22_a.png"], "val.txt")
    write(root, ["33_a.png"], "test.txt")
    files = {"train": "train.txt", "val": "val.txt", "test": "test.txt"}
    assert folder(root, split_files=files, split=split).ids == expected
    assert ImageFolder(root, split_files=files, split=split).ids == expected


def test_unknown_split_lists_the_splits(root):
    with pytest.raises(BadInput, match=r"no such split, but train \(2\), val \(1\), test \(1\)"):
        folder(root, split_column="part", split="training")
    with pytest.raises(BadInput, match="split_files"):
        folder(root, split="train")


def test_limit_is_spread_over_the_chosen_split(root):
    assert folder(root, limit=2).ids == (NAMES[0], NAMES[3])
    with pytest.raises(BadInput, match="limit"):
        folder(root, limit=0)


def test_truncated_image_is_named_or_skipped_and_counted(root):
    for name in ("22_a.png", "33_a.png"):
        (root / name).write_bytes((root / name).read_bytes()[:-20])
    with pytest.raises(BadInput, match="2 of 4 images.*22_a.png.*on_bad_image=skip"):
        folder(root)
    images = folder(root, on_bad_image="skip", patient_column="person")
    assert images.ids == NAMES[:2] and images.patients == ("P1", "P1") and len(images.keys) == len(images.labels) == 2
    assert images.notes == ("skipped: 2 of 4 images cannot be read (22_a.png, 33_a.png)",)
    with pytest.raises(BadInput, match="on_bad_image=maybe"):
        folder(root, on_bad_image="maybe")


def test_truncated_jpeg_is_seen(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    for name in "ab":
        Image.fromarray(noise).save(tmp_path / f"{name}.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:900])
    assert ImageFolder(tmp_path, on_bad_image="skip").ids == ("a.jpg",)


def test_images_and_rows_that_do_not_match(root):
    write(root, [ROWS[0], *(f"{n}.png,None,P,train,0," for n in ("x", "y", "z", "w")), *ROWS[1:3]])
    with pytest.raises(BadInput, match=r"2 images have no row \(22_a.png, 33_a.png\); 4 rows have no image "
                                       r"\(x.png, y.png, z.png, ...\).*unmatched=drop"):
        folder(root)
    images = folder(root, unmatched="drop")
    assert images.ids == NAMES[:2] and "2 images have no row" in images.notes[0]
    write(root, [ROWS[0], "x.png,,,,,"])
    with pytest.raises(BadInput, match="none of 1 listed names means one of 4 images"):
        folder(root, unmatched="drop")


def test_rows_of_other_splits_need_no_image(root):
    (root / "33_a.png").unlink()
    assert folder(root, split_column="part", split="train").ids == NAMES[:2]
    with pytest.raises(BadInput, match="0 images|1 rows have no image"):
        folder(root, split_column="part", split=["train", "test"])


def test_several_rows_of_an_image_are_joined(root):
    write(root, [*ROWS, "22_a.png,Mass,P2,val,,More."])
    images = folder(root, text_columns=["note"], patient_column="person")
    assert images.labels[2].tolist() == [1, 1] and images.texts[2] == ("Old scar.", "More.") and len(images) == 4


def test_names_may_lack_the_extension_or_carry_a_path(root):
    write(root, ["file,finding", "11_a,Mass", "some/where/11_b.png,None", ".\\22_a.png,Old", "33_a.png,Old"])
    assert folder(root).labels[:, 0].tolist() == [1, 0, 0, 0]


def test_repeated_names_in_sub_folders_get_paths(tmp_path):
    for sub in ("a", "b"):
        (tmp_path / sub).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / sub / "1.png")
    write(tmp_path, ["file,finding", "b/1.png,Mass", "a/1.png,None"])
    images = folder(tmp_path)
    assert images.ids == ("a/1.png", "b/1.png") and images.labels[:, 0].tolist() == [0, 1]
    assert images.keys[0] == images.keys[1]  # the same bytes
    with pytest.raises(BadInput, match="no image"):
        ImageFolder(tmp_path, recursive=False)


def test_linked_folders_are_entered_and_hidden_files_are_not_images(tmp_path):
    for sub in ("scans", "mine"):
        (tmp_path / sub).mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "scans" / "1.png")
    (tmp_path / "scans" / "._1.png").write_bytes(b"what some systems leave beside a copied file")
    (tmp_path / "mine" / "linked").symlink_to(tmp_path / "scans")
    assert ImageFolder(tmp_path / "mine").ids == ("1.png",)


def test_patients_from_the_file_name(root):
    assert ImageFolder(root, patient_pattern=r"^(\d+)_").patients == ("11", "11", "22", "33")
    with pytest.raises(BadInput, match="no group 1 in 11_a.png"):
        ImageFolder(root, patient_pattern=r"^(x)_")


def test_boxes_are_scaled_to_the_images(root):
    write(root, ["image,label,x,y,w,h", "22_a.png,Old,512,256,128,64", "22_a.png,Mass,0,0,64,64"], "boxes.csv")
    table = BoxTable("boxes.csv", "image", "label", "x", "y", "w", "h", frame=1024)
    batch = folder(root, boxes=table, aliases={"Old": "Scar"}).load([0, 2])
    assert batch.boxes == ((), (Box("Scar", 8, 4, 2, 1), Box("Mass", 0, 0, 1, 1)))
    own = BoxTable("boxes.csv", 0, 1, 2, 3, 4, 5)
    with pytest.raises(BadInput, match=r"outside of its image of 16 x 8 pixels.*probing_set.boxes.frame"):
        folder(root, boxes=own).load([2])
    write(root, ["image,label,x,y,w,h", "22_a.png,Old,here,256,128,64"], "boxes.csv")
    with pytest.raises(BadInput, match="boxes.csv, row 2"):
        folder(root, boxes=table)


BOXES = BoxTable("boxes.csv", "image", "label", "x", "y", "w", "h")


def test_boxes_of_one_image_join_however_it_is_spelled(root):
    write(root, ["image,label,x,y,w,h", "22_a.png,Old,1,1,1,1", "./22_a,Mass,2,2,2,2"], "boxes.csv")
    assert [box.label for box in folder(root, boxes=BOXES).load([2]).boxes[0]] == ["Old", "Mass"]


def test_boxes_of_unknown_images_are_an_error_or_counted(root):
    write(root, ["image,label,x,y,w,h", "44_z.png,Old,1,1,1,1", "22_a.png,Old,1,1,1,1"], "boxes.csv")
    with pytest.raises(BadInput, match=r"boxes of 1 images.*44_z.png.*unmatched=drop"):
        folder(root, boxes=BOXES)
    images = folder(root, boxes=BOXES, unmatched="drop")
    assert len(images.load([2]).boxes[0]) == 1 and any("boxes of 1 images" in note for note in images.notes)


def test_boxes_of_images_left_out_on_purpose_are_no_error(root):
    write(root, [*ROWS, "55_x.png,Old,P5,test,0,"])  # listed in another split, its file is not here
    write(root, ["image,label,x,y,w,h", "images/55_x,Old,1,1,1,1", "33_a.png,Old,1,1,1,1"], "boxes.csv")
    images = folder(root, boxes=BOXES, split_column="part", split="train", limit=1)
    assert images.load([0]).boxes == ((),) and not any("boxes" in note for note in images.notes)


def test_missing_things_say_what_to_set(root, tmp_path):
    for missing in (None, tmp_path / "nowhere"):
        with pytest.raises(MissingAsset, match="probing_set.root=.*paths.data=.*MAMMI_DATA"):
            ImageFolder(missing)
    with pytest.raises(MissingAsset, match="probing_set.csv=.*lost.csv"):
        folder(root, csv="lost.csv")
    with pytest.raises(BadInput, match="probing_set.labels_column=findings.*Did you mean finding"):
        folder(root, labels_column="findings")
    with pytest.raises(BadInput, match="need probing_set.csv"):
        folder(root, csv=None)
    (root / "bad.csv").write_bytes("file,finding\n11_a.png,M\xe4".encode("latin-1"))
    with pytest.raises(BadInput, match="line 2. is not UTF-8"):
        folder(root, csv="bad.csv")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii").touch()
    with pytest.raises(BadInput, match="files of .nii"):
        ImageFolder(tmp_path / "scans")


def test_keys_follow_the_bytes_not_the_place(root, tmp_path):
    (tmp_path / "copy").mkdir()
    for i, name in enumerate(NAMES):
        (root / name).rename(tmp_path / "copy" / f"z{3 - i}.png")
    again = ImageFolder(tmp_path / "copy")
    Image.fromarray(np.full((8, 16), 77, np.uint8)).save(tmp_path / "copy" / "z0.png")
    changed = ImageFolder(tmp_path / "copy")
    assert again.keys[1:] == changed.keys[1:] and again.keys[0] != changed.keys[0]


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_decoding_by_mode():
    deep = np.array([[1000, 2000], [3000, 5000]], np.uint16)
    np.testing.assert_array_equal(np.asarray(decode(png(Image.fromarray(deep)))), [[0, 64], [128, 255]])
    assert np.asarray(decode(png(Image.fromarray(np.full((2, 2), 900, np.uint16))))).tolist() == [[0, 0], [0, 0]]
    for mode, expected in (("L", "L"), ("RGB", "RGB"), ("RGBA", "RGB"), ("LA", "L"), ("1", "L"), ("P", "RGB")):
        image = decode(png(Image.new(mode, (3, 2))))
        assert image.mode == expected and image.size == (3, 2)


# --- the real copy ----------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("MAMMI_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
real = pytest.mark.skipif(not (DATA / "nih14").is_dir(),
                          reason=f"no NIH images: neither MAMMI_DATA nor {DATA} has a folder nih14")
COUNTS = {"Pneumonia": 500, "Infiltration": 191, "Atelectasis": 115, "Edema": 96, "Effusion": 95, "Consolidation": 34,
          "Pleural thickening": 28, "Nodule": 20, "Mass": 20, "Cardiomegaly": 17, "Pneumothorax": 15, "Emphysema": 11,
          "Fibrosis": 8, "Hernia": 4}


def conf(name, **changes):
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(Path(__file__).resolve().parents[2] / "conf"), version_base="1.3"):
        base = compose("config", overrides=[f"probing_set={name}"]).probing_set
    return instantiate(OmegaConf.merge(base, {"memo": None}, changes), _convert_="all")


@real
def test_nih_copy_has_the_published_counts():
    images = conf("nih14", root=str(DATA))
    counts = dict(zip(images.label_names, images.labels.sum(0).astype(int)))
    assert counts == COUNTS and (images.labels.sum(1) == 0).sum() == 504
    assert len(images) == 1014 and len(set(images.patients)) == 691 and images.notes == ()
    boxes = [box for drawn in images.load(np.flatnonzero([bool(d) for d in images._drawn])).boxes for box in drawn]
    assert len(boxes) == 49 and all(0 <= b.x and b.x + b.w <= 224.5 and b.y + b.h <= 224.5 for b in boxes)
    assert {box.label for box in boxes} <= set(images.label_names)


@real
def test_nih_splits_share_no_patient_and_agree_with_the_published_lists():
    sets = {split: conf("nih14", root=str(DATA), split=split) for split in ("train", "val", "test")}
    assert [len(s) for s in sets.values()] == [714, 139, 161]
    patients = [set(s.patients) for s in sets.values()]
    assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]
    for split, images in sets.items():
        lines = (DATA / "nih14" / "split" / f"{split}.txt").read_text().split("\n")
        listed = {line.split()[0]: [float(f) for f in line.split()[1:]] for line in lines if line}
        assert {i: row.tolist() for i, row in zip(images.ids, images.labels)} == listed


@real
def test_the_full_tables_read_the_same(tmp_path):
    """nih14_full, as far as it can be tried without the full images: full tables, the copy's images, unmatched rows."""
    full = DATA / "nih14" / "full_tables"
    def find(part):
        return next(p for p in sorted(full.iterdir()) if part in p.name)
    (tmp_path / "images_001").symlink_to(DATA / "nih14" / "images")
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}_official.txt").write_bytes(gzip.decompress(find(split).read_bytes()))
    for name in ("Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"):
        (tmp_path / name).write_bytes(gzip.decompress(find(name.split(".")[0]).read_bytes()))
    options = {"root": str(tmp_path), "images": "images_001", "split": ["val", "test"], "unmatched": "drop"}
    images, copy = conf("nih14_full", **options), conf("nih14", root=str(DATA), split=["val", "test"])
    assert images.ids == copy.ids and images.patients == copy.patients and images.keys == copy.keys
    np.testing.assert_array_equal(images.labels, copy.labels)
    assert images.load(range(300)).boxes == copy.load(range(300)).boxes
    assert "have no image" in images.notes[0]


def test_sentences_from_labels(root):
    from mammi.probing_set.label_sentences import LabelSentences

    phrases = {"Mass": ["a mass"], "Old": ["a scar"], "No Finding": ["a normal chest"]}
    make = LabelSentences(phrases, own=.5, prompts=.5, openi=0, k=3)
    images = folder(root, label_sentences=make)
    assert images.texts == make(images.label_names, images.labels, images.template, images.keys)
    assert "not reports of these patients" in images.notes[0]
    with pytest.raises(BadInput, match="needs labels"):
        folder(root, label_sentences=make, labels_column=None)


def test_the_yaml_and_the_docstring_name_every_option():
    import inspect
    import re

    from omegaconf import OmegaConf

    options = set(inspect.signature(ImageFolder.__init__).parameters) - {"self"}
    yaml = OmegaConf.load(Path(__file__).resolve().parents[2] / "conf" / "probing_set" / "image_folder.yaml")
    assert set(yaml) - {"_target_"} == options
    assert options <= set(re.findall(r"\w+", ImageFolder.__doc__))
    assert all(inspect.signature(ImageFolder.__init__).parameters[name].default in (value, inspect.Parameter.empty)
               or not (value or inspect.signature(ImageFolder.__init__).parameters[name].default)
               for name, value in OmegaConf.to_container(yaml).items() if name not in ("_target_", "memo"))
