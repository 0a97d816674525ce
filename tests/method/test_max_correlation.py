"""Pearson's r against the standard library, and the word that it gives."""
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammi import selection
from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.image_text import Products
from mammi.method.max_correlation import MaxCorrelation, correlation
from tests.tiny import TinyDissector, TinyScorer, TinySet, evidence, vector


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 3), c=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_is_pearsons_r(seed, n, c):
    rng = np.random.default_rng(seed)
    similarity, activations = rng.normal(size=(6, c)), rng.normal(size=(6, n)) * 100 + 5
    right = [[statistics.correlation(x, y) for y in similarity.T.tolist()] for x in activations.T.tolist()]
    assert np.allclose(correlation(similarity, activations), right, atol=1e-9)
    assert np.allclose(correlation(similarity * 3 - 1, activations / 7), right, atol=1e-9)
    assert np.allclose(correlation(similarity.astype(np.float32), activations), right, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_is_constant_correlates_with_nothing(dtype):
    similarity = np.random.default_rng(0).normal(size=(7, 3)).astype(dtype)
    similarity[:, 1] = 0.1
    activations = np.stack([np.arange(7), np.full(7, 0.3)], axis=1)
    got = correlation(similarity, activations)
    assert not got[1].any() and not got[:, 1].any() and got[0, [0, 2]].all()


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(n, 8)).astype(np.float32) for n in (9, 30))
    activations = rng.normal(size=(9, 4))
    whole = correlation(images @ texts.T, activations)
    monkeypatch.setattr(selection, "BLOCK", 8 * 9 * 7)
    assert np.allclose(correlation(Products(images, texts), activations), whole, atol=1e-6)


@pytest.mark.parametrize("dissector", [TinyDissector, TinyScorer])
def test_words_of_a_run(dissector, tmp_path):
    found = evidence(Cache(tmp_path), dissector=dissector())
    got, words = MaxCorrelation(words=2)(found), found.concepts.words
    for i in (0, 1):
        right = [statistics.correlation(found.activations[:, i].tolist(),
                                        [float(vector(image) @ vector(word)) for image in TinySet().ids])
                 for word in words]
        best = sorted(range(len(words)), key=lambda j: -right[j])[:2]
        assert got.concepts[i] == [words[j] for j in best]
        assert np.allclose(got.scores[i], [right[j] for j in best], atol=1e-5)
    assert got.concepts[2] == [] and got.status == ["ok", "ok", "dead"] and got.selected is None


@pytest.mark.fault
def test_bad_options(tmp_path):
    with pytest.raises(BadInput, match="method.words=0"):
        MaxCorrelation(words=0)
    with pytest.raises(BadInput, match="method.template=3: expected a text"):
        MaxCorrelation(template=3)(evidence(Cache(tmp_path)))
