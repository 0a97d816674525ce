import numpy as np
import pytest

from mammi.errors import BadInput
from mammi.probing_set.subset import Subset, divided
from tests.tiny import TinySet


def split_set(splits):
    images = TinySet(len(splits))
    images.splits, images.facts = tuple(splits), {"sex": tuple("FMFMFMFMFM"[:len(splits)])}
    return images


def test_a_subset_is_the_same_images_elsewhere():
    whole = split_set(["train", "val", "train", "test", "val"])
    some = Subset(whole, [4, 1], "some", ("two of five",))
    assert some.ids == ("image4", "image1") and some.keys == (whole.keys[4], whole.keys[1]) and len(some) == 2
    assert some.splits == ("val", "val") and some.facts == {"sex": ("F", "M")} and some.name == "some"
    np.testing.assert_array_equal(some.labels, whole.labels[[4, 1]])
    assert some.load([1]).ids == ("image1",) and some.template == whole.template and some.synthetic
    assert some.notes == ("two of five",)


def test_division_by_splits():
    parts = divided(split_set(["train", "val", "train", "test", ""]))
    assert {name: part.ids for name, part in parts.items()} == {
        "train": ("image0", "image2"), "val": ("image1",), "test": ("image3",)}
    assert parts["val"].notes == () and parts["test"].name == "tiny (test)"


def test_validation_images_are_drawn_by_patient_where_there_are_none():
    images = split_set(["train"] * 8 + ["test"] * 2)
    parts = divided(images, share=.5)
    assert set(parts["train"].ids) | set(parts["val"].ids) == set(images.ids[:8])
    assert not set(parts["train"].ids) & set(parts["val"].ids)
    assert "50% of the patients of train are it" in parts["val"].notes[0]


@pytest.mark.fault
def test_no_image_and_no_split():
    with pytest.raises(BadInput, match="no image is left"):
        Subset(TinySet(), [])
    with pytest.raises(BadInput, match="no split 'train' .there are: none"):
        divided(TinySet())
