"""Thresholds, heat maps, leaks: against plain loops."""
import numpy as np
import pytest

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.micn.labels import constant, heat_maps, leaks, otsu, patch_rows, text_rows, thresholds
from tests.tiny import TinyDissector, TinyScorer, TinySet, evidence, vector

SCORES = np.random.default_rng(0).standard_normal((50, 3)) * [1, .1, 5]


class Patches(TinyDissector):
    """2 x 3 patches of different lengths, an image's own."""

    fingerprint = "patches-1"

    def patches(self, batch):
        return np.stack([[[vector((i, r, c)) * (1 + r + c) for c in range(3)] for r in range(2)] for i in batch.ids])


def test_thresholds_against_plain_ways():
    ordered = np.sort(SCORES, 0)
    place = .7 * 49
    quantile = ordered[int(place)] + (place % 1) * (ordered[int(place) + 1] - ordered[int(place)])
    np.testing.assert_allclose(thresholds(SCORES), quantile)
    np.testing.assert_allclose(thresholds(SCORES, "fixed", .2), [.2] * 3)
    np.testing.assert_allclose(thresholds(SCORES, "zscore", 1), [s.mean() + s.std() for s in SCORES.T])
    np.testing.assert_allclose(thresholds(SCORES, "zscore"), SCORES.mean(0))
    np.testing.assert_allclose(thresholds(SCORES, "adaptive", .6),
                               [max(s) - (1 - .6) * (max(s) - min(s)) for s in SCORES.T])
    assert ((SCORES > thresholds(SCORES)).mean(0) == .3).all()


def test_otsu_against_every_cut():
    for values in (SCORES[:, 0], np.round(SCORES[:, 0], 1), np.r_[np.zeros(9), np.ones(3)]):
        cuts = sorted(set(values))[:-1]
        sides = [(values[values <= v], values[values > v]) for v in cuts]
        between = [len(a) * len(b) * (a.mean() - b.mean()) ** 2 for a, b in sides]
        assert otsu(values) == cuts[int(np.argmax(between))]
    assert otsu(np.ones(4)) == 1 and otsu(np.array([2.0])) == 2


def test_an_image_s_score_is_the_mean_of_its_heat_map(tmp_path):
    one = evidence(Cache(tmp_path), dissector=Patches())
    rows, of = patch_rows(one)
    texts = text_rows(one, ("effusion", "mass"))
    assert of == "patches" and one.dissector.texts[:2] == ["A picture of a effusion", "A picture of a mass"]
    maps = heat_maps(one.dissector, one.images.load([0, 1, 2, 3, 4]), texts)
    assert maps.shape == (5, 2, 2, 3)
    np.testing.assert_allclose(rows @ texts.T, maps.mean((2, 3)), atol=1e-6)
    for b, i, r, c in np.ndindex(*maps.shape):
        patch = vector((f"image{b}", r, c)) * (1 + r + c)
        assert maps[b, i, r, c] == pytest.approx(patch @ texts[i] / np.linalg.norm(patch), abs=1e-6)
    one.images.loaded.clear()
    patch_rows(one)
    assert one.images.loaded == [0]  # only the look whether there are patches; the rows come from the cache


def test_without_patches_the_image_s_embedding_counts(tmp_path):
    rows, of = patch_rows(evidence(Cache(tmp_path)))
    assert of == "images"
    np.testing.assert_allclose(rows, [vector(i) for i in TinySet().ids], atol=1e-6)


def test_constants():
    labels = np.array([[1, 0, 1, np.nan, np.nan], [1, 0, 0, 1, np.nan], [1, 0, 1, 1, np.nan]])
    assert constant(labels).tolist() == [True, True, False, True, True]


def test_leaks_are_found_whatever_their_sign():
    y = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    labels = np.stack([y == 1, y != 2, y == 0, np.arange(8) % 2, np.ones(8)], 1).astype(float)
    labels[0, 2] = np.nan
    labels[7, 2] = 1
    found = leaks(labels, y, 3)
    assert {i: j for i, (j, _) in found.items()} == {0: 1, 1: 2}
    assert found[0][1] == pytest.approx(1) and found[1][1] == pytest.approx(-1)
    phi = np.corrcoef(labels[1:, 2], y[1:] == 0)[0, 1]
    assert leaks(labels, y, 3, limit=.5)[2] == (0, pytest.approx(phi))


@pytest.mark.fault
@pytest.mark.parametrize("rule, value, words", [
    ("fixed", None, "threshold_value"), ("otzu", None, "otsu"), ("quantile", 1.5, "threshold_value"),
    ("adaptive", "much", "threshold_value")])
def test_bad_thresholds_teach(rule, value, words):
    with pytest.raises(BadInput, match=words):
        thresholds(SCORES, rule, value)


@pytest.mark.fault
def test_a_dissector_without_a_shared_space_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no embeddings"):
        patch_rows(evidence(Cache(tmp_path), dissector=TinyScorer()))
