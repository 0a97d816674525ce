"""Tables of a world that is counted by hand; formulas against plain ones."""
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mammi.compare import statistics
from mammi.compare.layers import NULL, OFFICIAL, Layer, official_limits
from mammi.compare.tables import ALL, ANY, CLINICAL, Comparison
from tests.compare.worlds import DOG, MASS, WORDS, layer, world


@pytest.fixture
def found():
    return Comparison(world(), WORDS, "before", resamples=400)


def pick(table, **columns):
    for name, value in columns.items():
        table = table[table[name] == value]
    return table


def test_official_threshold_is_the_largest_mean_of_the_models_by_layer(found):
    assert found.official == official_limits(world()) == {0: 4.5, 1: 3}
    table = found.by_layer().set_index(["model", "layer"])
    assert table.loc[("before", "layer0"), "mean_top1"] == 2
    assert table["official_threshold"].dropna().tolist() == [4.5, 3, 4.5, 3]
    assert table["permutation_threshold"].dropna().between(0, 1e-9, "right").all()
    assert table["above_official"].tolist() == [1, 2, 3, 0, 3, 3]
    assert table["above_permutation"].tolist() == [3, 2, 3, 1, 5, 4]
    assert table.loc[("before", "layer0"), ["units", "dead"]].tolist() == [4, 2]
    assert abs(table.loc[("before", "layer0"), "above_permutation_chance"] - .04 * 4) < .1


def test_coverage_counts_units_and_different_concepts(found):
    table = found.coverage()
    rows = pick(table, model="before", layer=ALL, threshold=NULL, level="category").set_index("category")
    assert rows["units"].to_dict() == {"finding": 3, "anatomy": 1, "action": 0, "animal": 1, "plant": 0}
    assert rows["concepts"].to_dict() == {"finding": 1, "anatomy": 1, "action": 0, "animal": 1, "plant": 0}
    assert rows["of"].to_dict() == {"finding": 2, "anatomy": 1, "action": 1, "animal": 1, "plant": 1}
    assert rows.loc["finding", "coverage"] == .5
    joined = pick(table, model=ANY, threshold=NULL, level="broad_category").set_index("category")
    assert joined["units"].to_dict() == {"breast": 8, "nature": 1}
    assert joined["concepts"].to_dict() == {"breast": 3, "nature": 1}
    official = pick(table, model="after", layer="layer1", threshold=OFFICIAL)
    assert (official["units"] == 0).all() and (official["units_low"] == 0).all()
    high = binomtest(0, 2).proportion_ci(method="wilson").high  # none of 2 units is not never
    np.testing.assert_allclose(official["units_high"], 2 * high)
    assert (table["units_low"] <= table["units"]).all() and (table["units"] <= table["units_high"]).all()
    assert (table["concepts_high"] <= table["of"]).all()


def test_delta_is_the_other_model_less_the_reference(found):
    row = pick(found.delta(), layer=ALL, threshold=NULL, level="category", category="finding").iloc[0]
    assert row[["units_reference", "units_model", "units_difference"]].tolist() == [3, 4, 1]
    assert row[["concepts_reference", "concepts_model", "gained", "lost"]].tolist() == [1, 2, 1, 0]
    row = pick(found.delta(), layer=ALL, threshold=NULL, level="category", category="anatomy").iloc[0]
    assert row[["units_difference", "gained", "lost"]].tolist() == [-1, 0, 1]
    animal = pick(found.delta(), layer=ALL, threshold=NULL, level="category", category="animal").iloc[0]
    # of 6 null units each is above, with dog, in 1 of 25 cases
    assert abs(animal["lost_chance"] - (1 - .96 ** 6)) < .08 and animal["lost"] == 1
    assert set(found.delta()["model"]) == {"after"}


def test_changes_name_the_concepts(found):
    table = pick(found.changes(), threshold=NULL).set_index("concept")
    assert table["change"].to_dict() == {"mass": "kept", "cyst": "gained", "nipple": "lost", "dog": "lost"}
    assert table.loc["cyst", ["units_reference", "units_model"]].tolist() == [0, 3]
    # 6 units, 200 null units in two layers, 8 of them dog and none a cyst; half a null unit more
    assert table.loc["dog", "p_chance"] == pytest.approx(1 - np.exp(-6 * 8.5 / 200))
    assert table.loc["cyst", "p_chance"] == pytest.approx(
        1 - np.exp(-.015) * (1 + .015 + .015 ** 2 / 2), rel=1e-6)


def test_missing_are_in_no_layer_of_any_model(found):
    table = found.missing().set_index("concept")
    assert table["missing_permutation"].to_dict() == {"biopsy": True, "dog": False, "tree": True}
    assert table["missing_official"].to_dict() == {"biopsy": True, "dog": True, "tree": True}
    everything = [layer("a", 0, range(6), [1] * 6), layer("b", 0, range(6), [1] * 6)]
    table = Comparison(everything, WORDS, "a", 100).missing()
    assert not len(table) and "missing_permutation" in table


def test_workflow_is_clinical_against_control_and_by_step(found):
    rows = pick(found.workflow(), layer=ALL, threshold=NULL).set_index(["model", "part"])
    assert rows.loc[("before", CLINICAL), "share"] == 4 / 5 and rows.loc[("after", CLINICAL), "share"] == 1
    assert rows.loc[("after", CLINICAL), "less_reference"] == pytest.approx(1 / 5)
    wilson = binomtest(4, 4).proportion_ci(method="wilson")  # 4 of 4: resampled it stays 1
    assert rows.loc[("after", CLINICAL), ["share_low", "share_high"]].tolist() == pytest.approx([wilson.low, 1])
    assert rows.loc[("before", CLINICAL), "list_share"] == 4 / 6
    assert rows.loc[("before", CLINICAL), "share_chance"] == 0  # null units above the threshold say dog
    row = rows.loc[("before", "characterise")]
    assert row[["units", "of_units", "concepts", "of_concepts"]].tolist() == [3, 5, 1, 2]
    assert rows.loc[("before", "act"), "coverage"] == 0 and rows.loc[("after", "characterise"), "coverage"] == 1
    assert rows.loc["before"].index.tolist() == [CLINICAL, "locate", "characterise", "act", "control"]
    assert np.isnan(rows.loc[("before", CLINICAL), "less_reference"])


def test_units_are_listed_with_what_they_stand_for(found):
    table = found.units()
    assert len(table) == 12 and table["concept"].tolist()[:4] == ["mass", "mass", "dog", "tree"]
    assert table["above_permutation"].sum() == 9 and table["above_official"].sum() == 6
    assert pick(table, concept="nipple")["step"].tolist() == ["locate"]


def test_without_a_null_there_is_the_official_threshold_alone():
    table = Comparison(world(null=False), WORDS, "before", 100)
    assert table.thresholds == (OFFICIAL,)
    assert set(table.coverage()["threshold"]) == {OFFICIAL} and "units_chance" not in table.coverage()
    assert "gained_chance" not in table.delta() and "p_chance" not in table.changes()
    assert "missing_permutation" not in table.missing()


def test_categories_alone_have_no_workflow_but_a_control():
    from dataclasses import replace

    bare = replace(WORDS, broad_categories=(), steps=(), categories=("a", "a", "b", "b", "control", "control"))
    found = Comparison(world(), bare, "before", 100)
    assert pick(found.workflow(), layer=ALL, threshold=NULL, model="before", part=CLINICAL)["share"].item() == 4 / 5
    none = Comparison(world(), replace(bare, categories=("a",) * 6), "before", 100)
    assert not len(none.workflow()) and not none.control.any()


def test_the_same_seed_gives_the_same_tables():
    one, other = (Comparison(world(), WORDS, "before", 100, seed=3).coverage() for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    third = Comparison(world(), WORDS, "before", 100, seed=4).coverage()
    assert not one["units_low"].equals(third["units_low"])


@given(st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_statistics_like_plain_loops(x):
    x = np.array(x)
    kinds, member = statistics.groups(WORDS.categories)
    for k, kind in enumerate(kinds):
        own = [n for n, category in zip(x, WORDS.categories) if category == kind]
        assert statistics.units(x, member)[k] == sum(own)
        assert statistics.concepts(x, member)[k] == sum(n > 0 for n in own)
    total = x.sum()
    shares = [sum(n for n, c in zip(x, WORDS.categories) if c == kind) / total for kind in kinds] if total else []
    entropy = statistics.entropy(x, member)
    if total:
        assert entropy == pytest.approx(-sum(p * np.log(p) for p in shares if p), abs=1e-12) and entropy >= 0
    else:
        assert np.isnan(entropy) and np.isnan(statistics.share(x, member[:, 0]))


def test_an_interval_lies_around_its_value_and_within_what_is_possible():
    samples = np.random.default_rng(0).normal(3, 1, 20000)  # resampled numbers lie below the observed 5
    low, high = statistics.interval(5, samples)
    assert abs(low - (5 - 1.96)) < .05 and abs(high - (5 + 1.96)) < .05
    assert statistics.interval(5, samples, high=6)[1] == 6
    assert np.isnan(statistics.interval(np.nan, samples)).all()


def test_the_interval_of_units_is_a_binomials():
    """100 units, 30 of them above: the standard error of their number is sqrt(100 x .3 x .7)."""
    one, other = (Layer(name, "l", 0, np.arange(100), 100, np.full(100, MASS), np.arange(100.), np.full(100, DOG),
                        np.full(100, 69.)) for name in ("m", "n"))
    row = Comparison([one, other], WORDS, "m", 4000).by_layer().iloc[0]
    assert row["above_permutation"] == 30
    assert abs((row["above_permutation_high"] - row["above_permutation_low"]) / 2 / 1.96 - np.sqrt(21)) < .4
