import itertools

import numpy as np
import pytest

from mammi.errors import BadInput
from mammi.micn.classes import check_examples, classes_of

NAMES = ("Effusion", "Mass", "Edema")
LABELS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, np.nan]])


def test_labels_are_classes_where_an_image_has_one():
    names, y = classes_of(LABELS, NAMES)
    assert names == ("No Finding", *NAMES) and y.tolist() == [1, 2, 0, -1, 3, -1]
    assert classes_of(LABELS[[0, 1, 4]], NAMES)[0] == NAMES  # every image has one


def test_a_choice_of_labels():
    names, y = classes_of(LABELS, NAMES, ["No Finding", "Effusion"])
    assert names == ("No Finding", "Effusion") and y.tolist() == [1, -1, 0, 1, -1, 1]


def test_rules():
    names, y = classes_of(LABELS, NAMES, {"well": "else", "ill": "Effusion and not Mass or Edema"})
    assert names == ("well", "ill")
    assert y.tolist() == [1, 0, 0, 0, 1, 1]  # the last is ill whether or not there is an edema


def test_an_unknown_label_counts_only_where_it_decides():
    """Again, by all that the unknown labels could be."""
    rows = np.array(list(itertools.product((0, 1, np.nan), repeat=3)))
    _, y = classes_of(rows, NAMES, {"ill": "Mass and not Edema or Effusion", "well": "else"})
    for row, said in zip(rows, y):
        could = {bool(m and not d or e) for e, m, d in itertools.product(*(
            (0, 1) if np.isnan(v) else (v,) for v in row))}
        assert said == (-1 if len(could) > 1 else 0 if could == {True} else 1)


def test_an_own_label_no_finding_is_no_absence():
    _, y = classes_of(np.array([[1, 0], [0, 1], [0, 0.]]), ("No Finding", "Mass"), ["No Finding", "Mass"])
    assert y.tolist() == [0, 1, -1]


@pytest.mark.fault
@pytest.mark.parametrize("wanted, words", [(["Effusion", "Masse"], "Mass"), (["Effusion"], "at least two"),
                                           ({"a": "Effusion and not Mas", "b": "else"}, "Mass")])
def test_bad_classes_teach(wanted, words):
    with pytest.raises(BadInput, match=words):
        classes_of(LABELS, NAMES, wanted)


@pytest.mark.fault
def test_a_class_without_examples_is_refused():
    with pytest.raises(BadInput, match="Mass: no image of that class in the val"):
        check_examples(np.array([0, 0]), ("Effusion", "Mass"), "val", "probing_set@task.val")
    check_examples(np.array([0, 1]), ("Effusion", "Mass"), "val", "probing_set@task.val")
