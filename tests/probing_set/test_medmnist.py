import os
from pathlib import Path

import numpy as np
import pytest

from mammi.errors import BadInput, MissingAsset
from mammi.probing_set.medmnist import MedMNIST

OFFICIAL = {"train": 4, "val": 2, "test": 2}


def write(folder, sizes=(4, 2, 2), change=None):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in zip(("train", "val", "test"), sizes):
        arrays[f"{split}_images"] = rng.integers(0, 255, (n, 5, 6), np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    if change:
        change(arrays)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "x.npz", **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def read(tmp_path, **options):
    options = {"classes": [None, "pneumonia"], "official": OFFICIAL, **options}
    return MedMNIST(tmp_path, "x", "x.npz", name="x", **options)


def test_images_labels_and_splits(tmp_path):
    arrays = write(tmp_path / "x")
    images = read(tmp_path)
    assert len(images) == 8 and images.notes == () and images.label_names == ("pneumonia",)
    assert images.splits == ("train",) * 4 + ("val",) * 2 + ("test",) * 2
    assert images.labels[:, 0].tolist() == [0, 1, 0, 1, 0, 1, 0, 1] and images.ids[4] == "val-00000"
    batch = images.load([5, 0])
    np.testing.assert_array_equal(np.asarray(batch.images[0]), arrays["val_images"][1])
    assert batch.ids == ("val-00001", "train-00000") and batch.labels[:, 0].tolist() == [1, 0]
    val = read(tmp_path, split="val")
    assert val.ids == images.ids[4:6] and val.keys == images.keys[4:6] and val.name == "x (val)"
    assert len(read(tmp_path, limit=3)) == 3 and read(tmp_path, classes=["a", "b"]).labels.tolist()[0] == [1, 0]


def test_a_subset_and_repeated_images_are_told(tmp_path):
    def repeat(arrays):
        arrays["test_images"][0] = arrays["train_images"][1]

    write(tmp_path / "x", (6, 2, 2), repeat)
    images = read(tmp_path)
    assert len(images) == 9 and images.splits.count("test") == 1
    assert any("6/2/2 images, not the official 4/2/2: a class-balanced subset" in note for note in images.notes)
    assert "1 images are there twice and count once" in images.notes
    assert len(read(tmp_path, split="test")) == 1  # whatever is asked for, the earlier split keeps it


@pytest.mark.fault
@pytest.mark.parametrize("change, words", [
    (lambda a: a.update(val_labels=None), "no whole MedMNIST file"),
    (lambda a: a.update(train_labels=np.array([[object()]] * 4)), "no whole MedMNIST file"),  # pickled: never loaded
    (lambda a: a.update(train_images=a["train_images"].astype(float)), "expected uint8"),
    (lambda a: a["test_labels"].fill(7), "must hold one of 0 to 1")])
def test_what_is_no_such_file_is_refused(change, words, tmp_path):
    write(tmp_path / "x", change=change)
    with pytest.raises(BadInput, match=words):
        read(tmp_path)


@pytest.mark.fault
def test_missing_cut_and_unknown(tmp_path):
    with pytest.raises(MissingAsset, match="there is no"):
        read(tmp_path)
    with pytest.raises(MissingAsset, match="paths.data"):
        MedMNIST(None, "x", "x.npz", [None, "a"])
    write(tmp_path / "x")
    with pytest.raises(BadInput, match="train, val, test"):
        read(tmp_path, split="all")
    whole = (tmp_path / "x" / "x.npz").read_bytes()
    (tmp_path / "x" / "x.npz").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(BadInput, match="no whole MedMNIST file"):
        read(tmp_path)


@pytest.mark.skipif(not os.environ.get("MAMMI_DATA"), reason="MAMMI_DATA is not set")
def test_the_shared_copy_says_that_it_is_a_balanced_subset():
    data = Path(os.environ["MAMMI_DATA"])
    images = MedMNIST(data, "pneumoniamnist", "pneumoniamnist.npz", [None, "pneumonia"],
                      {"train": 4708, "val": 524, "test": 624})
    assert any("class-balanced subset" in note for note in images.notes) and images.load([0]).images[0].size == (28, 28)
