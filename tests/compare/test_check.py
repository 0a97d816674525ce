"""What cannot be compared is refused, with what to do."""
import pytest

from mammi.compare.check import align, check_depths, check_ids, check_reference, check_same
from mammi.errors import BadInput

BLOCKS = {"one": ("a", "b", "c"), "two": ("a", "b", "c"), "deep": ("a", "b", "c", "d"), "other": ("x", "y", "z")}


def known(model, layers):
    for layer in layers:
        if layer not in BLOCKS[model]:
            raise BadInput(f"target.layer={layer}: {model} has no such layer.")
    return tuple(sorted(layers))


def aligned(layers, *models):
    return align(layers, models, BLOCKS.get, known)


def test_all_blocks_named_layers_and_layers_by_model():
    assert aligned("all", "one", "two") == {"one": ("a", "b", "c"), "two": ("a", "b", "c")}
    assert aligned(["c", "a"], "one", "deep") == {"one": ("a", "c"), "deep": ("a", "c")}
    assert aligned({"one": ["b", "a"], "other": ["x", "z"]}, "one", "other") == {"one": ("a", "b"), "other": ("x", "z")}


@pytest.mark.fault
@pytest.mark.parametrize("layers, models, said", [
    ("all", ("one", "deep"), r"layer d is in deep alone \(one and deep have 3 and 4 blocks\).*task.layers=\{one"),
    ("all", ("one", "other"), "layer a is in one alone"),
    (["a", "d"], ("deep", "one"), r"one lacks one of them \(deep has it\): .*one has no such layer.*\{MODEL"),
    (["a", "a"], ("one", "two"), "a layer is there twice"),
    ("a", ("one", "two"), "expected all, a list of layers"),
    ([], ("one", "two"), "task.layers is empty"),
    ({"one": ["a"]}, ("one", "two"), "task.layers names one, the models are one, two"),
    ({"one": ["a", "b"], "other": ["x"]}, ("one", "other"), "one has 2 layers, other 1; x of other")])
def test_layers_of_one_model_only(layers, models, said):
    with pytest.raises(BadInput, match=said):
        aligned(layers, *models)


@pytest.mark.fault
def test_the_same_layers_in_another_order():
    with pytest.raises(BadInput, match="the same in another order: a, b and b, a.*from the image"):
        check_depths({"one": ("a", "b"), "two": ("b", "a")})


@pytest.mark.fault
def test_image_ids_that_are_there_twice():
    check_ids(("a", "b"), "set")
    with pytest.raises(BadInput, match=r"set: 2 image ids are there more than once \(a, c\).*row per finding"):
        check_ids(("a", "b", "a", "c", "c"), "set")


@pytest.mark.fault
def test_models_over_different_image_lists():
    check_same({"one": ("a", "b"), "two": ("b", "a")})
    with pytest.raises(BadInput, match="one was read on 2 images and two on 3, 1 of them the same.*one probing_set"):
        check_same({"one": ("a", "b"), "two": ("b", "c", "d")})


@pytest.mark.fault
def test_images_of_equal_names_that_show_other_things():
    ids = {"one": ("a", "b"), "two": ("b", "a"), "three": ("a", "b")}
    check_same(ids, {"one": ("A", "B"), "two": ("B", "A"), "three": None})
    with pytest.raises(BadInput, match=r"one and three were read on images of the same names, but 1 of 2 show other "
                                       r"things \(b\).*keys in images.csv differ"):
        check_same(ids, {"one": ("A", "B"), "two": None, "three": ("A", "C")})


@pytest.mark.fault
def test_one_model_and_an_unknown_reference():
    assert check_reference(None, {"a": 1, "b": 2}) == "a" and check_reference("b", {"a": 1, "b": 2}) == "b"
    with pytest.raises(BadInput, match="two models or more, got a. Next: .target@task.models.NAME"):
        check_reference(None, {"a": 1})
    with pytest.raises(BadInput, match="two models or more, got none"):
        check_reference(None, {})
    with pytest.raises(BadInput, match="task.reference=genral: no model.*Did you mean general"):
        check_reference("genral", {"general": 1, "domain": 2})
