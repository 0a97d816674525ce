"""AUROC against pair counting and scikit-learn, the bootstrap against drawing patients one by one."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_auc_score

from mammi.errors import BadInput
from mammi.evaluation.ranking import at_threshold, auroc, best_threshold, compare, patient_weights


def by_pairs(scores, truth):
    wins = [1 if a > b else .5 if a == b else 0
            for a, yes in zip(scores, truth) if yes for b, no in zip(scores, truth) if not no]
    return sum(wins) / len(wins)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_counts_pairs_and_ties_by_half(pairs):
    scores, truth = np.array([s for s, _ in pairs], float), np.array([t for _, t in pairs])
    if truth.all() or not truth.any():
        assert np.isnan(auroc(scores, truth))
    else:
        assert auroc(scores, truth) == pytest.approx(by_pairs(scores, truth))
        assert auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))


def test_weights_are_repeated_images():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 6, 40).astype(float), rng.random(40) < .4
    weights = rng.integers(0, 4, (450, 40))  # more than one block
    expected = [by_pairs(np.repeat(scores, w), np.repeat(truth, w)) for w in weights]
    np.testing.assert_allclose(auroc(scores, truth, weights), expected)


def test_a_resample_without_positives_is_nan():
    assert np.isnan(auroc(np.arange(3.), np.array([True, False, False]), np.array([[0, 1, 1]]))).all()


def test_patients_are_drawn_whole():
    patients = ["b", "a", "b", "c", "a", "b"]
    weights = patient_weights(patients, 500, seed=3)
    assert weights.shape == (500, 6)
    for one in ("a", "b", "c"):
        columns = weights[:, [p == one for p in patients]]
        assert (columns == columns[:, :1]).all()
    assert (weights[:, [1, 0, 3]].sum(1) == 3).all()  # as many patients as there are
    assert abs(weights.mean() - 1) < .1
    assert (weights == patient_weights(patients, 500, seed=3)).all()
    assert (weights != patient_weights(patients, 500, seed=4)).any()


def world(n, strength, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < [.3, .5, .01]).astype(np.float32)
    truth[0] = np.nan
    noise = rng.standard_normal((2, n, 3))
    return {"target": strength * np.nan_to_num(truth) + noise[0], "twin": noise[1]}, truth, [str(i // 2) for i in
                                                                                               range(n)]


def test_compare_judges_labels_with_enough_positives():
    scores, truth, patients = world(200, 2.)
    table, facts = compare(scores, truth, ["a", "b", "rare"], patients, seed=0, resamples=300)
    assert table["auroc_target"].notna().tolist() == [True, True, False] and facts["labels_judged"] == 2
    assert table["images"].tolist() == [199] * 3
    for k in (0, 1):
        row = table.iloc[k]
        assert row["auroc_target"] == pytest.approx(roc_auc_score(truth[1:, k], scores["target"][1:, k]))
        assert row["auroc_target_low"] < row["auroc_target"] < row["auroc_target_high"]
        assert row["target_less_twin"] == pytest.approx(row["auroc_target"] - row["auroc_twin"])
    assert facts["auroc_target"] == pytest.approx(table["auroc_target"].mean())
    assert facts["target_beats_twin"] == "succeeded"


def test_a_target_no_better_than_its_twin_has_failed():
    scores, truth, patients = world(200, 0.)
    assert compare(scores, truth, ["a", "b", "rare"], patients, 0, resamples=300)[1]["target_beats_twin"] == "failed"
    scores["target"] = -world(200, 2.)[0]["target"]  # worse than chance
    assert compare(scores, truth, ["a", "b", "rare"], patients, 0, resamples=300)[1]["target_beats_twin"] == "failed"


def test_every_control_gets_its_own_verdict():
    scores, truth, patients = world(200, 2.)
    scores["oracle"] = np.nan_to_num(truth)
    facts = compare(scores, truth, ["a", "b", "rare"], patients, 0, controls=("twin", "oracle"), resamples=300)[1]
    assert (facts["target_beats_twin"], facts["target_beats_oracle"]) == ("succeeded", "failed")
    assert facts["auroc_oracle"] == 1 and facts["target_less_oracle"] < 0


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Means of 40 worlds where target and twin are equally good: the difference's interval holds 0 in most."""
    holds = 0
    for seed in range(40):
        facts = compare(*world(120, 0., seed)[:2], ["a", "b", "rare"], world(120, 0., seed)[2], seed, resamples=200)[1]
        holds += facts["target_less_twin_low"] <= 0 <= facts["target_less_twin_high"]
    assert holds >= 33


def test_too_few_positives_anywhere_is_an_error():
    scores, truth, patients = world(15, 1.)
    with pytest.raises(BadInput, match="no label has 10 positives"):
        compare(scores, truth, ["a", "b", "rare"], patients, 0, resamples=10)


def f1_by_hand(scores, positive, threshold):
    right = sum(s >= threshold and p for s, p in zip(scores, positive))
    said, there = sum(s >= threshold for s in scores), sum(positive)
    if not right:
        return Fraction(0)
    precision, recall = Fraction(right, said), Fraction(right, int(there))
    return 2 * precision * recall / (precision + recall)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25))
def test_the_threshold_is_the_smallest_of_the_best(pairs):
    scores, positive = np.array([s / 7 for s, _ in pairs]), np.array([p for _, p in pairs])
    if not positive.any():
        assert np.isnan(best_threshold(scores, positive))
        return
    every = {t: f1_by_hand(scores, positive, t) for t in sorted(set(scores))}
    expected = min(t for t, f1 in every.items() if f1 == max(every.values()))
    assert best_threshold(scores, positive) == expected
    order = np.random.default_rng(len(pairs)).permutation(len(pairs))
    assert best_threshold(scores[order], positive[order]) == expected
    assert at_threshold(scores, positive, expected)["f1"] == pytest.approx(float(every[expected]))


def test_best_threshold_is_on_the_precision_recall_curve():
    rng = np.random.default_rng(0)
    positive = rng.random(300) < .2
    scores = rng.standard_normal(300) + 2 * positive
    precision, recall, thresholds = precision_recall_curve(positive, scores)
    f1 = 2 * precision * recall / (precision + recall + 1e-300)
    assert best_threshold(scores, positive) == thresholds[np.argmax(f1[:-1])]


def test_at_threshold_counts():
    scores, positive = np.array([.1, .5, .5, .9, .2]), np.array([False, True, False, True, True])
    assert at_threshold(scores, positive, .5) == {"sensitivity": pytest.approx(2 / 3), "specificity": .5,
                                                  "f1": pytest.approx(4 / 6)}
    nothing = at_threshold(scores, positive, float("nan"))
    assert all(np.isnan(value) for value in nothing.values())
    assert np.isnan(at_threshold(scores, np.ones(5, bool), .5)["specificity"])
