"""Hubs, templates, left and right, no: against plain loops, and what each must notice."""
import numpy as np
from scipy.stats import skew, spearmanr

from mammi.gate import words

NAMES = list("abcdefghijkl")


def test_hubness_counts_the_first_words():
    scores = np.random.default_rng(0).standard_normal((40, 12))
    check = words.hubness(scores, NAMES)
    among = np.zeros(12)
    for row in scores:
        among[sorted(range(12), key=lambda j: -row[j])[:10]] += 1
    top = np.bincount(scores.argmax(1), minlength=12)
    assert check.numbers["skew"] == skew(among) and check.numbers["top_share"] == top.max() / 40
    assert check.state == "pass" and repr(NAMES[top.argmax()]) in check.says
    scores[:30, 3] = 9
    hub = words.hubness(scores, NAMES)
    assert hub.state == "fail" and not hub.decisive and "'d'" in hub.says
    assert words.hubness(scores[:, :1], NAMES[:1]).state == "unknown"


def test_template_is_a_mean_of_rank_correlations():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 9, 12)).astype(np.float32)
    check = words.template(a, b, "An image of a")
    expected = np.mean([spearmanr(x, y).statistic for x, y in zip(a, b)])
    np.testing.assert_allclose(check.numbers["rank_correlation"], expected, atol=1e-12)
    assert check.state == "fail" and check.numbers["top1"] == np.mean(a.argmax(1) == b.argmax(1))
    assert words.template(a, a + 1, "An image of a").numbers == {"rank_correlation": 1., "top1": 1.}
    assert words.template(a, a, "").state == "unknown"


def test_left_and_right_and_no():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4, 6))
    assert words.laterality(rows, rows, NAMES[:4]).state == "fail"
    assert words.laterality(rows, -rows, NAMES[:4]).numbers["cosine"] == -1
    truth = np.zeros((30, 1), np.float32)
    truth[:12] = 1
    score = truth + .1 * rng.standard_normal(truth.shape)
    good = words.negation(rows[:1], rows[1:2], ["a"], score, truth)
    assert good.state == "pass" and good.numbers["auroc"] == 1 and not good.decisive
    assert words.negation(rows[:1], rows[1:2], ["a"], -score, truth).state == "fail", "no X fits images with X"
    assert words.negation(rows, rows, NAMES[:4]).state == "fail", "no X is X"
    assert "auroc" not in words.negation(rows[:1], rows[1:2], ["a"], score[:15], truth[:15]).numbers, "3 without it"
    assert words.cosines(np.zeros((1, 3)), np.ones((1, 3))) == 0
