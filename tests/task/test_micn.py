"""Med-MICN from images to files on a planted world: the sources of concepts, both modes, and what is refused."""
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from mammi.cache import Cache
from mammi.errors import BadInput, MissingAsset
from mammi.explainer.actmap import ActMap
from mammi.method.mammi import Mammi
from mammi.micn.alignment import placed, region
from mammi.probing_set.base import ProbingSet
from mammi.probing_set.subset import Subset
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.target.base import Tap, TorchTarget
from mammi.task import micn as task
from mammi.task.micn import micn
from mammi.task.micn_models import Problem
from mammi.types import Batch
from tests.tiny import TinyConcepts, TinyDissector, vector

CORNERS = ("upper left", "upper right", "lower left")
SIDE = 16
TRAINING = {"epochs": 12, "lr": 2e-2}


class Lights(ProbingSet):
    """Grey images of which each corner is lit or not; "ill" is upper left and not upper right, or lower left."""

    name, template, dataset = "lights", "", "lights"
    label_names = (*CORNERS, "ill")

    def __init__(self, n=90, seed=0, splits=True):
        rng = np.random.default_rng(seed)
        lit = rng.integers(0, 2, (n, 3))
        self.pixels = rng.integers(0, 60, (n, SIDE, SIDE), np.uint8)
        for image, row in zip(self.pixels, lit):
            for corner in np.flatnonzero(row):
                image[8 * (corner // 2):, 8 * (corner % 2):][:8, :8] += 150
        ill = (lit[:, 0] & ~lit[:, 1] & 1) | lit[:, 2]
        self.labels = np.c_[lit, ill].astype(np.float32)
        self.ids = self.patients = tuple(f"{seed}-{i}" for i in range(n))
        self.keys = tuple(f"{seed}-{i}".ljust(32, ".") for i in range(n))
        self.splits = tuple(np.repeat(("train", "val", "test"), (n - 2 * (n // 3), n // 3, n // 3))) if splits else ()

    def load(self, indices, masks=False):
        ids = tuple(self.ids[i] for i in indices)
        return Batch(tuple(Image.fromarray(self.pixels[i]) for i in indices), ids, ids)


class Grey:
    crop, mean = SIDE, (0,)

    def __call__(self, image):
        image = image if image.size == (SIDE, SIDE) else image.resize((SIDE, SIDE))
        return torch.from_numpy(np.array(image, np.float32))[None] / 255

    def __repr__(self):
        return "Grey()"


class Quarters(torch.nn.Module):
    """(B, 1, 16, 16) -> maps (B, 4, 2, 2): unit k shows the brightness of quarter k, and nothing elsewhere."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 8) * torch.eye(4).reshape(1, 4, 2, 2)


def quarters():
    """A target whose ``penultimate`` layer knows the quarters; ``3`` is the same without maps."""
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), Quarters(), torch.nn.AdaptiveAvgPool2d(1),
                                  torch.nn.Flatten(), torch.nn.Linear(4, 2))
    torch.nn.init.ones_(network[0].weight)
    return TorchTarget(network, Grey(), {"final": Tap(""), "penultimate": Tap("1")}, ("a", "b"), "4", name="quarters")


class Sees(TinyDissector):
    """Knows what each quarter shows: a lit one is its own word's vector, a dark one a vector of its own."""

    fingerprint = "sees-1"

    def patches(self, batch):
        out = []
        for image in batch.images:
            quarters = np.asarray(image).reshape(2, 8, 2, 8).mean((1, 3))
            rows = [vector(CORNERS[k] if k < 3 and quarters[k // 2, k % 2] > 100 else "dark", 32) for k in range(4)]
            out.append(np.reshape(rows, (2, 2, 32)))
        return np.stack(out).astype(np.float32)

    def embed_images(self, batch):
        rows = self.patches(batch).mean((1, 2))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_texts(self, texts):
        return np.stack([vector(text, 32) for text in texts])


def run(folder, images=None, **options):
    options = {"threshold": "otsu", "seeds": 2, "classes": {"well": "not ill", "ill": "ill"}, "words": list(CORNERS),
               "training": TRAINING, "explained": 12, "shown": 2, **options}
    parts = {"target": quarters(), "concept_set": TinyConcepts(CORNERS), "dissector": Sees(), "explainer": ActMap(),
             **{key: options.pop(key) for key in ("target", "dissector", "explainer") if key in options}}
    return micn(**parts, probing_set=images or Lights(240), selection=TopK(5), method=Mammi(),
                cache=Cache(folder / "cache"), batch_size=32, seed=0, out=RunFolder(folder / "run", "micn"), **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("micn")
    return run(folder), folder / "run"


def test_the_files_say_the_same_as_the_numbers(finished):
    (table, facts), folder = finished
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")}
    assert left >= {"metrics.json", "models.csv", "concepts.csv", "rules_global.csv", "rules_local.jsonl", "run.json",
                    "alignment.png", "alignment/0.png", "alignment/1.png"}
    assert "alignment/2.png" not in left
    told = json.loads((folder / "metrics.json").read_text())
    assert told["accuracy"] == facts["accuracy"] and told["images_test"] == 80 and told["seeds"] == 2
    assert len(table) == 8 and table["model"].iloc[-1] == "Med-MICN"
    what = dict(zip(table["model"], table["what"]))
    sizes = what["label-free CBM"].removeprefix("frozen features; kept ").split(" concepts")[0]
    assert what["random CBM"].startswith(f"frozen features; {sizes} random directions")  # of the same size
    assert what["label-free CBM, all"].startswith("frozen features; 3 concepts")
    assert what["random CBM, all"].startswith("frozen features; 3 random directions")
    lines = [json.loads(line) for line in (folder / "rules_local.jsonl").read_text().splitlines()]
    assert len(lines) == 80
    rules = pd.read_csv(folder / "rules_global.csv")
    local = [rule for line in lines for rule in line["rules"]]
    assert rules["images"].sum() == len(local) > 20
    assert all(rule["truth"] > .5 and rule["rule"].startswith(f"{rule['class']} <= ") for rule in local)
    assert {rule["rule"] for rule in local} == set(rules["rule"])
    classes = pd.read_csv(folder / "rules_classes.csv").set_index("class")
    for name, own in rules.groupby("class"):
        base = np.mean([line["class"] == name for line in lines])
        assert classes.loc[name, "base"] == pytest.approx(base) and np.allclose(own["base"], base)


def test_the_planted_world_is_learned(finished):
    (table, facts), folder = finished
    assert facts["accuracy"] > .8 and facts["concept_accuracy"] > .8
    assert facts["saliency_mass"] == facts["saliency_mass"] and 0 <= facts["saliency_mass"] <= 1
    concepts = pd.read_csv(folder / "concepts.csv")
    assert concepts["concept"].tolist() == list(CORNERS)
    assert (concepts["share_test"].between(.3, .7)).all()  # Otsu finds the lit ones
    assert facts["dropped"] == facts["leaking"] == 0


def test_experts_label_by_the_images_or_by_a_table(tmp_path):
    images = Lights(240)
    _, facts = run(tmp_path / "a", images, experts="images", baselines=False, explained=0)
    frame = pd.DataFrame(images.labels[:, :3].astype(int), columns=CORNERS)
    frame.insert(0, "file", [f"{i}.png" for i in images.ids])
    frame.to_csv(tmp_path / "expert.csv", index=False)
    _, same = run(tmp_path / "b", images, experts=tmp_path / "expert.csv", experts_image="file", baselines=False,
                  explained=0)
    assert facts.pop("seconds_training") and same.pop("seconds_training")
    assert facts == same and facts["concept_accuracy"] > .8


def test_the_words_of_a_finished_annotation_are_concepts(tmp_path):
    there = tmp_path / "annotation"
    there.mkdir()
    pd.DataFrame({"neuron": [0, 0, 3], "rank": [1, 2, 1], "concept": ["upper left", "cat", "lower left"]}).to_csv(
        there / "annotations.csv", index=False)
    (there / "metrics.json").write_text("{}")
    (there / "run.json").write_text(json.dumps({"names": {"target": "quarters", "layer": "penultimate"}}))
    run(tmp_path, run=str(there), words=None, baselines=False, explained=0)
    concepts = pd.read_csv(tmp_path / "run" / "concepts.csv")
    assert concepts["concept"].tolist() == ["upper left", "lower left"] and concepts["neurons"].tolist() == [1, 1]
    told = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert any("has no images.csv" in note for note in told)
    pd.DataFrame({"id": ["0-3", "0-170", "0-171", "x"], "patient": ["0-3", "0-170", "0-171", "0-239"]}).to_csv(
        there / "images.csv", index=False)
    run(tmp_path / "met", run=str(there), words=None, baselines=False, explained=0, seeds=1)
    told = json.loads((tmp_path / "met" / "run" / "run.json").read_text())["notes"]
    assert any(note.startswith("3 of 80 test images") for note in told)  # two, and one by its patient
    assert not any("val images, or" in note for note in told)
    with pytest.raises(BadInput, match="annotated penultimate of quarters"):
        other = quarters()
        other.name = "another"
        run(tmp_path, run=str(there), words=None, target=other, baselines=False, explained=0)


def test_mode_paper_does_what_was_published_and_says_so(tmp_path):
    table, facts = run(tmp_path, mode="paper", baselines=False, explained=0, seeds=1,
                       training={"epochs": 4, "lr": 2e-2})
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "run" / "rules_local.jsonl").read_text().splitlines()]
    assert facts["relevance"] == 1 and facts["rule_coverage"] > 0
    assert facts["rule_length"] == 3 and all(len(rule["literals"]) == 3 for line in lines for rule in line["rules"])
    assert about["head"]["temperature"] == 100 and about["training"]["shuffle"] is False
    assert about["training"]["patience"] is None and about["training"]["eval"] is False
    assert any("chosen on the test images" in note for note in about["notes"])
    exact = [all((score > .5) == (name == line["class"]) for name, score in line["scores"].items()) for line in lines]
    assert facts["accuracy_exact"] == pytest.approx(np.mean(exact))
    assert table["accuracy_exact"].tolist() == [facts["accuracy_exact"]]


def test_the_backbone_can_be_trained_along(tmp_path, monkeypatch):
    trained = kept(monkeypatch, Problem, "micn")
    one = quarters()
    before = {key: value.clone() for key, value in one.module.state_dict().items()}
    table, facts = run(tmp_path, target=one, finetune=True, seeds=2, training={"epochs": 3, "lr": 1e-2})
    assert not torch.equal(before["0.weight"], one.module.state_dict()["0.weight"])
    assert len(table) == 8 and 0 <= facts["accuracy"] <= 1 and facts["explained"] == 12
    told = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert any("are of quarters before it was trained along" in note for note in told)
    left = trained[0].module.state_dict()  # of the backbone that all seeds share, the first seed's
    assert all(torch.equal(value, left[key]) for key, value in trained[0].state.items())
    assert not torch.equal(trained[1].state["backbone.0.weight"], left["backbone.0.weight"])


def kept(monkeypatch, where, name):
    """A list that fills with what ``where.name`` returns."""
    found, inner = [], getattr(where, name)

    def outer(*args, **options):
        found.append(inner(*args, **options))
        return found[-1]

    monkeypatch.setattr(where, name, outer)
    return found


@pytest.mark.parametrize("changed", ["labels", "pixels"])
def test_nothing_that_is_learned_depends_on_the_test_images(changed, tmp_path, monkeypatch):
    trained, labels = kept(monkeypatch, Problem, "micn"), kept(monkeypatch, task, "concept_labels")
    for name in ("before", "after"):
        images = Lights(240)
        if name == "after":
            if changed == "labels":
                images.labels[160:, 3] = 1 - images.labels[160:, 3]
            else:
                images.pixels[160:] = 255 - images.pixels[160:]
                images.keys = tuple(key[::-1] if i >= 160 else key for i, key in enumerate(images.keys))
        run(tmp_path / name, images, seeds=1, baselines=False, explained=0, words=[*CORNERS, "dark", "cat"])
    (one, other), (before, after) = trained, labels
    assert (changed == "labels") == np.array_equal(one.scores, other.scores)  # the test images are others
    assert one.state.keys() == other.state.keys() and one.epochs == other.epochs
    assert all(torch.equal(value, other.state[key]) for key, value in one.state.items())
    assert np.array_equal(before.tau, after.tau)
    assert before.dropped == after.dropped and before.words == after.words


def test_saliency_is_measured_against_the_heat_maps_of_all_other_concepts(tmp_path, monkeypatch):
    found, images = kept(monkeypatch, task, "explanations"), Lights(240)
    _, facts = run(tmp_path, images, seeds=1, baselines=False, explained=6)
    means = []
    for one in found[0]:
        patches = Sees().patches(images.load([160 + one.position]))[0]
        shares = []
        for word in CORNERS[:one.concept] + CORNERS[one.concept + 1:]:
            heat = np.array([[patch @ vector(word, 32) for patch in row] for row in patches])
            there = region(placed(heat, one.size, one.box, one.of_concept.shape))
            shares.append(one.of_concept[there].sum() / one.of_concept.sum())
        means.append(np.mean(shares))
    assert len(shares) == 2 and facts["saliency_mass_other"] == pytest.approx(np.nanmean(means), abs=1e-5)


def test_the_same_seed_gives_the_same(tmp_path):
    one, other = (run(tmp_path / name, seeds=1, explained=4)[1] for name in "ab")
    assert {**one, "seconds_training": 0} == {**other, "seconds_training": 0}


# --- what is refused, or told --------------------------------------------------------------------------------------

@pytest.mark.fault
def test_a_class_without_examples_in_a_split(tmp_path):
    images = Lights(240)
    images.labels[np.array(images.splits) == "val", 3] = 0
    with pytest.raises(BadInput, match="ill: no image of that class in the val images"):
        run(tmp_path, images)


@pytest.mark.fault
def test_a_constant_concept_is_dropped_and_said(tmp_path):
    images = Lights(240)
    images.labels[:, 1] = 1
    _, facts = run(tmp_path, images, experts="images", baselines=False, explained=0)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["dropped"] == 1 and facts["concepts"] == 2 and about["words"] == ["upper left", "lower left"]
    assert any("dropped concepts: upper right (the same in all training images)" in note for note in about["notes"])


@pytest.mark.fault
def test_nothing_is_left_of_constant_concepts(tmp_path):
    with pytest.raises(BadInput, match="no concept is left of 3"):
        run(tmp_path, threshold="fixed", threshold_value=2)


@pytest.mark.fault
def test_more_concepts_than_images(tmp_path):
    with pytest.raises(BadInput, match="81 concepts for 80 training images"):
        run(tmp_path, words=[f"w{i}" for i in range(81)])


@pytest.mark.fault
def test_a_leaking_label_is_reported_dropped_or_refused(tmp_path):
    words = ["upper left", "lower left", "ill"]
    _, facts = run(tmp_path, experts="images", words=words, baselines=False, explained=0)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["leaking"] == 1 and abs(about["leaks"]["ill"][1]) == pytest.approx(1)
    assert any("the label of the concept ill is (nearly) that of the class" in note for note in about["notes"])
    _, facts = run(tmp_path / "b", experts="images", words=words, on_leak="drop", baselines=False, explained=0)
    assert facts["leaking"] == 0 and facts["concepts"] == 2
    with pytest.raises(BadInput, match="ill is well|ill is ill"):
        run(tmp_path / "c", experts="images", words=words, on_leak="error")


@pytest.mark.fault
def test_training_batches_of_one_class(tmp_path):
    """Of the first 40 training images all are ill: in the published order whole batches are."""
    images = Lights(240)
    order = np.argsort(-images.labels[:80, 3], kind="stable")
    images = Subset(images, np.r_[order, np.arange(80, 240)])
    images.splits = tuple(np.repeat(("train", "val", "test"), 80))
    _, facts = run(tmp_path, images, mode="paper", seeds=1, baselines=False, explained=0,
                   training={"epochs": 2, "lr": 1e-2, "batch_size": 8})
    assert 0 <= facts["accuracy"] <= 1


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [
    ({"mode": "papper"}, "paper"), ({"finetune": "yes"}, "true or false"), ({"head": {"temprature": 1}}, "temperature"),
    ({"training": {"lr": -1}}, "task.training.lr"), ({"training": {"shuffle": False}}, "no such option"),
    ({"on_leak": "ignore"}, "report"), ({"seeds": 0}, "task.seeds"), ({"lambda1": "x"}, "task.lambda1"),
    ({"shared_patients": "ok"}, "error or note"), ({"run": "x"}, "not both"),
    ({"words": ["a", "a"]}, "different words"),
    ({"experts": "images", "words": ["upper middle"]}, "upper"), ({"classes": {"a": "ill"}}, "at least two"),
    ({"layer": "3"}, "needs maps"), ({"threshold": "best"}, "quantile"),
    ({"train": Lights(30, 1)}, "both probing_set@task.train")])
def test_bad_options_teach(options, words, tmp_path):
    with pytest.raises(BadInput, match=words):
        run(tmp_path, **options)
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [
    ({"on_leak": "ignore"}, "report"), ({"threshold": "best"}, "quantile"), ({"threshold": "fixed"}, "needs a number"),
    ({"words": [f"w{i}" for i in range(81)]}, "81 concepts"), ({"experts": "images", "words": ["upper"]}, "no label"),
    ({"experts": "none.csv"}, "no such file"), ({"run": "RUN", "words": None}, "annotated final of another")])
def test_options_are_checked_before_the_work(options, words, tmp_path, monkeypatch):
    def work(*_, **__):
        raise AssertionError("the work began")

    for name in ("fit_dissector_in", "Problem", "concept_labels"):
        monkeypatch.setattr(task, name, work)
    pd.DataFrame({"neuron": [0], "rank": [1], "concept": ["upper left"]}).to_csv(
        tmp_path / "annotations.csv", index=False)
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "run.json").write_text(json.dumps({"names": {"target": "another", "layer": "final"}}))
    options = {key: str(tmp_path) if value == "RUN" else value for key, value in options.items()}
    fit = {"train": Lights(30, 7), "val": Lights(30, 8), "options": {}}
    with pytest.raises((BadInput, MissingAsset), match=words):
        run(tmp_path, fit=fit, **options)
    with pytest.raises(AssertionError, match="the work began"):
        run(tmp_path, fit=fit)


@pytest.mark.fault
def test_a_set_without_splits_or_with_shared_images(tmp_path):
    with pytest.raises(BadInput, match="no split 'train'"):
        run(tmp_path, Lights(240, splits=False))
    one = Lights(60, splits=False)
    with pytest.raises(BadInput, match="60 images are both in the train set"):
        run(tmp_path, Lights(60, 1), train=one, val=one)


@pytest.mark.fault
def test_patients_in_two_splits_are_refused_or_told(tmp_path):
    images = Lights(240)
    images.patients = tuple(f"p{i % 70}" for i in range(240))
    with pytest.raises(BadInput, match="patients are both"):
        run(tmp_path, images)
    run(tmp_path, images, shared_patients="note", baselines=False, explained=0, seeds=1)
    assert any("patients are both" in n for n in json.loads((tmp_path / "run" / "run.json").read_text())["notes"])


@pytest.mark.fault
def test_a_table_of_experts_that_does_not_fit(tmp_path):
    (tmp_path / "e.csv").write_text("file,upper left\n0-0.png,1\n")
    for words, told in ((["upper left"], "have no row"), (["upper right"], "no such column")):
        with pytest.raises(BadInput, match=told):
            run(tmp_path, experts=tmp_path / "e.csv", words=words)
    with pytest.raises(MissingAsset, match="no such file"):
        run(tmp_path, experts=tmp_path / "none.csv")
    with pytest.raises(MissingAsset, match="no finished annotation"):
        run(tmp_path, run=str(tmp_path), words=None)
