import math

import numpy as np
import pytest

from mammi.errors import BadInput, number


@pytest.mark.parametrize("value", [0, 1, .5, np.float32(.25), np.int64(1)])
def test_a_number_within_its_limits_is_given_back(value):
    assert number("x", value, 0, 1) is value


@pytest.mark.parametrize("value, whole, words", [
    ("abc", False, "k=abc: expected a number of at least 1 and at most 5"), (None, False, "k=None"),
    (True, False, "k=True"), (0, False, "k=0"), (5.1, False, "k=5.1"), (math.nan, False, "k=nan"),
    (math.inf, False, "k=inf"), (2.5, True, "a whole number"), ("2", True, "a whole number")])
def test_anything_else_is_named(value, whole, words):
    with pytest.raises(BadInput, match=words):
        number("k", value, 1, 5, whole=whole)
