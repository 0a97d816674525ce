"""Whose row an image is."""
from types import SimpleNamespace

import numpy as np
import pytest

from mammi.errors import BadInput
from mammi.task.micn_experts import expert_labels


def labels(folder, rows, ids):
    (folder / "e.csv").write_text("file,a,b\n" + "".join(f"{name},{a},{b}\n" for name, a, b in rows))
    return expert_labels(SimpleNamespace(ids=ids, name="some", label_names=()), ["b", "a"], folder / "e.csv")


def test_by_the_whole_name_or_without_folder_and_ending(tmp_path):
    found = labels(tmp_path, [("x/1.png", 1, 0), ("2.jpg", 0, ""), ("y/1.png", 0, 1)], ("y/1.png", "2", "x/1.png"))
    np.testing.assert_array_equal(found, [[1, 0], [np.nan, 0], [0, 1]])


@pytest.mark.fault
@pytest.mark.parametrize("rows, ids, words", [
    ([("1.png", 1, 0), ("1.png", 0, 0)], ("1.png",), "names stand in two rows, such as 1.png"),
    ([("1.png", 1, 0), ("1.jpg", 0, 0)], ("1",), "could be 1.png or 1.jpg"),
    ([("1.png", 1, 0)], ("a/1", "b/1"), "could be the image a/1 or b/1"),
    ([("1.png", 1, 0)], ("2",), "have no row, such as 2")])
def test_a_name_that_could_be_two_is_refused(rows, ids, words, tmp_path):
    with pytest.raises(BadInput, match=words):
        labels(tmp_path, rows, ids)
