"""Captioning and words, against the protocol's golden values and plain loops (protocol D.3, D.5)."""
import math

import numpy as np
import pytest

from mammi.cache import Cache
from mammi.method.falcon_words import best_captions, contrast, group_scores, image_scores, read_captions

GOLDEN = [.30, .29, .28, .20, .27, .26, .25, .24]
IMAGE = np.array([[1.0, 0.0]])


def with_cosines(values):
    return np.array([[c, math.sqrt(1 - c * c)] for c in values])


@pytest.mark.parametrize("block", [1, 3, 4, 8, 100])
def test_how_captions_are_cut_into_blocks_changes_nothing(block):
    """D.3: a softmax per shard would give the fifth caption .644 where two shards of four are merged."""
    at, scores = best_captions(IMAGE, with_cosines(GOLDEN), 5, block)
    assert at.tolist() == [[0, 1, 2, 4, 5]]
    np.testing.assert_allclose(scores[0, :4], [.633, .233, .086, .031], atol=6e-4)
    whole = [math.exp(100 * c) for c in GOLDEN]
    np.testing.assert_allclose(scores[0], [whole[i] / sum(whole) for i in at[0]], rtol=1e-9)


def test_many_images_against_a_plain_softmax(monkeypatch):
    monkeypatch.setattr("mammi.method.falcon_words.ROWS", 3)
    rng = np.random.default_rng(0)
    images, captions = (rng.standard_normal((n, 6)) for n in (7, 20))
    images, captions = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, captions))
    at, scores = best_captions(images, captions, 4, block=6)
    for row, own, probable in zip(images, at, scores):
        cosines = [sum(a * b for a, b in zip(row, c)) for c in captions]
        order = sorted(range(20), key=lambda i: -cosines[i])[:4]
        total = sum(math.exp(100 * c) for c in cosines)
        assert own.tolist() == order
        np.testing.assert_allclose(probable, [math.exp(100 * cosines[i]) / total for i in order], rtol=1e-8)


def test_ties_go_to_the_first_caption_and_few_captions_are_all_taken():
    at, scores = best_captions(IMAGE, with_cosines([.1, .5, .5, .5]), 3, block=2)
    assert at.tolist() == [[1, 2, 3]] and scores[0] == pytest.approx([1 / 3] * 3)
    at, scores = best_captions(IMAGE, with_cosines([.1, -.5]), 5)
    assert at.tolist() == [[0, 1]] and scores.sum() == pytest.approx(1)


def read(tmp_path, *captions):
    return [(list(words), list(phrases)) for words, phrases in read_captions(captions, Cache(tmp_path))]


def test_words_of_captions(tmp_path):
    one, two, three, four = read(
        tmp_path, "Small bilateral pleural effusions are seen.", "There is none of it.",
        "The left lung is clear, no T10 lesion of 12 mm.", "Small bilateral pleural effusions are seen.")
    assert one == four and two == ([], [])
    assert {"small", "bilateral", "pleural", "effusion"} <= set(one[0])   # a clinical word stays, the plural folds
    assert "are" not in one[0] and one[1][0].endswith("pleural effusion")
    assert {"left", "lung", "lesion"} <= set(three[0])
    assert not any(len(word) < 3 or not word.isalpha() for word in three[0])  # digits, T10, mm
    assert "left lung" in three[1]


def test_the_web_stop_list_holds_but_for_clinical_words(tmp_path):
    words = {word for found, _ in read(tmp_path, "New old full view of the close heart.", "Open right heart.")
             for word in found}
    assert words == {"heart", "right"}


def test_captions_are_tagged_once(tmp_path, monkeypatch):
    first = read(tmp_path, "Large effusion.", "No mass.")
    monkeypatch.setattr("mammi.method.falcon_words.tag", None)
    assert read(tmp_path, "Large effusion.", "No mass.") == first
    with pytest.raises(TypeError):
        read(tmp_path, "Large effusion.")


SAID = [(["effusion", "large"], ["large effusion"]), (["effusion"], []), (["heart"], []), ([], [])]


def test_scores_by_hand():
    first = image_scores([0, 1, 3], [.5, .25, .2], SAID, 0)
    assert first == {"effusion": .5, "large": .5}  # the best of its two captions, not their sum
    assert image_scores([0, 1, 3], [.5, .25, .2], SAID, 1) == {"large effusion": .5}
    second = image_scores([2, 1], [.7, .1], SAID, 0)
    assert group_scores([first, second]) == pytest.approx({"effusion": .3, "large": .25, "heart": .35})
    assert group_scores([first, second, {}, {}])["heart"] == pytest.approx(.175)  # images without the word count
    assert group_scores([]) == {}


def test_contrast_removes_what_the_low_images_say_too():
    high = {"heart": .35, "effusion": .3, "large": .25, "apex": .25}
    assert contrast(high, {"heart": .1, "effusion": .0999, "rib": .9}, .1, 8) == [
        ("effusion", .3), ("apex", .25), ("large", .25)]  # .1 goes, ties by the alphabet
    assert contrast(high, {}, .1, 8)[0] == ("heart", .35)


def test_at_most_so_many_words():
    high = {f"word{i:02}": i / 100 for i in range(20)}
    assert [word for word, _ in contrast(high, {}, .1, 8)] == [f"word{i:02}" for i in range(19, 11, -1)]
