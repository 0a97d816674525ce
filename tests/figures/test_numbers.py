"""What the figures plot, against plainer ways to compute it."""
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammi.errors import BadInput
from mammi.figures import alpha, concept_sets, counts, leaderboard, shares
from mammi.figures.runs import choose, over_seeds, spread
from mammi.report import read
from tests.figures.folders import COUNTS, METRICS, NAMES, STAND_IN, run, sweeps


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return read(sweeps(tmp_path_factory.mktemp("runs")))[0]


def plotted(figure, runs):
    used, left_out = choose(runs, figure.RUNS, figure.VARIES)
    assert not left_out
    return figure.fold(pd.DataFrame([{"run": one.path} | row for one in used for row in figure.rows(one)]))


def test_alpha_over_seeds(runs):
    data = plotted(alpha, runs).set_index(["metric", "alpha"])
    assert list(data.loc["f1"].index) == [.9, .93]
    assert data.loc[("f1", .93), ["value", "low", "high"]].tolist() == pytest.approx([.48, .43, .53])
    assert data.loc[("f1", .93), "seeds"] == 2 and data.loc[("f1", .93), "interval"] == "min to max"
    assert "cos_clip" not in data.index.get_level_values(0), "what no run could compute is not plotted"


def test_one_seed_brings_its_own_interval(tmp_path):
    run(tmp_path / "0", "figure2a", overrides=["selection.alpha=0.9"])
    data = plotted(alpha, read(tmp_path)[0]).set_index("metric")
    assert data.loc["hit", ["value", "low", "high", "seeds", "interval"]].tolist() == [.5, .3, .7, 1, "95% interval"]


def test_shares_are_those_of_labels_and_images(runs):
    data = plotted(shares, runs)
    adaptive = data[data["selection"] == "adaptive"].set_index("name")
    assert list(adaptive.index) == list(NAMES), "the most frequent class first"
    assert adaptive["q"].tolist() == pytest.approx([n / sum(COUNTS) for n in COUNTS])
    first, second = [n / 10 for n in (1, 3, 2, 4)], [n / 12 for n in (1, 3, 2, 6)]
    assert adaptive["value"].tolist() == pytest.approx([(a + b) / 2 for a, b in zip(first, second)])
    assert adaptive.loc["Hernia", ["low", "high"]].tolist() == pytest.approx([.4, .5])
    q = [n / 20 for n in COUNTS]
    away = [sum(abs(a - b) for a, b in zip(q, r)) / 2 for r in (first, second)]
    assert adaptive["total_variation"].tolist() == pytest.approx([sum(away) / 2] * 4)
    # Ranks of q are 4 3 2 1, of r 1 3 2 4: 1 - 6 * sum d^2 / (n (n^2 - 1))
    assert adaptive["spearman"].tolist() == pytest.approx([1 - 6 * (9 + 0 + 0 + 9) / (4 * 15)] * 4)
    flat = data[data["selection"] == "top_k"]
    assert flat["value"].tolist() == [.25] * 4 and flat["spearman"].isna().all()


def test_the_papers_class_shares():
    """q of protocol A.8 against a flat 1/14: rounded shares of the 47,115 training labels."""
    n = [7205, 1501, 7649, 12036, 3574, 4060, 770, 2244, 2480, 1210, 1250, 1083, 1927, 126]
    q = np.array(n) / sum(n)
    assert sum(n) == 47115 and q[[0, 3, 13]].round(4).tolist() == [.1529, .2555, .0027]
    assert shares.total_variation(q, [1 / 14] * 14) == pytest.approx(sum(max(0, x - 1 / 14) for x in q))


@given(st.lists(st.integers(1, 50), min_size=2, max_size=20), st.data())
def test_total_variation_and_spearman_lie_in_their_ranges(n, data):
    m = data.draw(st.lists(st.integers(1, 50), min_size=len(n), max_size=len(n)))
    q, r = np.divide(n, sum(n)), np.divide(m, sum(m))
    assert 0 <= shares.total_variation(q, r) <= 1 and shares.total_variation(q, q) == 0
    assert shares.total_variation(q, r) == pytest.approx(shares.total_variation(r, q))
    rho = shares.spearman(q, r)
    if len(set(n)) == 1 or len(set(m)) == 1:
        assert math.isnan(rho)
    else:
        order = np.random.default_rng(0).permutation(len(n))
        assert -1 - 1e-9 <= rho <= 1 + 1e-9
        assert shares.spearman(q[order], r[order]) == pytest.approx(rho)
        assert shares.spearman(q, q) == pytest.approx(1) and shares.spearman(q, 1 - q) == pytest.approx(-1)


@pytest.mark.fault
def test_shares_of_another_number_of_classes_are_refused():
    with pytest.raises(BadInput, match="2 shares against 3"):
        shares.total_variation([.5, .5], [.2, .3, .5])


def test_every_neuron_is_in_one_bin(runs):
    data = plotted(counts, runs)
    assert set(data["layer"]) == {"final", "penultimate"} and set(data["neurons"]) == {4} and set(data["seeds"]) == {2}
    total = data.groupby(["layer", "quantity", "selection"])["value"].sum()
    assert np.allclose(total.xs("images_selected", level="quantity"), 1)
    assert np.allclose(total.xs("score", level="quantity"), .75), "one of the four has no word"
    adaptive = data[(data["layer"] == "final") & (data["quantity"] == "images_selected")
                    & (data["selection"] == "adaptive")]
    # Seeds 0 and 1 select 1, 3, 2, 4 and 1, 3, 2, 6.
    assert adaptive[["start", "end", "value"]].values.tolist() == [[1, 2, .25], [2, 4, .5], [4, 8, .25]]


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_bins_hold_all_counts(n):
    edges = counts._edges(pd.Series(n, dtype=float), "images_selected")
    assert np.histogram(n, edges)[0].sum() == len(n) and edges[0] == 1 and max(n) < edges[-1] <= 2 * max(n)


def test_concept_sets_with_their_ceilings(runs):
    data = plotted(concept_sets, runs)
    assert list(dict.fromkeys(data["concept_set"])) == [
        "mimic_nouns, 1,200 words", f"{STAND_IN}, 1,200 words"]
    best = data[data["concept_set"].str.startswith("mimic")].set_index("metric")
    hits = ("hit", "hit_lemma", "hit_synonym")
    assert best["ceiling"].dropna().to_dict() == {metric: METRICS[f"{metric}_ceiling"] for metric in hits}
    assert best.loc["f1", ["value", "low", "high"]].tolist() == pytest.approx([.65, .6, .7])


def test_leaderboard_counts_units_once_for_all_seeds(runs):
    data = plotted(leaderboard, runs).set_index(["method", "noise"])
    assert set(data.index.get_level_values(0)) == {"mammi", "www", "tsi", "own"}
    row = data.loc[("www", .5)]
    rate, n, z = (.25 + .5) / 2, 4, 1.959964
    middle, half = rate + z * z / (2 * n), z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    assert row[["value", "low", "high", "seed_min", "seed_max"]].tolist() == pytest.approx(
        [rate, (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n), .25, .5], abs=1e-6)
    assert row["n"] == 4 and row["seeds"] == 2 and row["words"] == 1.5


def test_over_seeds_keeps_order_and_leaves_out_what_is_missing():
    frame = pd.DataFrame({"x": ["b", "a", "b", "c"], "value": [1, 2, 3, np.nan], "low": [0, 1.5, 2, 0],
                          "high": [2, 2.5, 4, 1]})
    folded = over_seeds(frame, ["x"])
    assert folded["x"].tolist() == ["b", "a"]
    assert folded[["value", "low", "high", "seeds"]].values.tolist() == [[2, 1, 3, 2], [2, 1.5, 2.5, 1]]
    assert spread(folded) == "mean of 1 to 2 seeds; bars: min to max or 95% interval"
    assert spread(folded.iloc[1:], "band") == "band: 95% interval"
