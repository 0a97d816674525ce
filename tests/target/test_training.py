import json

import pytest

from mammi.errors import BadInput
from mammi.overlap import seen
from mammi.probing_set.phantom import Phantom
from mammi.target.phantom import PhantomTarget
from mammi.target.training import after, check_card, classes_of, from_card, to_card, trained_on
from tests.tiny import TinySet


def test_a_card_says_what_it_was_told():
    told = after(TinySet(3), before={"nih14/train", "0123456789ab"})
    assert {"nih14/train", "0123456789ab", TinySet().keys[0][:12]} < told and len(told) == 5
    assert from_card(json.loads(json.dumps({"trained_on": to_card(told)}))) == told
    keys = to_card(told)["keys"].split()
    assert keys == sorted(keys) and {len(key) for key in keys} == {12}


@pytest.mark.parametrize("card", [{}, {"train": None}, {"train": {"first": "phantom-1"}}, {"model": "bert"}, [1, 2]])
def test_what_is_no_card_tells_nothing(card):
    assert from_card(card) == frozenset()


def test_the_card_is_found_beside_the_weights(tmp_path):
    card = {"trained_on": to_card({"nih14/train"})}
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert trained_on(tmp_path / "weights.safetensors") == {"nih14/train"}
    assert trained_on(tmp_path / "other.safetensors") == frozenset()  # another file's card
    (tmp_path / "other.json").write_text(json.dumps(card))
    assert trained_on(str(tmp_path / "other.safetensors")) == {"nih14/train"}


@pytest.mark.fault
@pytest.mark.parametrize("text", ['{"trained_on": {"nam', '{"trained_on": {"names": []}}'])
def test_a_damaged_card_is_refused(text, tmp_path):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(BadInput, match="card.json, the card of weights.safetensors, cannot be read"):
        trained_on(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_shipped_weights_know_their_world(seed):
    target = PhantomTarget(f"target_seed{seed}.safetensors")
    assert target.trained_on == {"phantom/seed 1"}
    assert [seen(target, Phantom(n=4, seed=world)) for world in (1, 2, 3)] == [4, 0, 0]
    assert PhantomTarget(None).trained_on == frozenset()


def test_classes_are_those_of_the_card(tmp_path):
    weights = tmp_path / "weights.safetensors"
    assert classes_of(weights) is None and check_card(weights, ("a", "b"), "as it is") == ()
    for content, classes in (({"classes": ["a", "b"]}, ("a", "b")), ({"classes": {"0": "a"}}, None), ([1], None)):
        (tmp_path / "card.json").write_text(json.dumps(content))
        assert classes_of(weights) == classes and check_card(weights, ("A", "B"), "as it is") == ()  # renamed


@pytest.mark.fault
def test_swapped_classes_are_refused_and_other_images_told(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({"classes": ["a", "b", "c"], "transform": "'at 64'"}))
    weights = tmp_path / "weights.safetensors"
    assert check_card(weights, ("a", "b", "c"), "at 64") == ()
    note, = check_card(weights, ("a", "b", "new"), "at 224")
    assert "fitted on images prepared as 'at 64', here they are prepared as 'at 224'" in note
    with pytest.raises(BadInput, match=r"output 0 .* fitted as a, here it is called b.*'target.classes=\[a, b, c\]'"):
        check_card(weights, ("b", "a", "c"), "at 64")
