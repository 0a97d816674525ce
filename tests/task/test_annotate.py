"""What annotating leaves besides words: who the images were, and whether the target had seen them."""
import json

import numpy as np
import pandas as pd
import pytest

from mammi.cache import Cache
from mammi.evaluation.final_layer import FinalLayer
from mammi.method.mammi import Mammi
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.target.training import after
from mammi.task.annotate import annotate, image_table
from tests.tiny import TinyConcepts, TinyDissector, TinySet, TinyTarget


def run(folder, images, target):
    _, metrics = annotate(target, images, TinyConcepts(), TinyDissector(), TopK(2), Mammi(), FinalLayer(bootstrap=20),
                          Cache(folder / "cache"), 2, RunFolder(folder))
    saved, about = (json.loads((folder / name).read_text()) for name in ("metrics.json", "run.json"))
    assert about["target_fingerprint"] == target.fingerprint("final")
    assert saved["images_seen_in_training"] == metrics["images_seen_in_training"]
    return metrics["images_seen_in_training"], about["notes"]


@pytest.mark.parametrize("n, count", [(5, 5), (2, 2), (0, None)])
def test_training_images_among_the_probing_images_are_told(n, count, tmp_path, capsys):
    target = TinyTarget()
    target.trained_on = after(TinySet(n))
    found, notes = run(tmp_path, TinySet(), target)
    assert found == count
    warned = [note for note in notes if "were training images" in note]
    assert len(warned) == (n > 0) and (not n or warned[0].startswith(f"{n} of 5 "))
    assert ("training images of tiny_target" in " ".join(capsys.readouterr().out.split())) == (n > 0)


def test_other_images_are_not_warned_about(tmp_path):
    target = TinyTarget()
    target.trained_on = after(TinySet(3, 50))
    assert run(tmp_path, TinySet(), target) == (0, [])


def test_who_the_images_are_is_kept(tmp_path):
    images = TinySet()
    images.splits = ("train", "val", "val", "test", "")
    images.facts = {"view": ("PA", "AP", "", "PA", "AP"), "age": ("61", "007", "", "33", "1")}
    run(tmp_path, images, TinyTarget())
    table = pd.read_csv(tmp_path / "images.csv", dtype=str, keep_default_na=False)
    assert list(table) == ["id", "patient", "split", "view", "age", "key", "Effusion", "Mass", "Nodule"]
    assert table["key"].tolist() == list(images.keys)
    assert table["id"].tolist() == table["patient"].tolist() == list(images.ids)
    assert table["split"].tolist() == list(images.splits) and table["age"].tolist() == list(images.facts["age"])
    assert table["Effusion"].tolist() == ["0", "1", "0", "1", "0"] and table["Mass"].tolist() == list("10010")
    assert table["Nodule"].tolist() == [""] * 5


def test_a_label_never_hides_a_column():
    images = TinySet(2)
    images.label_names, images.facts = ("sex", "id", "Mass"), {"sex": ("F", "M")}
    table = image_table(images)
    assert list(table) == ["id", "patient", "split", "sex", "key", "sex (label)", "id (label)", "Mass"]
    assert table["sex"].tolist() == ["F", "M"] and table["sex (label)"].tolist() == [0, 1]


def test_without_labels_or_splits():
    images = TinySet(2)
    images.label_names, images.labels = (), None
    assert image_table(images).to_dict("list") == {"id": ["image0", "image1"], "patient": ["image0", "image1"],
                                                   "split": ["", ""], "key": list(images.keys)}
    images.label_names, images.labels = ("a",), np.array([[1], [np.nan]], np.float32)
    assert image_table(images).to_csv(index=False).splitlines()[1:] == [
        f"image0,image0,,{images.keys[0]},1", f"image1,image1,,{images.keys[1]},"]
