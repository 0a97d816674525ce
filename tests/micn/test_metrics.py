import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from mammi.micn.metrics import difference, exact_match, mean_interval, resampled, summary


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
    told = summary(found)
    assert told["accuracy"] == pytest.approx(found["accuracy"][0].mean())
    assert told["accuracy_sd"] == pytest.approx(np.std(found["accuracy"][0], ddof=1))
    assert told["accuracy_low"] <= told["accuracy"] <= told["accuracy_high"]
    same = difference(found, found)
    assert same["auroc"] == same["auroc_low"] == same["auroc_high"] == 0


def test_one_seed_has_no_deviation():
    scores = np.eye(2)[[0, 1, 1, 0]][None]
    assert summary(resampled(scores, np.array([0, 1, 1, 0]), list("abcd"), 0, 5))["accuracy_sd"] is None


def test_an_exact_match_counts_none_and_both_as_wrong():
    outputs = np.array([[.9, .1], [.4, .3], [.8, .9], [.2, .6]])
    y = np.array([0, 0, 1, 1])
    assert exact_match(outputs, y) == .5 and (outputs.argmax(1) == y).mean() == 1


def test_a_mean_without_what_is_unknown():
    mean, low, high = mean_interval([1, np.nan, 0, 1], list("abcd"), 0, 200)
    assert mean == pytest.approx(2 / 3) and 0 <= low <= mean <= high <= 1
    assert np.isnan(mean_interval([np.nan], ["a"], 0)).all()
