"""The paper's metrics against their published values, and against plain loops."""
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mammi.errors import BadInput
from mammi.evaluation.metrics import (
    bootstrap,
    hit_rate,
    hits,
    pair_cosine,
    precision_recall_f1,
    precisions_recalls_f1s,
    standard_error,
    wilson,
)

NIH = ["Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
       "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural thickening", "Hernia"]
LABELS = [[name] for name in NIH]
# Three neurons named alone, one named beside another word, ten missed: the paper's 4 of 14.
PAPER = [["atelectasis"], ["cardiomegaly"], ["effusion"], ["infiltration", "lungs"], *[["heart"]] * 10]


def test_values_of_the_paper():
    got = precision_recall_f1(PAPER, LABELS)
    want = {"f1": .26190, "f1_se": .11258, "recall": .28571, "recall_se": .12074, "precision": .25,
            "precision_se": .11008}
    assert {name: round(value, 5) for name, value in got.items()} == want
    assert round(hit_rate(PAPER, LABELS), 5) == .28571
    assert round(standard_error(hits(PAPER, LABELS)), 5) == .12074


@pytest.mark.parametrize("said, f1, f1_se", [
    ([["x"]] * 13 + [["hernia"]], .0714, .069),                                          # CLIP-Dissect_M, Table 5
    ([[n.lower(), *"abcdefg"] for n in NIH[:4]] + [list("abcdefgh")] * 10, .0635, .027),  # FALCON_M, Table 5
])
def test_rows_of_table_5(said, f1, f1_se):
    got = precision_recall_f1(said, LABELS)
    assert got["f1"] == pytest.approx(f1, abs=5e-5) and got["f1_se"] == pytest.approx(f1_se, abs=5e-4)


def test_case_is_ignored_and_nothing_else():
    assert hit_rate([["EFFUSION"]], [["Effusion"]]) == 1
    assert hit_rate([["effusions"], [" effusion"]], [["effusion"], ["effusion"]]) == 0


def test_repeated_words_lower_precision_only():
    precision, recall, f1 = precisions_recalls_f1s([["mass", "Mass", "lung"]], [["mass", "mass", "tumour"]])
    assert (precision[0], recall[0]) == (1 / 3, 1 / 2)
    assert f1[0] == pytest.approx(.4)


def test_empty_prediction_scores_zero_even_against_the_word_none():
    assert hit_rate([[], ["mass"]], [["none"], ["mass"]]) == .5
    assert precision_recall_f1([[]], [["mass"]]) == dict.fromkeys(
        ["precision", "recall", "f1", "precision_se", "recall_se", "f1_se"], 0.0)


@pytest.mark.parametrize("predictions, labels, message", [
    ([["a"]], [["a"], ["b"]], "1 predictions for 2 labels"),
    ([], [], "at least one neuron"),
    (["mass"], [["mass"]], "prediction 0 is the string 'mass'"),
    ([["mass"]], ["mass"], "label 0 is the string 'mass'"),
    ([["a"], ["b"]], [["a"], []], "label 1 has no word"),
])
def test_bad_input_is_named(predictions, labels, message):
    for metric in (hit_rate, precision_recall_f1):
        with pytest.raises(BadInput, match=message):
            metric(predictions, labels)


WORDS = st.sampled_from(["a", "A", "b", "c", "d"])
NEURONS = st.lists(st.tuples(st.lists(WORDS, max_size=5), st.lists(WORDS, min_size=1, max_size=3)),
                   min_size=1, max_size=6)


def slow(said, right):
    """Protocol A.7 for one neuron, counted word by word."""
    said, right = [w.lower() for w in said], [w.lower() for w in right]
    common = 0
    for word in "abcd":
        if word in said and word in right:
            common += 1
    if not common:
        return 0.0, 0.0, 0.0, False
    distinct = sum(word in right for word in "abcd")
    p, r = common / len(said), common / distinct
    return p, r, 2 * p * r / (p + r), True


@given(NEURONS)
def test_equals_the_plain_loop(neurons):
    said, right = zip(*neurons)
    rows = [slow(*neuron) for neuron in neurons]
    n, got = len(rows), precision_recall_f1(said, right)
    for at, name in enumerate(("precision", "recall", "f1")):
        mean = sum(row[at] for row in rows) / n
        variance = sum((row[at] - mean) ** 2 for row in rows) / n
        assert got[name] == pytest.approx(mean) and 0 <= got[name] <= 1
        assert got[f"{name}_se"] == pytest.approx(math.sqrt(variance / n), abs=1e-12)
    h = sum(row[3] for row in rows) / n
    assert hit_rate(said, right) == pytest.approx(h)
    assert standard_error(hits(said, right)) == pytest.approx(math.sqrt(h * (1 - h) / n))


@given(NEURONS, st.randoms())
def test_order_of_neurons_does_not_matter_but_their_pairing_does(neurons, random):
    shuffled = random.sample(neurons, len(neurons))
    assert precision_recall_f1(*zip(*shuffled)) == pytest.approx(precision_recall_f1(*zip(*neurons)))
    assert hit_rate([["mass"], ["edema"]], [["mass"], ["edema"]]) == 1
    assert hit_rate([["mass"], ["edema"]], [["edema"], ["mass"]]) == 0


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_and_holds_the_rate(seen):
    low, high = wilson(*seen)
    interval = binomtest(*seen).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert 0 <= low <= seen[0] / seen[1] <= high <= 1


def test_wilson_of_the_paper():
    assert [tuple(round(x, 3) for x in wilson(k, 14)) for k in (4, 1, 0)] == [(.117, .546), (.013, .315), (0, .215)]
    with pytest.raises(BadInput, match="3 of 2"):
        wilson(3, 2)


def test_bootstrap_repeats_itself_and_agrees_with_the_normal_interval_of_many_values():
    values = np.random.default_rng(0).random(2000)
    low, high = bootstrap(values, seed=1)
    assert (low, high) == bootstrap(values, seed=1) != bootstrap(values, seed=2)
    assert (low, high) == pytest.approx(values.mean() + 1.96 * standard_error(values) * np.array([-1, 1]), abs=2e-3)
    assert bootstrap([.25] * 5, seed=0) == (.25, .25)


def test_pair_cosine_is_the_mean_over_pairs_each_clipped():
    said = np.array([[1, 0], [.6, .8], [0, -1]], np.float32)
    right = np.array([[1, 0], [0, 1]], np.float32)
    total = 0.0
    for p in said:
        for g in right:
            total += min(1.0, sum(float(x) * float(y) for x, y in zip(p, g)))
    assert pair_cosine(said, right) == pytest.approx(total / 6) == pytest.approx((1 + 0 + .6 + .8 + 0 - 1) / 6)
    above = np.array([[1.01, 0]])
    assert pair_cosine(above, above) == 1


def test_import_brings_nothing_heavy():
    code = ("import sys, mammi.evaluation.metrics; "
            "assert not {'torch', 'pandas', 'scipy', 'sklearn'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)
