"""Performance against a re-implementation with loops in 64 bits, and what it refuses to say."""
import gzip
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.run_folder import RunFolder
from mammi.target.training import after
from mammi.task.performance import beside, judge, performance, truth_of
from mammi.types import Reading
from run import build
from tests.test_conf import config
from tests.tiny import TinySet, TinyTarget

CLASSES = ("Effusion", "Pleural_Thickening", "Hernia")
PUBLISHED = {"mean_auroc": .806, "by": "They", "dataset": "nih14", "split": "test", "images": 120, "classes": 2}


class World(TinySet):
    """Images whose labels go with the logits that :class:`Logits` gives them, with some labels unknown."""

    label_names = ("pleural thickening", "Effusion", "Hernia")
    dataset = "nih14"

    def __init__(self, n=120, first=0, split="test"):
        super().__init__(n, first)
        self.label_names = World.label_names
        rng = np.random.default_rng(first)
        self.labels = (rng.random((n, 3)) < .5 + .4 * np.tanh(logits(self.numbers)[:, [1, 0, 2]])).astype(np.float32)
        self.labels[:, 2] = np.arange(n) < 3
        self.labels[rng.random((n, 3)) < .1] = np.nan
        self.patients = tuple(f"p{i // 3}" for i in self.numbers)
        self.splits = (split,) * n


def logits(numbers):
    """(b, 3) by the image's number, to one decimal: full of ties."""
    return np.round([np.random.default_rng(100 + i).standard_normal(3) for i in numbers], 1)


class Logits(TinyTarget):
    def neurons(self, layer):
        return CLASSES

    def read(self, batch, layers, maps=False):
        self.passes += 1
        return {layer: Reading(torch.tensor(logits([int(i[5:]) for i in batch.ids]))) for layer in layers}


def run(folder, target=None, val=None, test=None, **more):
    out = RunFolder(folder / "run", choices={"target": "theirs"})
    return performance(target or Logits(), val or World(90, 300), test or World(), Cache(folder / "cache"), 16, 0, out,
                       **more)


def plain(scores, truth):
    """[(sigmoid of a score, present)] of the known labels."""
    return [(round(1 / (1 + math.exp(-s)), 6), t == 1) for s, t in zip(scores.tolist(), truth.tolist())
            if not math.isnan(t)]


def f1(pairs, threshold):
    right = sum(s >= threshold and t for s, t in pairs)
    return 2 * right / (sum(s >= threshold for s, _ in pairs) + sum(t for _, t in pairs))


def average_precision(pairs):
    """Sum over all thresholds, from the highest, of precision times the recall that is new there."""
    total, before, there = 0, 0, sum(t for _, t in pairs)
    for threshold in sorted({s for s, _ in pairs}, reverse=True):
        right, said = sum(s >= threshold and t for s, t in pairs), sum(s >= threshold for s, _ in pairs)
        total, before = total + right / said * (right - before) / there, right
    return total


def test_it_is_what_a_loop_over_all_thresholds_gives(tmp_path):
    table, facts = run(tmp_path)
    val, test = World(90, 300), World()
    for k, (name, column) in enumerate([("Effusion", 1), ("Pleural_Thickening", 0)]):
        tried, judged = (plain(logits(s.numbers)[:, k], s.labels[:, column]) for s in (val, test))
        best = max(sorted({s for s, _ in tried}), key=lambda t: f1(tried, t))  # the first, so the smallest, maximum
        pairs = [(a > b) + (a == b) / 2 for a, yes in judged for b, no in judged if yes and not no]
        row = table.set_index("label").loc[name]
        assert round(row["threshold"], 6) == best and row["positives"] == sum(t for _, t in judged)
        assert row["auroc"] == pytest.approx(np.mean(pairs))
        assert row["auprc"] == pytest.approx(average_precision(judged))
        assert row["f1"] == pytest.approx(f1(judged, best))
        assert row["sensitivity"] == pytest.approx(np.mean([s >= best for s, t in judged if t]))
        assert row["specificity"] == pytest.approx(np.mean([s < best for s, t in judged if not t]))
        assert row["auroc_low"] < row["auroc"] < row["auroc_high"] and row["images"] == len(judged) < 120
        assert row["val_positives"] == sum(t for _, t in tried)
    assert facts["mean_auroc"] == pytest.approx(table["auroc"].mean())
    assert facts["mean_auroc_low"] < facts["mean_auroc"] < facts["mean_auroc_high"]


def test_rare_classes_are_not_judged_but_counted(tmp_path):
    table, facts = run(tmp_path)
    row = table.set_index("label").loc["Hernia"]
    assert row["not_judged"] == f"{row['positives']} positives" and 0 < row["positives"] < 10
    assert row[["auroc", "auprc", "sensitivity", "specificity", "f1"]].isna().all()
    assert (facts["classes"], facts["classes_judged"], facts["classes_not_judged"]) == (3, 2, ["Hernia"])
    assert facts["mean_f1"] == pytest.approx(table["f1"][:2].mean())


def test_a_class_without_positives_to_choose_on_has_no_threshold(tmp_path):
    val = World(90, 300)
    val.labels[:, 1] = np.where(np.isnan(val.labels[:, 1]), np.nan, 0)
    table, facts = run(tmp_path, val=val)
    row = table.set_index("label").loc["Effusion"]
    assert np.isnan(row["threshold"]) and np.isnan(row["f1"]) and np.isnan(row["sensitivity"])
    assert row["auroc"] > .6 and row["not_judged"] == "" and facts["classes_judged"] == 2
    assert facts["mean_f1"] == table["f1"][1]
    assert (tmp_path / "run" / "thresholds.csv").read_text().splitlines()[1] == "Effusion,"


def test_the_order_of_images_changes_nothing(tmp_path):
    test = World()
    order = np.random.default_rng(1).permutation(120)
    shuffled = World()
    for name in ("ids", "patients", "keys", "numbers"):
        setattr(shuffled, name, tuple(getattr(test, name)[i] for i in order))
    shuffled.labels = test.labels[order]
    (a, facts), (b, again) = run(tmp_path / "a", test=test), run(tmp_path / "b", test=shuffled)
    pd.testing.assert_frame_equal(a, b, rtol=1e-12)
    assert again["mean_auroc_low"] == pytest.approx(facts["mean_auroc_low"])


def test_what_it_leaves(tmp_path, capsys):
    target = Logits()
    target.trained_on = after(World(20, split=""))
    table, _ = run(tmp_path, target)
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} == {
        "thresholds.csv", "performance.csv", "predictions.csv.gz", "performance.png", "run.json", "versions.json",
        "reproduce.sh", "metrics.json"}
    assert max(folder.iterdir(), key=lambda p: p.stat().st_mtime_ns).name == "metrics.json"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["images_seen_in_training"] == 20 and metrics["images"] == 120 and metrics["patients"] == 40
    assert metrics["test_name"] == "tiny" and "published_mean_auroc" not in metrics
    kept = pd.read_csv(folder / "predictions.csv.gz")
    assert list(kept) == ["id", "patient", *CLASSES] and kept["id"].tolist() == list(World().ids)
    np.testing.assert_allclose(kept[list(CLASSES)], 1 / (1 + np.exp(-logits(range(120)))), rtol=1e-6)
    out = " ".join(capsys.readouterr().out.split())
    assert "20 of 120 images of tiny were training images" in out and "2 of 3 classes judged" in out
    assert f"{target.name} on tiny" in out and f"{table['auroc'].mean():.3f}" in out and "SYNTHETIC" in out


def test_the_second_time_no_image_is_read_and_the_files_are_the_same(tmp_path):
    run(tmp_path)
    files = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.name != "run.json"}
    target = Logits()
    run(tmp_path, target)
    assert target.passes == 0
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.name != "run.json"}
    assert gzip.decompress(files["predictions.csv.gz"]).startswith(b"id,patient,Effusion")


def test_the_shipped_option_on_the_phantom(tmp_path):
    cfg = config("task=performance", "task.val.limit=60", "task.test.limit=120", "task.test.boost=1")
    parts = {name: build(cfg, name) for name in ("target", "val", "test", "published")}
    out = RunFolder(tmp_path, choices={"target": "densenet121_nih14"})  # not true, but then the phantom is not NIH's
    _, facts = performance(**parts, cache=Cache(tmp_path / "cache"), batch_size=64, seed=0, out=out)
    assert facts["mean_auroc"] > .8 and facts["classes_judged"] >= 5 and facts["images_seen_in_training"] == 0
    assert facts["published_mean_auroc"] is None
    assert "0.806 over 14 classes and the 25,596 images of nih14/test; not comparable: here are 0" in facts[
        "published_note"]


# --- what was published ---------------------------------------------------------------------------------------------

def test_published_numbers_stand_beside_the_same_images(tmp_path, capsys):
    _, facts = run(tmp_path, published={"theirs": PUBLISHED, "others": {}})
    assert facts["published_mean_auroc"] == .806
    assert facts["published_note"] == ("They publish a mean AUROC of 0.806 over 2 classes and the 120 images of "
                                       "nih14/test")
    assert "0.806" in capsys.readouterr().out


@pytest.mark.parametrize("change, test, n, judged", [
    ({"images": 25596}, World(), "120 of these 25,596", 2), ({"split": "val"}, World(), "0 of these 120", 2),
    ({"dataset": "vindr"}, World(), "0 of these 120", 2), ({}, World(split="train"), "0 of these 120", 2),
    ({"classes": 14}, World(), "120 of these 120", 2), ({}, World(121), "121 of these 120", 2)])
def test_published_numbers_are_not_compared_with_anything_else(change, test, n, judged):
    found = beside({**PUBLISHED, **change}, test, {"classes_judged": judged})
    assert found["published_mean_auroc"] is None
    assert f"not comparable: here are {n} images and 2 classes judged" in found["published_note"]


def test_nothing_published_says_nothing(tmp_path):
    assert beside(None, World(), {}) == {}
    _, facts = run(tmp_path, published={"another option": PUBLISHED})
    assert not [name for name in facts if name.startswith("published")]


# --- what it refuses --------------------------------------------------------------------------------------------------

@pytest.mark.fault
def test_a_patient_in_validation_and_test_is_refused(tmp_path):
    with pytest.raises(BadInput, match="10 images are both in the validation set tiny .*task.val.split, task.t"):
        run(tmp_path, val=World(90, 110))
    val = World(90, 300)
    val.patients = ("p1", *val.patients[1:])
    with pytest.raises(BadInput, match="1 patients are both in"):
        run(tmp_path, val=val)
    assert not (tmp_path / "run").exists() and not (tmp_path / "cache").exists()


@pytest.mark.fault
def test_sets_without_these_labels_are_refused(tmp_path):
    other = World()
    other.label_names = ("melanoma", "effusions", "nevus")
    with pytest.raises(BadInput, match="task.test=tiny has a label for none of .* 3 .*effusions.*target.classes"):
        run(tmp_path, test=other)
    other.labels = None
    with pytest.raises(BadInput, match="task.val=tiny has no labels"):
        run(tmp_path, val=other, test=World(9, 900))


@pytest.mark.fault
def test_too_few_images_to_judge_anything_are_refused(tmp_path):
    with pytest.raises(BadInput, match="nothing can be judged; give more images to task.test"):
        run(tmp_path, test=World(9))


def test_labels_are_found_however_they_are_written():
    images = World(30)
    found = truth_of(images, ("Hernia", "Pleural_Thickening", "Fibrosis"), "task.test")
    np.testing.assert_array_equal(found[:, :2], images.labels[:, [2, 0]])
    assert np.isnan(found[:, 2]).all()
    table, facts = judge(logits(range(120)), truth_of(World(), ("Effusion", "Mass", "Fibrosis"), "t"), [.5] * 3,
                         ("Effusion", "Mass", "Fibrosis"), World().patients, 0)
    assert table["not_judged"].tolist() == ["", "no labels", "no labels"] and facts["classes_judged"] == 1
