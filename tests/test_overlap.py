import os

import pytest
import torch

from mammi.backbone import densenet121
from mammi.errors import BadInput
from mammi.overlap import check_apart, seen, warnings
from mammi.target.training import after
from run import build
from tests.test_conf import config
from tests.tiny import TinySet, TinyTarget


class Split(TinySet):
    """Images of a known collection; ``copy``: the same images in other files."""

    def __init__(self, splits, dataset="nih14", first=0, copy=""):
        super().__init__(len(splits), first)
        self.splits, self.dataset = tuple(splits), dataset
        self.keys = tuple(copy + key[len(copy):] for key in self.keys)


def trained_on(*names):
    target = TinyTarget()
    target.trained_on = frozenset(names)
    return target


def test_nothing_known_is_not_nothing_seen():
    assert seen(TinyTarget(), TinySet()) is None and warnings(TinyTarget(), TinySet()) == ()


def test_training_images_are_counted_one_by_one():
    target = trained_on(*after(TinySet(4)))
    assert [seen(target, TinySet(5, first)) for first in (0, 2, 4)] == [4, 2, 0]
    note, = warnings(target, TinySet(5, 2))
    assert note.startswith("2 of 5 images of tiny were training images of tiny_target: ") and "another split" in note
    assert warnings(target, TinySet(5, 4)) == ()


def test_the_paper_probes_with_training_images():
    paper = trained_on("nih14/train")
    note, = warnings(paper, Split(["train"] * 5))
    assert note.startswith("5 of 5") and "or are of what it was trained on (nih14/train)" in note
    assert seen(paper, Split(["train", "val", "test", "train", ""])) == 2
    assert seen(paper, Split(["val", "test"])) == 0
    assert seen(paper, Split(["train"] * 3, dataset="vindr")) == seen(paper, Split(["train"] * 3, dataset="")) == 0


def test_another_copy_is_known_by_its_split():
    target = trained_on(*after(Split(["train", "train"])))
    assert seen(target, Split(["train", "train", "test"], copy="ff" * 8)) == 2
    assert seen(target, Split(["", "", ""], copy="ff" * 8)) == 0


def test_an_unnamed_split_of_an_unnamed_set_matches_nothing():
    assert seen(trained_on("/", "nih14/"), Split(["", "train"], dataset="")) == 0
    assert seen(trained_on("/", "nih14/"), Split(["", "train"])) == 0
    assert after(Split(["", "train"], dataset="")).isdisjoint({"/", "/train"})


@pytest.mark.fault
@pytest.mark.parametrize("patients, first, message", [
    (None, 3, "2 images are both in the validation set tiny and in the test set tiny; choose .*task.val.split, "),
    (tuple("dpqre"), 5, "2 patients are both in")])
def test_a_patient_in_two_splits_is_refused(patients, first, message):
    one, other = TinySet(5), TinySet(5, first)
    one.patients, other.patients = tuple("abcde"), patients or other.patients
    with pytest.raises(BadInput, match=message):
        check_apart(one, other, ("validation set", "test set"), ("task.val.split", "task.test.split"))
    check_apart(one, TinySet(5, 5), ("a", "b"), ("c", "d"))


def test_equal_names_of_unknown_patients_and_of_other_collections_are_no_overlap():
    one, other = TinySet(5), TinySet(5, 5)
    other.ids = other.patients = one.ids  # 1.png here, 1.png there, other pixels
    check_apart(one, other, ("a", "b"), ("c", "d"))
    one.patients = other.patients = tuple("abcde")
    one.dataset, other.dataset = "nih14", "covid_cxr"
    check_apart(one, other, ("a", "b"), ("c", "d"))
    other.dataset = ""
    with pytest.raises(BadInput, match="5 patients are both in"):
        check_apart(one, other, ("a", "b"), ("c", "d"))


@pytest.fixture(scope="module")
def paper_target(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "densenet121.pth"
    torch.save({"model": densenet121(classes=14).state_dict()}, file)
    return build(config("target=densenet121_nih14", f"paths.target_weights={file}"), "target")


@pytest.mark.skipif("MAMMI_DATA" not in os.environ, reason="MAMMI_DATA names no data folder")
@pytest.mark.parametrize("split, count, n", [("train", 714, 714), ("[val,test]", 0, 300), ("null", 714, 1014)])
def test_the_papers_target_on_the_official_splits(split, count, n, paper_target):
    images = build(config("probing_set=nih14", f"probing_set.split={split}"), "probing_set")
    assert (seen(paper_target, images), len(images)) == (count, n)
    assert len(warnings(paper_target, images)) == (count > 0)
