import json

import numpy as np
import pytest
import torch
from PIL import Image

from mammi.dissector.locked_text import LockedText
from mammi.dissector.towers import FeatureMap, SmallResNet
from mammi.errors import BadInput
from mammi.probing_set.base import ProbingSet
from mammi.run_folder import RunFolder
from mammi.task.fit_dissector import Texts, contrast, fit_dissector, label_profiles
from mammi.types import Batch

CORNERS = ("upper left", "upper right", "lower left", "lower right")
SETTINGS = dict(epochs=6, lr=1e-2, batch_size=16)


class OwnVectors:
    name = fingerprint = "own"
    asked = ()

    def embed(self, texts):
        self.asked += tuple(texts)
        rows = np.stack([np.random.default_rng(list(t.encode())).standard_normal(32) for t in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Corners(ProbingSet):
    """Images of one bright corner in noise, with a sentence or two that names it. Four labels."""

    name, template, label_names = "corners", "", CORNERS

    def __init__(self, n=96, seed=0, texts=True):
        rng = np.random.default_rng(seed)
        self.which = rng.integers(0, 4, n)
        self.pixels = rng.integers(0, 120, (n, 32, 32), np.uint8)
        for image, corner in zip(self.pixels, self.which):
            image[16 * (corner // 2):, 16 * (corner % 2):][:16, :16] += 100
        self.ids = self.patients = tuple(f"{seed}-{i}" for i in range(n))
        self.keys = tuple(f"{seed}-{i}".ljust(32) for i in range(n))
        self.labels = np.eye(4, dtype=np.float32)[self.which]
        self.texts = tuple((CORNERS[c], f"light at the {CORNERS[c]}") for c in self.which) if texts else None

    def load(self, indices, masks=False):
        ids = tuple(self.ids[i] for i in indices)
        return Batch(tuple(Image.fromarray(self.pixels[i]) for i in indices), ids, ids)


def dissector(encoder=None):
    return LockedText(SmallResNet(widths=(4, 8, 8, 8), size=32), encoder or OwnVectors(), dim=8)


@pytest.mark.parametrize("loss", ["nce", "soft"])
def test_it_learns_a_planted_world(loss, tmp_path):
    encoder = OwnVectors()
    one = dissector(encoder)
    encoder.asked = ()
    card = fit_dissector(one, Corners(), Corners(64, 1), RunFolder(tmp_path), loss=loss, **SETTINGS)
    assert card["retrieval"] > .9 and card["zero_shot_auroc_mean"] > .9
    assert card["withheld"] == [] and card["sentences"] == 8
    again = LockedText(SmallResNet(widths=(4, 8, 8, 8), size=32, seed=5), OwnVectors(),
                       tmp_path / "weights.safetensors", dim=8)
    np.testing.assert_allclose(again.golden()["images"], card["golden"]["images"], atol=1e-6)
    assert json.loads((tmp_path / "card.json").read_text()) == again.card
    assert len(set(encoder.asked[:8])) == 8  # each sentence once, though 96 images have two each


def test_untrained_it_knows_nothing(tmp_path):
    card = fit_dissector(dissector(), Corners(), Corners(64, 1), RunFolder(tmp_path), epochs=1, lr=1e-9, batch_size=16)
    assert card["retrieval"] < .85 and card["zero_shot_auroc_mean"] < .75


def test_same_seed_same_weights(tmp_path):
    cards = [fit_dissector(dissector(), Corners(48), Corners(32, 1), RunFolder(tmp_path / str(i)), epochs=1, lr=1e-2,
                           batch_size=16, seed=seed) for i, seed in enumerate((3, 3, 4))]
    assert cards[0]["golden"] == cards[1]["golden"] != cards[2]["golden"]


def test_frozen_tower_is_seen_once_and_kept(tmp_path):
    class Eyes(torch.nn.Module):
        seen = 0

        def __init__(self):
            super().__init__()
            self.cell = torch.nn.AvgPool2d(8)
            self.weight = torch.nn.Parameter(torch.ones(4, 1, 4, 4))

        def forward(self, x):
            self.seen += len(x)
            y = self.cell(x)
            return torch.stack([y[:, 0] * (torch.arange(16).reshape(4, 4) // 8 * 2 + torch.arange(4) // 2 == c)
                                for c in range(4)], 1) * self.weight[:, 0]

    eyes = Eyes()
    one = LockedText(FeatureMap(eyes, size=32, mean=.3, sd=.2), OwnVectors(), dim=8)
    state = {k: v.clone() for k, v in eyes.state_dict().items()}
    eyes.seen = 0
    card = fit_dissector(one, Corners(), Corners(64, 1), RunFolder(tmp_path), **SETTINGS)
    assert card["zero_shot_auroc_mean"] > .9
    assert eyes.seen <= 96 + 64 + 2 * 3
    assert all(torch.equal(v, state[k]) for k, v in eyes.state_dict().items())


def test_withheld_is_what_no_sentence_says(tmp_path):
    train = Corners()
    train.texts = tuple(tuple(t for t in own if "lower left" not in t.lower()) for own in train.texts)
    one = dissector()
    card = fit_dissector(one, train, Corners(32, 1), RunFolder(tmp_path), epochs=1, lr=1e-3, batch_size=16)
    assert card["withheld"] == ["lower left"] and one.withheld == ("lower left",)
    assert card["zero_shot_auroc_mean_withheld"] == card["zero_shot_auroc"].get("lower left")
    assert card["images_without_sentence"] == (train.which == 2).sum()


@pytest.mark.parametrize("train, more, message", [
    (Corners(texts=False), {}, "no texts.*phantom_train_texts"), (Corners(8), {}, "fewer than batch_size"),
    (Corners(), {"loss": "sfot"}, "soft"), (Corners(), {"draws": 0}, "draws=0"),
    (Corners(), {"epochs": 0}, "epochs=0"), (Corners(), {"lr": "fast"}, "lr=fast")])
def test_bad_input_teaches_and_leaves_nothing(train, more, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        fit_dissector(dissector(), train, Corners(32, 1), RunFolder(tmp_path), **{**SETTINGS, **more})
    assert not list(tmp_path.iterdir())


def test_soft_without_labels(tmp_path):
    train = Corners()
    train.labels = None
    with pytest.raises(BadInput, match="needs labels"):
        fit_dissector(dissector(), train, Corners(32, 1), RunFolder(tmp_path), loss="soft", **SETTINGS)


def test_contrast_is_the_formula():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 4))
    own = np.eye(4)
    own[0, 2] = own[2, 0] = 1
    alike = rng.uniform(size=(4, 4))

    def slow(table, right, like):
        total = 0
        for i in range(4):
            soft = [np.exp(10 * like[i, j]) / sum(np.exp(10 * like[i, k]) for k in range(4)) for j in range(4)]
            for j in range(4):
                p = np.exp(table[i, j]) / sum(np.exp(table[i, k]) for k in range(4))
                total -= (.3 * right[i, j] / right[i].sum() + .7 * soft[j]) * np.log(p) / 4
        return total

    expected = (slow(logits, own, alike) + slow(logits.T, own.T, alike.T)) / 2
    found = contrast(*(torch.from_numpy(a) for a in (logits, own, alike)))
    assert found.item() == pytest.approx(expected)
    hard = contrast(torch.from_numpy(logits), torch.eye(4).double())
    pair = torch.from_numpy(logits)
    assert hard.item() == pytest.approx(torch.nn.functional.cross_entropy(pair, torch.arange(4)).item() / 2
                                        + torch.nn.functional.cross_entropy(pair.T, torch.arange(4)).item() / 2)


def test_label_profiles_are_what_a_sentence_has_more_than_others():
    images = Corners(4)
    images.labels = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, np.nan], [0, 0, 0, 0]], np.float32)
    images.texts = (("a", "any"), ("a", "any"), ("b", "any"), ("none", "any"))
    texts = Texts(images, OwnVectors())
    of_images, of_texts = label_profiles(images, texts)
    assert texts.unique == ("a", "any", "b", "none")
    np.testing.assert_allclose(of_images[1], np.array([1, 1, 0, 0, 0]) / 2 ** .5, rtol=1e-6)
    np.testing.assert_allclose(of_texts, [[1, 0, 0, 0, 0], [0] * 5, [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]], atol=1e-6)


def test_each_image_draws_among_its_own_sentences():
    images = Corners(40)
    texts = Texts(images, OwnVectors())
    rng = np.random.default_rng(0)
    drawn = [texts.draw(np.arange(40), rng) for _ in range(30)]
    for i, own in enumerate(images.texts):
        assert {texts.unique[d[i]] for d in drawn} == set(own)
