"""Rows and comparisons computed again in plain loops."""
from math import sqrt
from statistics import mean, stdev

import numpy as np
import pandas as pd
import pytest

from mammi.evaluation.metrics import wilson
from mammi.tables.numbers import Comparison, comparisons, value
from mammi.tables.paired import holm, mcnemar, sign_flip
from mammi.tables.rows import tables
from mammi.tables.runs import Result
from mammi.tables.wording import compared, orders, short

TABLES = tables()
NAMES = tuple(f"n{i}" for i in range(6))


def result(seed, hits, names=NAMES, **metrics):
    hits = np.array(hits, float)
    neurons = pd.DataFrame({"neuron": range(len(hits)), "name": names[:len(hits)], "hit": hits, "f1": hits / 2,
                            "cos_minilm": hits / 4})
    metrics = {"hit": np.nanmean(hits), "f1": np.nanmean(hits) / 2, "cos_minilm": np.nanmean(hits) / 4,
               "hit_low": .1, "hit_high": .9, "f1_low": .05, "f1_high": .45, "hit_ceiling": .5, "unique_all": 7,
               "unique_top1": 4} | metrics
    return Result(f"run{seed}", seed, {}, metrics, neurons, {"list of neurons": tuple(neurons["name"])})


def seeded(*hits, **metrics):
    return {seed: result(seed, some, **metrics) for seed, some in enumerate(hits)}


def test_one_seed_has_its_run_s_own_interval():
    found = value(seeded([1, 0, 1, 0, 0, 0]), "hit")
    assert found == (pytest.approx(1 / 3), None, .1, .9, 6, .5, (0,))


def test_several_seeds_have_mean_sd_and_an_interval_over_neurons():
    results = seeded([1, 0, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0])
    rates = [2 / 6, 3 / 6, 0]
    found = value(results, "hit")
    assert (found.mean, found.sd) == (pytest.approx(mean(rates)), pytest.approx(stdev(rates)))
    assert (found.low, found.high) == pytest.approx(wilson(mean(rates) * 6, 6)) and found.n == 6
    averaged = [np.mean([[1, 0, 1, 0, 0, 0][i], [1, 1, 1, 0, 0, 0][i], 0]) / 2 for i in range(6)]
    draws = np.random.default_rng(0).integers(6, size=(2000, 6))
    means = [mean(averaged[i] for i in draw) for draw in draws]
    found = value(results, "f1")
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_all_and_none_hit_stay_in_range():
    for hits, ends in (([0] * 6, (0, wilson(0, 6)[1])), ([1] * 6, (wilson(6, 6)[0], 1))):
        found = value(seeded(hits, hits, hits), "hit")
        assert (found.low, found.high) == pytest.approx(ends)


def test_counts_have_no_interval_and_missing_metrics_no_value():
    found = value({0: result(0, [1] * 6, unique_all=5), 1: result(1, [1] * 6, unique_all=8)}, "unique_all")
    assert (found.mean, found.sd, found.low, found.n) == (6.5, pytest.approx(stdev([5, 8])), None, 6)
    assert value(seeded([1, 0, 0, 0, 0, 0]), "cos_clip") is None and value({}, "hit") is None


def test_neurons_without_a_name_do_not_count():
    found = value(seeded([1, 0, np.nan, 0, 0, np.nan], [1, 1, np.nan, 0, 0, np.nan]), "hit")
    assert found.n == 4 and (found.low, found.high) == pytest.approx(wilson(.375 * 4, 4))


def table1(**rows):
    labels = {"common": "20K", "wordnet": "Wordnet nouns", "mimic": "MIMIC nouns"}
    return comparisons(TABLES["table1"], {labels[key]: results for key, results in rows.items()})


COMMON, MIMIC = [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]], [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 0]]


def test_a_comparison_by_hand():
    hit, f1, cosine = table1(common=seeded(*COMMON), mimic=seeded(*MIMIC))
    assert (hit.greater, hit.less, hit.published) == ("MIMIC nouns", "20K", pytest.approx(.2857))
    per_neuron = [mean(m[i] - c[i] for m, c in zip(MIMIC, COMMON)) for i in range(6)]
    assert hit.difference == pytest.approx(mean(per_neuron)) and (hit.n, hit.seeds) == (6, (0, 1))
    draws = np.random.default_rng(0).integers(6, size=(2000, 6))  # the same neurons for both rows
    both = [mean(mean(m[i] for m in MIMIC) for i in draw) - mean(mean(c[i] for c in COMMON) for i in draw)
            for draw in draws]
    assert (hit.low, hit.high) == pytest.approx(tuple(np.percentile(both, [2.5, 97.5])))
    assert [(t.seed, t.only_greater, t.only_less) for t in hit.tests] == [("0", 4, 1), ("1", 4, 0)]
    assert [t.p for t in hit.tests] == [mcnemar(MIMIC[s], COMMON[s])[2] for s in (0, 1)]
    assert f1.tests[0].p == pytest.approx(sign_flip([d / 2 for d in per_neuron], 0)) and f1.tests[0].seed == "mean"
    assert [t.p_holm for c in (hit, f1, cosine) for t in c.tests] == pytest.approx(
        holm([t.p for c in (hit, f1, cosine) for t in c.tests]))
    assert (cosine.metric, cosine.reference) == ("cos_minilm", "cos_mpnet"), "no mpnet here: MiniLM stands for it"
    assert [c.verdict for c in (hit, f1, cosine)] == ["comes out"] * 3


def test_holm_is_over_all_tests_of_the_table():
    two = table1(common=seeded(*COMMON), mimic=seeded(*MIMIC))
    three = table1(common=seeded(*COMMON), wordnet=seeded(*COMMON), mimic=seeded(*MIMIC))
    same = [c for c in three if {c.greater, c.less} == {"20K", "MIMIC nouns"}]
    assert sum(len(c.tests) for c in three) == 3 * sum(len(c.tests) for c in two)
    assert same[0].tests[1].p == two[0].tests[1].p and same[0].tests[1].p_holm > two[0].tests[1].p_holm


def test_verdicts():
    equal = table1(common=seeded(*MIMIC), mimic=seeded(*MIMIC))
    swapped = table1(common=seeded(*MIMIC), mimic=seeded(*COMMON))
    paper_ties = table1(common=seeded(*COMMON), wordnet=seeded(*MIMIC))
    assert [c.verdict for c in equal] == ["tie"] * 3 and all(t.p == 1 for c in equal for t in c.tests)
    assert [c.verdict for c in swapped] == ["reversed"] * 3 and swapped[0].difference < 0
    assert [(c.metric, c.greater, c.verdict) for c in paper_ties][:2] == [
        ("hit", "Wordnet nouns", ""), ("f1", "Wordnet nouns", "")], "no order in the paper: the later row first"
    # In mpnet's cosine the paper puts WordNet above the 20K.
    assert (paper_ties[2].greater, paper_ties[2].verdict) == ("Wordnet nouns", "comes out")


def test_only_shared_seeds_neurons_and_metrics_are_compared():
    partly = table1(common={1: result(1, COMMON[1])}, mimic=seeded(*MIMIC))
    assert partly[0].seeds == (1,) and partly[1].tests[0].seed == "1"
    assert table1(common={5: result(5, COMMON[0])}, mimic=seeded(*MIMIC)) == []
    other = {0: result(0, [1, 0, 0, 0, 0, 0], names=tuple("abcdef"))}
    assert table1(common=other, mimic=seeded(*MIMIC)) == []
    assert [c.metric for c in table1(common=seeded(*COMMON, cos_minilm=None), mimic=seeded(*MIMIC))] == ["hit", "f1"]


def test_counts_are_ordered_without_a_test():
    rows = {"w/o adaptive, penultimate": seeded([1] * 6, unique_all=40, unique_top1=9, hit=None, f1=None),
            "adaptive, penultimate": seeded([1] * 6, unique_all=35, unique_top1=12, hit=None, f1=None)}
    found = {c.metric: c for c in comparisons(TABLES["table2"], rows)}
    assert found["unique_all"].verdict == "reversed" and found["unique_all"].difference == -5
    assert found["unique_top1"].verdict == "comes out" and found["unique_all"].tests == ()
    assert found["unique_all"].published == 31 and found["unique_all"].low is None
    final = {"adaptive": seeded([1] * 6), "adaptive, penultimate": rows["adaptive, penultimate"]}
    assert "unique_all" not in {c.metric for c in comparisons(TABLES["table2"], final)}, "two layers are no pair"


def test_sentences_count_the_orders():
    found = table1(common=seeded(*MIMIC), mimic=seeded(*COMMON), wordnet=seeded(*COMMON))
    text = orders(found)
    assert text.startswith("The paper's orders that come out: 0 of 7; with an interval that leaves out 0: 0. Reversed")
    assert "MIMIC nouns over 20K (hit, exact)" in text.split("Reversed: ")[1].split("A tie: ")[0]
    assert "A tie: MIMIC nouns over Wordnet nouns (hit, exact)" in text and "after Holm's correction: 0 of" in text
    assert "No two rows" in orders([])


def test_noise_is_named_and_published_numbers_only_on_request():
    comparison = Comparison("f1", "a", "b", "f1", .19, 14, (0,), .05, -.1, .2, ())
    assert compared([comparison], published=True)["published"].tolist() == ["+.190"]
    shown = compared([comparison], published=False)
    assert "published" not in shown and shown["the paper's order"].tolist() == ["comes out, within noise"]
    assert shown["difference"].tolist() == ["+.050 [-.100, +.200]"]
    sure = comparison._replace(low=.01)
    assert compared([sure], published=False)["the paper's order"].tolist() == ["comes out"]
    tie = comparison._replace(published=0.0)
    assert compared([tie], published=True)["published"].tolist() == ["a tie"]


@pytest.mark.parametrize("x, text", [(.7143, ".714"), (1.0, "1.000"), (0.0, ".000"), (-.05, "-.050"),
                                     (.99996, "1.000"), (sqrt(2), "1.414")])
def test_numbers_have_no_leading_zero(x, text):
    assert short(x) == text
