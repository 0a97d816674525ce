"""The tests computed again, by counting."""
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammi.tables.paired import holm, mcnemar, sign_flip


def counted(only_a, only_b):
    """Two-sided: all splits of the discordant pairs that are no likelier than the one seen."""
    n = only_a + only_b
    ways = [comb(n, k) for k in range(n + 1)]
    return sum(w for w in ways if w <= ways[only_a]) / 2**n


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_mcnemar(pairs):
    a, b = zip(*pairs)
    only_a, only_b = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    found = mcnemar(a, b)
    assert found[:2] == (only_a, only_b) and found[2] == pytest.approx(counted(only_a, only_b))
    assert mcnemar(b, a)[2] == pytest.approx(found[2])


def test_the_best_case_of_the_paper_s_hits():
    """4 of 14 against none, and against one of the same four: no order of Tables 4 and 5 is decided by hits."""
    ours, tsi, dissect = np.arange(14) < 4, np.zeros(14), np.arange(14) < 1
    assert mcnemar(ours, tsi) == (4, 0, .125) and mcnemar(ours, dissect) == (3, 0, .25)
    assert mcnemar(ours, ours) == (0, 0, 1.0)


def flipped(differences):
    """Share of the sign patterns whose sum is at least as far from 0."""
    seen = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences))) for signs in product((1, -1), repeat=len(differences))]
    return sum(s >= seen - 1e-9 for s in sums) / len(sums)


@given(st.lists(st.integers(-3, 3).map(lambda x: x / 3), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_sign_flips(differences):
    assert sign_flip(differences, 0) == pytest.approx(flipped(differences))
    assert sign_flip([-d for d in differences], 0) == pytest.approx(flipped(differences))


def test_sign_flips_of_fourteen_neurons_are_exact_and_of_more_seeded():
    differences = np.random.default_rng(1).normal(.4, 1, 14)
    assert sign_flip(differences, 0) == sign_flip(differences, 1) == pytest.approx(flipped(differences))
    many = np.random.default_rng(2).normal(.1, 1, 40)
    assert sign_flip(many, 0) == sign_flip(many, 0) != sign_flip(many, 1)
    assert sign_flip(np.ones(40), 0) < .001 and sign_flip(np.zeros(40), 0) == 1


@given(st.lists(st.sampled_from([0, .001, .01, .02, .04, .3, 1.0]), max_size=8))
def test_holm(ps):
    """Reject in order while p <= level / tests left: the adjusted p is the least level that rejects."""
    adjusted = holm(ps)
    assert len(adjusted) == len(ps)
    for i, p in enumerate(ps):
        before = sorted(ps)[:sorted(ps).index(p) + 1]
        assert adjusted[i] == pytest.approx(min(1, max(q * (len(ps) - j) for j, q in enumerate(before))))


def test_holm_by_hand():
    assert holm([.04, .01, .03]) == pytest.approx([.06, .03, .06]) and holm([]) == []
