"""The study on a planted world: it finds the target better than its twin there, and not where labels are noise."""
import json

import numpy as np
import pandas as pd
import pytest
import torch

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.evaluation.final_layer import FinalLayer
from mammi.method.mammi import Mammi
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.target.base import Tap, TorchTarget
from mammi.task import fitted as fits
from mammi.task import study as module
from mammi.task.study import study
from tests.task.test_fit_dissector import CORNERS, Corners, dissector
from tests.tiny import TinyConcepts

FIT = {"target": {"epochs": 8, "lr": 3e-2, "batch_size": 16}, "dissector": {"epochs": 5, "lr": 1e-2, "batch_size": 16}}


class Grey:
    def __call__(self, image):
        return torch.from_numpy(np.asarray(image, np.float32))[None] / 255

    def __repr__(self):
        return "Grey()"


def target(seed):
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.BatchNorm2d(1), torch.nn.Flatten(),
                                  torch.nn.Linear(4, 4))
    return TorchTarget(network, Grey(), {"final": Tap("3")}, CORNERS, name=f"tiny {seed}")


def run(cache, folder, train=None, **more):
    parts = {"train": train or Corners(96), "val": Corners(64, 1), "probing_set": Corners(120, 2), **more}
    return study(target(0), target(1), dissector(), concept_set=TinyConcepts(("upper left", "lower right", "cat")),
                 selection=TopK(5), method=Mammi(), evaluation=FinalLayer(bootstrap=50), fit=FIT, cache=Cache(cache),
                 batch_size=32, seed=0, out=RunFolder(folder, "study"), **parts)


def test_it_succeeds_where_there_is_something_to_learn(tmp_path, monkeypatch):
    table, facts = run(tmp_path / "cache", tmp_path / "a")
    assert facts["target_beats_twin"] == facts["target_beats_brightness"] == "succeeded"
    assert facts["auroc_target"] > .95
    assert facts["auroc_dissector"] > .8
    assert table["label"].tolist() == list(CORNERS) and table["positives"].sum() == 120
    left = {p.relative_to(tmp_path / "a").as_posix() for p in (tmp_path / "a").rglob("*.*")}
    assert left >= {"study.csv", "auroc.png", "metrics.json", "run.json", "target/annotations.csv", "twin/neurons.png",
                    "target_card.json", "dissector_card.json"}
    assert json.loads((tmp_path / "a" / "metrics.json").read_text())["labels_judged"] == 4
    seen = {name: json.loads((tmp_path / "a" / name / "metrics.json").read_text())["images_seen_in_training"]
            for name in ("target", "twin")}
    assert seen == {"target": 0, "twin": None}  # known to have seen none; nothing known
    saved = pd.read_csv(tmp_path / "a" / "study.csv")
    annotated = pd.read_csv(tmp_path / "a" / "target" / "neurons.csv").set_index("name")["top_concept"]
    assert saved["top_concept_target"].tolist() == annotated[list(CORNERS)].tolist()

    for name in ("fit_target", "fit_dissector"):  # the second time nothing is fitted, and nothing changes
        monkeypatch.setattr(f"mammi.task.fitted.{name}", None)
    again, same = run(tmp_path / "cache", tmp_path / "b")
    assert same == facts
    pd.testing.assert_frame_equal(again, table)


def test_brightness_is_a_control_whose_direction_comes_from_training():
    train, probe = Corners(96), Corners(60, 2)
    for images in (train, probe):  # the first corner's images are bright, the second's dark
        for image, corner in zip(images.pixels, images.which):
            image[:] = np.clip(image * (1.5 if corner == 0 else .3 if corner == 1 else 1), 0, 255)
    scores = module._shortcut(train, probe, CORNERS, 7)
    assert scores.shape == (60, 4)
    means = np.array([image.mean() for image in probe.pixels])
    np.testing.assert_allclose(scores[:, 0], means, rtol=1e-6)
    np.testing.assert_allclose(scores[:, 1], -means, rtol=1e-6)
    assert module.auroc(scores[:, 1], probe.labels[:, 1] == 1) > .95


def test_it_says_failed_where_labels_are_noise(tmp_path):
    class Shuffled(Corners):
        def __init__(self, n, seed):
            super().__init__(n, seed)
            self.labels = self.labels[np.random.default_rng(seed + 10).permutation(n)]

    _, facts = run(tmp_path / "cache", tmp_path / "run", train=Shuffled(96, 0), probing_set=Shuffled(120, 2))
    assert facts["target_beats_twin"] == "failed"


@pytest.fixture
def fitted(tmp_path):
    """Calls ``fitted`` with a computation that writes what a fit leaves; returns (weights' path, computed or not)."""
    calls = []

    def compute(there):
        calls.append(there)
        there.text("weights.safetensors", "")
        there.json("card.json", {"n": len(calls)})

    def call(train, inputs="a", seed=0):
        before = len(calls)
        path, card = fits.fitted(Cache(tmp_path), "target", inputs, train, Corners(4, 1), seed, RunFolder(tmp_path),
                                 compute)
        assert path.exists() and card["n"] <= len(calls)
        return path, len(calls) > before

    return call


def test_fitted_weights_are_found_again_by_content_alone(fitted):
    path, _ = fitted(Corners(8))
    assert fitted(Corners(8)) == (path, False)
    other = Corners(8)
    other.labels = other.labels[:, [1, 0, 2, 3]]
    renamed = Corners(8)
    renamed.label_names = renamed.label_names[::-1]
    for changed in (fitted(renamed), fitted(other), fitted(Corners(9)), fitted(Corners(8), "b"),
                    fitted(Corners(8), seed=1)):
        assert changed[1] and changed[0] != path


def test_an_interrupted_fit_begins_again(fitted):
    path, _ = fitted(Corners(8))
    (path.parent / "card.json").unlink()
    assert fitted(Corners(8)) == (path, True)


@pytest.mark.fault
@pytest.mark.parametrize("shared, what", [(Corners(120, 0), "96 images"), (Corners(120, 2), "3 patients")])
def test_training_images_and_patients_are_refused_as_probing_images(shared, what, tmp_path):
    train = Corners(96)
    for images in (train, shared):
        images.patients = ("Ann", "Bob", "Cleo", *images.patients[3:])
    with pytest.raises(BadInput, match=f"{what} are both in the training set"):
        run(tmp_path / "cache", tmp_path / "run", train, probing_set=shared)
    assert not (tmp_path / "run").exists()
