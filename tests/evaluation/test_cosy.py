"""CoSy against plain loops: five probing images, sixty held-out ones whose labels and patients are known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.evaluation import cosy_scores
from mammi.evaluation.cosy import CoSy
from mammi.phantom.names import FINDINGS
from mammi.probing_set.phantom import Phantom
from mammi.report import is_shown
from mammi.target.planted import Planted
from mammi.types import Annotations
from tests.tiny import TinySet, TinyTarget, evidence

U = np.nan
NAMES = ("Effusion", "Mass", "Hernia")


def plain_auc(a1, a0):
    return np.mean([[1.0 if x > y else 0.5 if x == y else 0.0 for y in a0] for x in a1])


# --- the scores ---------------------------------------------------------------------------------------------------


def test_golden_values_of_the_protocol():
    a0, a1 = [0, 1, 2, 3], [2, 4]
    positive = np.array([0, 0, 0, 0, 1, 1], bool)[:, None]
    auc = cosy_scores.aucs(np.array(a0 + a1, np.float32)[:, None], positive, ~positive)
    assert auc.tolist() == [[.8125]] and cosy_scores.mad(a1, a0) == pytest.approx(1.161895, abs=1e-6)
    u = stats.mannwhitneyu(a0, a1).statistic
    assert u == 1.5 and auc[0, 0] == 1 - u / (len(a0) * len(a1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 4), st.integers(1, 3))
def test_areas_are_the_share_of_pairs_in_order(seed, p, n, labels):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 4, (p, n)).astype(np.float32)  # many ties
    truth = rng.choice([0, 1, U], (p, labels))
    positive, control = cosy_scores.against(truth, "all", rng)
    found = cosy_scores.aucs(a, positive, control)
    for i in range(n):
        for k in range(labels):
            a1, a0 = a[truth[:, k] == 1, i], a[truth[:, k] == 0, i]
            want = plain_auc(a1, a0) if len(a1) and len(a0) else U
            assert found[i, k] == pytest.approx(want, abs=1e-12, nan_ok=True)
    shuffled = rng.permutation(p)
    np.testing.assert_array_equal(cosy_scores.aucs(a[shuffled], positive[shuffled], control[shuffled]), found)
    np.testing.assert_allclose(cosy_scores.aucs(-a, positive, control), 1 - found)


def test_deviations_of_a_constant_are_no_deviations():
    assert cosy_scores.mad([5, 6], [2, 2, 2]) == 0
    assert cosy_scores.mad([5, 6], [1, 2, 3]) == pytest.approx(3.5)
    assert cosy_scores.mad([-5], [1, 3]) == pytest.approx(-7 / 2**.5)


def test_p_values_are_two_sided_and_adjusted_over_what_was_tested():
    rng = np.random.default_rng(0)
    a1, a0 = rng.normal(2, 1, 30), rng.normal(0, 1, 40)
    assert cosy_scores.p_value(a1, a0) == pytest.approx(cosy_scores.p_value(a0, a1))
    assert cosy_scores.p_value(a1, a0) < .01
    assert cosy_scores.p_value(np.ones(12), np.ones(15)) == 1
    p = np.array([.01, U, .04, .03, .5])
    known = np.sort(p[~np.isnan(p)])
    plain = {value: min(1, *(known[j] * len(known) / (j + 1) for j in range(k, len(known))))
             for k, value in enumerate(known)}
    np.testing.assert_allclose(cosy_scores.adjusted(p), [plain.get(value, U) for value in p])
    assert np.isnan(cosy_scores.adjusted([U, U])).all()


def test_a_word_names_a_label_by_lemma_or_synonym():
    columns = cosy_scores.columns_of_words(["Mass", "Pleural_Thickening", "Infiltrate", "infiltration", "Clavicle"])
    assert [columns.get(word) for word in ("mass", "lung mass", "pleural thickening", "thickening", "clavicle")] == \
        [0, 0, 1, 1, 4]
    assert (columns["infiltrate"], columns["infiltration"], columns["lung infiltrate"]) == (2, 3, 2)
    assert "hernia" not in columns and "opacity" not in columns


# --- what a label's images are held against -----------------------------------------------------------------------


def test_unknown_labels_are_on_neither_side():
    truth = np.array([[1, 0], [0, 1], [0, 0], [U, 0], [0, U]])
    positive, control = cosy_scores.against(truth, "all", None)
    assert positive[:, 0].tolist() == [True, False, False, False, False]
    assert control[:, 0].tolist() == [False, True, True, False, True]
    assert cosy_scores.against(truth, "no_finding", None)[1][:, 0].tolist() == [False, False, True, False, False]


def test_matched_negatives_by_hand():
    truth = np.array([[1, 1, 0],   # its like among the negatives: image 3
                      [1, 0, 0],   # 4 or 5
                      [1, 1, U],   # none is alike; 3 is nearest, and taken: 6 differs in one label as well
                      [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 1, 1], [U, 1, U]])
    found = {tuple(np.flatnonzero(cosy_scores.matched(truth, 0, np.random.default_rng(seed)))) for seed in range(20)}
    assert found == {(3, 4, 6), (3, 5, 6)}


def test_where_negatives_are_few_all_are_taken():
    truth = np.array([[1, 1], [1, 0], [1, 0], [0, 1], [0, 1]])
    rng = np.random.default_rng(0)
    assert cosy_scores.matched(truth, 0, rng).tolist() == [False, False, False, True, True]
    assert cosy_scores.matched(truth[:3], 0, rng).sum() == cosy_scores.matched(truth[3:], 0, rng).sum() == 0
    assert cosy_scores.matched(truth[:, :1], 0, rng).sum() == 2  # nothing to be alike in


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_as_many_are_matched_as_can_be_and_the_alike_come_first(seed, p):
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, U], (p, 3), p=[.6, .3, .1])
    chosen = cosy_scores.matched(truth, 0, np.random.default_rng(seed))
    positive, negative = truth[:, 0] == 1, truth[:, 0] == 0
    assert not (chosen & ~negative).any() and chosen.sum() == min(positive.sum(), negative.sum())
    kinds = [str(row[1:]) for row in truth]
    for kind in set(kinds):
        of = np.array([k == kind for k in kinds])
        assert (chosen & of).sum() >= min((positive & of).sum(), (negative & of).sum())
    assert (chosen == cosy_scores.matched(truth, 0, np.random.default_rng(seed))).all()


# --- neurons and their words --------------------------------------------------------------------------------------


def held_out(patients=None, labels=None):
    images = TinySet(60, first=5)
    images.label_names = NAMES
    rng = np.random.default_rng(1)
    images.labels = (rng.random((60, 3)) < .3).astype(np.float32) if labels is None else labels
    images.labels[:4, 1] = U
    images.labels[:, 2] = np.arange(60) < 9  # one too few
    images.patients = images.ids if patients is None else patients
    return images


def said(words, status=None):
    return Annotations(tuple(f"n{i}" for i in range(len(words))), [w and list(w) for w in words],
                       [[1.0] * len(w) for w in words], status or ["ok" if w else "empty" for w in words])


def names(annotations, evidence):
    return {"hit": .5}, pd.DataFrame({"neuron": range(len(annotations.neurons))})


def run(tmp_path, words, images=None, status=None, table=None, probing=None, **options):
    images = held_out() if images is None else images
    table = np.random.default_rng(2).normal(size=(65, len(words))).round(1) if table is None else table
    known = evidence(Cache(tmp_path), target=TinyTarget(table), images=probing or TinySet(5))
    return (*CoSy(names, images, **{"bootstrap": 50, **options})(said(words, status), known), table)


def test_every_number_of_a_neuron_by_plain_loops(tmp_path):
    images = held_out()
    facts, rows, table = run(tmp_path, [["effusions", "mass"], ["lung mass"], ["mass"]], images)
    for i, column in enumerate((0, 1, 1)):
        a, areas = table[5:, i], []
        for k in range(2):
            areas.append(plain_auc(a[images.labels[:, k] == 1], a[images.labels[:, k] == 0]))
        row = rows.iloc[i]
        a1, a0 = a[images.labels[:, column] == 1], a[images.labels[:, column] == 0]
        assert (row.cosy_label, row.cosy_n1, row.cosy_unscored) == (NAMES[column], len(a1), "")
        assert row.cosy_auc == pytest.approx(areas[column])
        assert row.cosy_mad == pytest.approx((a1.mean() - a0.mean()) / a0.std(ddof=1), abs=1e-5)
        assert row.cosy_regret == pytest.approx(max(areas) - areas[column])
        assert row.cosy_rank == 1 + (areas[1 - column] > areas[column])
        assert row.cosy_auc_low <= row.cosy_auc <= row.cosy_auc_high
    assert facts["hit"] == .5 and (facts["cosy_n"], facts["cosy_labels"], facts["cosy_coverage"]) == (3, 2, 1)
    for name in ("auc", "mad", "regret"):
        assert facts[f"cosy_{name}"] == pytest.approx(rows[f"cosy_{name}"].mean())
        assert facts[f"cosy_{name}_low"] <= facts[f"cosy_{name}"] <= facts[f"cosy_{name}_high"]
        assert is_shown(f"cosy_{name}") and is_shown(f"cosy_{name}_low")
    assert facts["cosy_rank_median"] == rows["cosy_rank"].median()
    raw = [stats.mannwhitneyu(table[5:, i][images.labels[:, k] == 1].astype(np.float32).astype(float),
                              table[5:, i][images.labels[:, k] == 0].astype(np.float32).astype(float)).pvalue
           for i, k in enumerate((0, 1, 1))]
    assert rows["cosy_p"].tolist() == pytest.approx(stats.false_discovery_control(raw))


def test_what_has_no_score_says_why_and_does_not_count(tmp_path):
    facts, rows, _ = run(tmp_path, [["effusion"], ["clavicle"], ["hernia"], [], []],
                         status=["ok", "ok", "ok", "empty", "dead"])
    assert rows["cosy_unscored"].tolist() == ["", "no label", "fewer than 10 positive images", "no word", "no word"]
    assert rows["cosy_label"].tolist() == ["Effusion", "", "Hernia", "", ""]
    assert rows["cosy_auc"].notna().tolist() == [True, False, False, False, False]
    assert facts["cosy_n"] == 1 and facts["cosy_coverage"] == 1 / 4  # the dead one is not asked
    assert facts["cosy_coverage_low"] < 1 / 4 < facts["cosy_coverage_high"]
    assert facts["cosy_auc"] == rows["cosy_auc"][0] and facts["cosy_auc_low"] is facts["cosy_auc_se"] is None
    assert facts["cosy_auc_note"] == "on 60 held-out images of tiny, control all"


def test_images_that_the_target_has_learned_are_told(tmp_path):
    images, target = held_out(), TinyTarget(np.eye(65, 1))
    target.trained_on = frozenset(key[:12] for key in images.keys[:7])
    known = evidence(Cache(tmp_path), target=target)
    facts, _ = CoSy(names, images, bootstrap=5)(said([["mass"]]), known)
    assert facts["cosy_auc_note"].endswith("; 7 of them were training images of tiny_target")


def test_no_scored_neuron_gives_no_number(tmp_path):
    facts, rows, _ = run(tmp_path, [["clavicle"]])
    assert facts["cosy_coverage"] == 0 and facts["cosy_auc"] is facts["cosy_rank_median"] is None
    assert rows["cosy_auc"].isna().all()
    facts, _, _ = run(tmp_path, [[]], status=["dead"])
    assert facts["cosy_coverage"] is None and facts["cosy_n"] == 0


def test_a_neuron_that_is_constant_on_held_out_images_tells_nothing(tmp_path):
    facts, rows, _ = run(tmp_path, [["mass"]], table=np.ones((65, 1)))
    row = rows.iloc[0]
    assert (row.cosy_auc, row.cosy_mad, row.cosy_p, row.cosy_rank, row.cosy_regret) == (.5, 0, 1, 1, 0)


def test_the_interval_draws_patients_not_images(tmp_path):
    patients = tuple(f"p{min(i, 12)}" for i in range(60))  # the last has 48 images
    images = held_out(patients)
    _, rows, table = run(tmp_path, [["effusion"]], images, bootstrap=300, seed=4)
    a, truth = table[5:, 0], images.labels[:, 0]
    members = [[i for i, p in enumerate(patients) if p == name] for name in sorted(set(patients))]
    areas = []
    for draw in np.random.default_rng(4).integers(13, size=(300, 13)):
        drawn = [i for patient in draw for i in members[patient]]
        a1, a0 = [a[i] for i in drawn if truth[i] == 1], [a[i] for i in drawn if truth[i] == 0]
        if a1 and a0:
            areas.append(plain_auc(a1, a0))
    assert (rows.cosy_auc_low[0], rows.cosy_auc_high[0]) == pytest.approx(np.percentile(areas, [2.5, 97.5]))
    again = run(tmp_path, [["effusion"]], images, bootstrap=300, seed=4)[1]
    pd.testing.assert_frame_equal(rows, again)


def test_matched_and_healthy_controls_reach_the_score(tmp_path):
    images = held_out()
    images.labels[20:, 2] = images.labels[20:, 1]
    for control in ("no_finding", "matched"):
        _, rows, table = run(tmp_path, [["effusion"]], images, control=control, seed=3)
        positive, against = cosy_scores.against(images.labels, control, np.random.default_rng(3))
        assert rows.cosy_auc[0] == pytest.approx(plain_auc(table[5:, 0][positive[:, 0]], table[5:, 0][against[:, 0]]))


def test_planted_units_are_told_and_wrong_words_are_not(tmp_path):
    target = Planted(FINDINGS)
    images, probing = Phantom(500, seed=2, boost=.9), Phantom(4, seed=3)
    known = evidence(Cache(tmp_path), target=target, images=probing)
    right = [[name.lower()] for name in FINDINGS]
    score = CoSy(names, images, bootstrap=50)
    facts, rows = score(said(right), known)
    assert facts["cosy_coverage"] == 1 and facts["cosy_auc"] > .999 and facts["cosy_regret"] < .001
    assert (rows["cosy_rank"] == 1).all() and (rows["cosy_p"] < 1e-6).all()
    assert facts["cosy_mad"] == 0  # an exact oracle does not vary where its finding is absent
    facts, rows = score(said(right[5:] + right[:5]), known)
    assert .4 < facts["cosy_auc"] < .6 and facts["cosy_regret"] > .3


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_held_out_images_must_be_apart_from_the_probing_set(tmp_path):
    with pytest.raises(BadInput, match="2 images are both in the probing set tiny and in the held-out images tiny"):
        run(tmp_path, [["mass"]], probing=TinySet(7))
    probing, images = TinySet(5), held_out(("p",) * 60)
    probing.patients = ("a", "b", "c", "d", "p")
    with pytest.raises(BadInput, match="1 patients are both"):
        run(tmp_path, [["mass"]], images, probing=probing)
    probing = TinySet(5)
    probing.synthetic = False
    with pytest.raises(BadInput, match="is synthetic, the probing set tiny is real.*probing_set@evaluation.images"):
        run(tmp_path, [["mass"]], probing=probing)


@pytest.mark.fault
@pytest.mark.parametrize("change, options, words", [
    ({"labels": None}, {}, "evaluation.images: tiny has no labels"),
    ({"label_names": ()}, {}, "evaluation.images: tiny has no labels"),
    ({"labels": np.zeros((60, 3), np.float32)}, {}, "no label has 10 positives"),
    ({"labels": np.ones((60, 3), np.float32)}, {}, "no label has 10 positives and 10 images to hold them against"),
    ({}, {"control": "match"}, "evaluation.control=match: Did you mean matched"),
    ({}, {"bootstrap": 0}, "evaluation.bootstrap=0")])
def test_what_cannot_be_judged_stops_before_the_run(change, options, words):
    images = held_out()
    vars(images).update(change)
    with pytest.raises(BadInput, match=words):
        CoSy(names, images, **options)
