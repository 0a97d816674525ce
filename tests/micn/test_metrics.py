import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from mammi.micn.metrics import difference, exact_match, interval, mean_interval, over_seeds, resampled, summary


@pytest.mark.parametrize("classes", [2, 4])
def test_against_sklearn_image_by_image(classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 60)
    scores = rng.dirichlet(np.ones(classes), (3, 60))
    patients = [f"p{i // 2}" for i in range(60)]
    found = resampled(scores, y, patients, 0, resamples=20)
    for s in range(3):
        said = scores[s].argmax(1)
        assert found["accuracy"][0][s] == pytest.approx(accuracy_score(y, said))
        assert found["macro_f1"][0][s] == pytest.approx(f1_score(y, said, average="macro"))
        area = roc_auc_score(y, scores[s][:, 1]) if classes == 2 else roc_auc_score(y, scores[s], multi_class="ovr")
        assert found["auroc"][0][s] == pytest.approx(area)
    from mammi.evaluation.ranking import patient_weights

    weights = patient_weights(patients, 20, 0)
    for r in range(20):  # a resample, image by image
        at = np.repeat(np.arange(60), weights[r])
        assert found["accuracy"][1][1, r] == pytest.approx(accuracy_score(y[at], scores[1].argmax(1)[at]))
        assert found["macro_f1"][1][1, r] == pytest.approx(f1_score(y[at], scores[1].argmax(1)[at], average="macro",
                                                                    labels=range(classes), zero_division=0))
    told = summary(found, np.random.default_rng(0))
    assert told["accuracy"] == pytest.approx(found["accuracy"][0].mean())
    assert told["accuracy_sd"] == pytest.approx(np.std(found["accuracy"][0], ddof=1))
    assert told["accuracy_low"] <= told["accuracy"] <= told["accuracy_high"]
    same = difference(found, found, np.random.default_rng(0))
    assert same["auroc"] == 0 and same["auroc_low"] < 0 < same["auroc_high"]  # each draws seeds of its own
    one = {name: (values[:1], samples[:1]) for name, (values, samples) in found.items()}
    alone = difference(one, one, np.random.default_rng(0))
    assert alone["auroc"] == alone["auroc_low"] == alone["auroc_high"] == 0


def test_one_seed_has_no_deviation():
    scores = np.eye(2)[[0, 1, 1, 0]][None]
    found = resampled(scores, np.array([0, 1, 1, 0]), list("abcd"), 0, 5)
    assert summary(found, np.random.default_rng(0))["accuracy_sd"] is None


def test_an_exact_match_counts_none_and_both_as_wrong():
    outputs = np.array([[.9, .1], [.4, .3], [.8, .9], [.2, .6]])
    y = np.array([0, 0, 1, 1])
    assert exact_match(outputs, y) == .5 and (outputs.argmax(1) == y).mean() == 1


def test_a_mean_without_what_is_unknown():
    mean, low, high = mean_interval([1, np.nan, 0, 1], list("abcd"), 0, 200)
    assert mean == pytest.approx(2 / 3) and 0 <= low <= mean <= high <= 1
    assert np.isnan(mean_interval([np.nan], ["a"], 0)).all()


def test_seeds_are_resampled_anew_in_each_resample():
    samples = np.array([[1., 2, 3, 4], [10, 20, 30, 40], [100, 200, 300, 400]])
    picks = np.random.default_rng(5).integers(3, size=(3, 4))
    expected = [np.mean([samples[picks[s, r], r] for s in range(3)]) for r in range(4)]
    np.testing.assert_allclose(over_seeds(samples, np.random.default_rng(5)), expected)


def test_an_interval_over_seeds_covers_what_seeds_vary():
    """Two seeds that answer nothing alike: over patients alone the interval would have no width."""
    y = np.zeros(40, int)
    scores = np.stack([np.eye(2)[y], np.eye(2)[1 - y]])
    told = summary(resampled(scores, y, range(40), 0, 200), np.random.default_rng(0))
    assert (told["accuracy"], told["accuracy_low"], told["accuracy_high"]) == (.5, 0, 1)
    values = np.c_[np.ones(40), np.zeros(40)].T
    assert mean_interval(values, range(40), 0, 200) == (.5, 0, 1)


def test_a_mean_over_seeds_leaves_out_what_is_unknown_in_each():
    values = np.array([[1, np.nan, 0, 1], [np.nan, 0, 0, 0], [np.nan] * 4])
    mean, low, high = mean_interval(values, list("abcd"), 0, 500)
    assert mean == pytest.approx((2 / 3 + 0) / 2) and low < mean < high


@pytest.mark.parametrize("value", [0, 1])
def test_a_rate_of_none_or_all_has_the_interval_of_wilson(value):
    n, z = 25, 1.959963984540054
    low, high = (0, z * z / (n + z * z)) if value == 0 else (n / (n + z * z), 1)
    values, patients = np.full((3, 50), float(value)), np.arange(50) // 2
    mean, *found = mean_interval(values, patients, 0, 50)
    assert mean == value and found == pytest.approx([low, high])
    assert mean_interval(values, patients, 0, 50, rate=False) == (value, value, value)
    assert interval(np.full(9, .5), 25) == (.5, .5) and interval(np.full(9, float(value))) == (value, value)
    told = summary(resampled(np.eye(2)[np.zeros(4, int)][None], np.full(4, 1 - value), list("aabb"), 0, 20),
                   np.random.default_rng(0), 2)
    assert told["accuracy"] == value and told["accuracy_high"] - told["accuracy_low"] > .5
