"""The whole comparison in a planted world: what was planted is found, what is noise stays within the null's level."""
import json
import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from mammi.cache import Cache
from mammi.dissector.base import Dissector
from mammi.errors import BadInput
from mammi.evaluation.final_layer import FinalLayer
from mammi.files import digest
from mammi.method.clip_dissect import ClipDissect
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.task.annotate import annotate
from mammi.task.compare import compare
from mammi.types import Concepts
from tests.task.test_fit_dissector import CORNERS, Corners
from tests.task.test_fit_dissector import dissector as fresh_dissector
from tests.task.test_study import FIT, Grey
from tests.task.test_study import target as small_network
from tests.tiny import TinyConcepts, TinySet, TinyTarget

IMAGES, NOISE = 240, 60
EVERYDAY = tuple(f"thing {i}" for i in range(50))
WORDS = ("mass", "cyst", "nodule", "edema", "fibrosis", "effusion", "tube", *EVERYDAY)
BEFORE, AFTER = ("mass", "cyst", "nodule", "edema"), ("mass", "cyst", "fibrosis", "effusion")
TRUTH = np.random.default_rng(0).random((IMAGES, len(WORDS))) < .15


class Words(TinyConcepts):
    name = "few_words"

    def load(self, cache):
        clinical = [word not in EVERYDAY for word in WORDS]
        return Concepts("few_words", WORDS, tuple("finding" if c else "everyday" for c in clinical), "made up",
                        {"duplicate": 2}, steps=tuple("characterise" if c else "control" for c in clinical))


class Seeing(Dissector):
    """Sees which concepts are in an image, and some noise."""

    name, fingerprint = "seeing", "seeing-1"

    def embed_images(self, batch):
        rows = [int(i.removeprefix("image")) for i in batch.ids]
        noise = np.random.default_rng(1).normal(0, .25, (IMAGES, len(WORDS)))
        return (TRUTH + noise)[rows].astype(np.float32)

    def embed_texts(self, texts):
        return np.eye(len(WORDS), dtype=np.float32)[[WORDS.index(text) for text in texts]]


class Blind(Seeing):
    name, fingerprint = "blind", "blind-1"


class Pairs(TinySet):
    """Two images of each patient."""

    def __init__(self, n=IMAGES, first=0):
        super().__init__(n, first)
        self.patients = tuple(f"p{i // 2}" for i in self.numbers)


def target(names, seed, noise=NOISE):
    rng = np.random.default_rng(seed)
    planted = TRUTH[:, [WORDS.index(name) for name in names]] + rng.random((IMAGES, len(names)))
    return TinyTarget(np.concatenate([planted, rng.normal(size=(IMAGES, noise))], 1))


def run(folder, cache, models=None, **more):
    models = {"before": target(BEFORE, 1), "after": target(AFTER, 2)} if models is None else models
    options = {"runs": None, "layers": "all", "reference": None, "train": None, "val": None,
               "fit": {"models": {}, "dissector": None},
               "probing_set": Pairs(), "concept_set": Words(), "dissector": Seeing(), "top_k": 15, "a": 10, "lam": 1,
               "null_units": 1000, "resamples": 200, "batch_size": 64, "seed": 0, **more}
    return compare(models, cache=Cache(cache), out=RunFolder(folder, "compare"), **options)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    return folder / "run", *run(folder / "run", folder / "cache")


def test_gains_losses_and_missing_concepts_are_found(done):
    folder, _, metrics = done
    units = pd.read_csv(folder / "units.csv")
    for model, names in (("before", BEFORE), ("after", AFTER)):
        own = units[units["model"] == model].iloc[:len(names)]
        assert own["concept"].tolist() == list(names) and own["above_permutation"].all()
    changes = pd.read_csv(folder / "changes.csv")
    changes = changes[changes["threshold"] == "permutation"].set_index("concept")
    assert (changes.loc[["fibrosis", "effusion"], "change"] == "gained").all()
    assert (changes.loc[["nodule", "edema"], "change"] == "lost").all()
    assert (changes.loc[["mass", "cyst"], "change"] == "kept").all()
    missing = pd.read_csv(folder / "missing.csv")
    said = set(units.loc[units["above_permutation"], "concept"])
    assert set(missing.loc[missing["missing_permutation"], "concept"]) == set(WORDS) - said
    assert metrics["missing_permutation"] == len(set(WORDS) - said) and not said & set(missing.loc[
        missing["missing_permutation"], "concept"])


def test_false_ones_are_bounded_by_the_null(done):
    """Of 200 units of noise a twentieth passes; half of them would by the official threshold."""
    folder, _, _ = done
    units = pd.read_csv(folder / "units.csv")
    noise = units[units["unit"] >= len(BEFORE)]
    assert len(noise) == 2 * NOISE
    assert noise["above_permutation"].sum() <= binom.ppf(.999, 2 * NOISE, .05)
    assert noise["above_official"].sum() > 2 * binom.ppf(.999, 2 * NOISE, .05)
    delta = pd.read_csv(folder / "delta.csv")
    delta = delta[(delta["layer"] == "all layers") & (delta["threshold"] == "permutation")]
    false = delta[delta["level"] == "category"].set_index("category").loc["everyday"]
    assert false["gained"] <= false["gained_chance_high"] and false["lost"] <= false["lost_chance_high"]


def test_what_is_left_in_the_folder(done):
    folder, comparison, metrics = done
    names = {path.name for path in folder.iterdir()}
    assert names >= {f"{name}.csv" for name in ("layers", "coverage", "delta", "changes", "missing", "workflow",
                                                "units")}
    assert names >= {f"{name}.{kind}" for name in ("similarity", "clinical", "categories") for kind in ("png", "pdf")}
    about = json.loads((folder / "run.json").read_text())
    assert about["synthetic"] is True and about["names"]["reference"] == "before"
    assert about["concepts_dropped"] == {"duplicate": 2}
    left = json.loads((folder / "metrics.json").read_text())
    assert left["patients"] == IMAGES // 2 and left["units_before"] == NOISE + 4 and left["images"] == IMAGES
    assert left["clinical_share_permutation_after_low"] <= left["clinical_share_permutation_after"] <= 1
    assert comparison.reference == "before" and metrics["models"] == 2


def test_a_second_run_is_the_same_and_reads_no_image(done, tmp_path):
    folder, _, _ = done
    images = Pairs()
    run(tmp_path / "again", folder.parent / "cache", probing_set=images)
    assert images.loaded == []
    for name in ("layers", "coverage", "delta", "units"):
        assert (tmp_path / "again" / f"{name}.csv").read_bytes() == (folder / f"{name}.csv").read_bytes()
    for name in ("similarity.png", "clinical.pdf", "categories.png"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def annotated(folder, cache, model, probing_set=None, dissector=None, method="clip_dissect"):
    with patch("mammi.task.annotate.neuron_picture"), patch("mammi.task.annotate.score_plot"):  # they take seconds
        annotate(model, probing_set or Pairs(), Words(), dissector or Seeing(), TopK(5), ClipDissect(top_k=15),
                 FinalLayer(bootstrap=50), Cache(cache), 64, RunFolder(folder, "run", {"method": method}))
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [annotated(folder / name, folder / "cache", target(names, seed))
            for name, names, seed in (("before", BEFORE, 1), ("after", AFTER, 2))]


def test_finished_runs_give_the_same_words_and_the_official_threshold(done, runs, tmp_path):
    _, read, _ = done
    comparison, metrics = run(tmp_path / "run", tmp_path / "cache", models={},
                              runs={"before": [runs[0]], "after": [runs[1]]})
    assert comparison.thresholds == ("official",)
    for one, other in zip(read.layers, comparison.layers):
        assert one.top.tolist() == other.top.tolist()
        np.testing.assert_allclose(one.score, other.score)
    assert comparison.official[0] == pytest.approx(read.official[0])
    assert "above_permutation_before" not in metrics and metrics["patients"] is None
    notes = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert any("no permutation null" in note for note in notes)
    listed, _ = run(tmp_path / "list", tmp_path / "cache", models={}, runs=runs)
    assert listed.models == ("tiny_target", "tiny_target 2")


@pytest.mark.fault
def test_runs_that_cannot_be_compared(runs, tmp_path):
    def refused(said, other):
        with pytest.raises(BadInput, match=said):
            run(tmp_path / "run", tmp_path / "cache", models={}, runs=[runs[0], other])
        assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())

    after, cache = target(AFTER, 2), tmp_path / "cache"
    refused("was read on 240 images and .* on 200, 200 of them the same",
            annotated(tmp_path / "fewer", cache, after, Pairs(200)))
    refused("dissector is seeing and blind; one dissector must", annotated(tmp_path / "b", cache, after, None, Blind()))
    table = tmp_path / "b"
    about = json.loads((table / "run.json").read_text())
    (table / "run.json").write_text(json.dumps(about | {"choices": {"method": "mammi"}}))
    refused("is of method=mammi: models are compared by method=clip_dissect", str(table))
    (table / "run.json").write_text(json.dumps(about))
    boosted = Pairs()  # as a phantom with another boost: the same names, other pictures
    boosted.keys = tuple(digest("other", key) for key in boosted.keys)
    refused("images of the same names, but 240 of 240 show other things",
            annotated(tmp_path / "o", cache, after, boosted))
    renamed = Pairs()
    renamed.name = "other"
    refused("probing_set is tiny and other; all models must have been read on the same images",
            annotated(tmp_path / "r", cache, after, renamed))
    images = (table / "images.csv").read_text().splitlines()
    (table / "images.csv").write_text("\n".join([*images, images[1]]) + "\n")
    refused("1 image ids are there more than once", str(table))
    refused("there is no folder", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="task.runs and task.models: give one of them"):
        run(tmp_path / "run", cache, runs=runs)

    class Nine(Words):
        def load(self, cache):
            found = super().load(cache)
            return Concepts("nine", WORDS[1:], found.categories[1:])

    with pytest.raises(BadInput, match="1 of its words are in no category of the concept set here .mass."):
        run(tmp_path / "run", cache, models={}, runs=runs, concept_set=Nine())


def copied(runs, folder, **config):
    """Copies of two runs that keep a config each: {key: (one's, the other's)}, ``a__b`` for a.b."""
    found = []
    for i, run_folder in enumerate(runs):
        there = Path(shutil.copytree(run_folder, folder / f"copy{i}"))
        (there / ".hydra").mkdir()
        text = {}
        for key, values in config.items():
            group, option = key.split("__")
            text.setdefault(group, {})[option] = values[i]
        (there / ".hydra" / "config.yaml").write_text(json.dumps(text))
        found.append(str(there))
    return found


@pytest.mark.fault
@pytest.mark.parametrize("config, said", [
    ({"target__reducer": ("mean", "max")}, "target.reducer differs: .*mean.*max.*are different units"),
    ({"probing_set__boost": (0., .5)}, "probing_set.boost is 0.0 and 0.5; all models must"),
    ({"probing_set__template": ("A", "B")}, "probing_set.template is A and B")])
def test_runs_of_other_settings(config, said, runs, tmp_path):
    with pytest.raises(BadInput, match=said):
        run(tmp_path / "run", tmp_path / "cache", models={}, runs=copied(runs, tmp_path, **config))


def test_runs_that_differ_in_places_alone_or_have_no_keys(runs, tmp_path):
    copies = copied(runs, tmp_path, target__reducer=("max", "max"), probing_set__root=("here", "there"),
                    probing_set__memo=("a", "b"))
    path = Path(copies[1]) / "images.csv"
    pd.read_csv(path).drop(columns="key").to_csv(path, index=False)
    run(tmp_path / "run", tmp_path / "cache", models={}, runs=copies)
    notes = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert [("copy1" in note, "by their names alone" in note) for note in notes if "no keys" in note] == [(True, True)]


def test_one_living_unit_has_a_word_and_is_told(tmp_path):
    models = {"one": target(("edema",), 1, noise=0), "other": target(("cyst",), 2, noise=0)}
    comparison, _ = run(tmp_path / "run", tmp_path / "cache", models)
    assert [WORDS[layer.top[0]] for layer in comparison.layers] == ["edema", "cyst"]  # all scores are 0 with lam=1
    assert all(layer.score[0] != 0 and layer.score[0] > layer.limits(0)["permutation"] for layer in comparison.layers)
    notes = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert sum("one living unit, scored with lam=0" in note for note in notes) == 2
    assert not any("log N" in note for note in notes)


def test_saturated_layers_are_told(tmp_path):
    saturated = {"before": target(BEFORE, 1, noise=4), "after": target(AFTER, 2, noise=4)}

    def said(**options):
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        comparison, _ = run(folder, tmp_path / "cache", saturated, **options)
        notes = json.loads((folder / "run.json").read_text())["notes"]
        shares = {layer.model: np.mean([score > np.log(len(layer.units)) - 1e-6 for score in layer.score])
                  for layer in comparison.layers}
        return [note for note in notes if "highest score there is" in note], shares

    notes, shares = said(a=10)
    assert min(shares.values()) > .2 and len(notes) == 1
    most = max(shares, key=shares.get)
    assert notes[0].startswith("2 of 2 layers") and f"most: {most}, final, {shares[most]:.0%}" in notes[0]
    assert "lower task.a than 10" in notes[0]
    notes, shares = said(a=1)
    assert max(shares.values()) == 0 and not notes
    assert not said(a=10, lam=.5)[0]


@pytest.mark.fault
@pytest.mark.parametrize("options, said", [
    ({"top_k": IMAGES}, "task.top_k=240 of 240 images: with all of them"),
    ({"null_units": 100}, "task.null_units=100: expected a whole number of at least 1000"),
    ({"resamples": 1}, "task.resamples=1"),
    ({"concept_set": TinyConcepts()}, "concept_set tiny_words has no categories"),
    ({"models": {"one": target(BEFORE, 1)}}, "two models or more"),
    ({"reference": "befor"}, "Did you mean before"),
    ({"layers": ["penultimate"]}, "tiny_target has no layer penultimate"),
    ({"fit": {"models": {"befor": {}}, "dissector": None}}, "task.fit.models.befor: no model is called that"),
    ({"fit": {"models": {"before": {}}, "dissector": None}}, "task.fit needs images with labels")])
def test_bad_options_are_told_before_the_work(tmp_path, options, said):
    images = Pairs()
    with pytest.raises(BadInput, match=said):
        run(tmp_path / "run", tmp_path / "cache", **{"probing_set": images, **options})
    assert images.loaded == [] and not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.fault
def test_an_image_that_is_there_twice_is_refused(tmp_path):
    images = Pairs(10)
    images.ids = (*images.ids[:9], images.ids[0])
    with pytest.raises(BadInput, match=r"tiny: 1 image ids are there more than once \(image0\)"):
        run(tmp_path / "run", tmp_path / "cache", probing_set=images)


@pytest.mark.fault
def test_a_world_where_no_patient_can_move(tmp_path):
    images = Pairs()
    images.patients = tuple("one" if i < 100 else "other" for i in range(IMAGES))
    with pytest.raises(BadInput, match="none can be exchanged for the permutation null"):
        run(tmp_path / "run", tmp_path / "cache", probing_set=images)


def test_two_checkpoints_of_one_architecture_never_share_a_cache_entry(tmp_path):
    """The authors' scripts read the activations of one model under the name of another."""
    from mammi.target.phantom import PhantomTarget

    cache, layer = Cache(tmp_path), "features.denseblock1"
    from mammi.evidence import Evidence

    read, names = {}, {}
    images = Textured()
    for weights in ("target_seed0.safetensors", "target_seed1.safetensors", None):
        model = PhantomTarget(weights)
        read[weights] = Evidence(model, images, None, Seeing(), None, cache).read([layer])[layer]
        names[weights] = model.fingerprint(layer)
    values = list(read.values())
    assert len(set(names.values())) == 3
    assert not any(np.allclose(a, b) for i, a in enumerate(values) for b in values[i + 1:])
    again = Evidence(PhantomTarget("target_seed1.safetensors"), Textured(), None, Seeing(), None, cache)
    np.testing.assert_array_equal(again.read([layer])[layer], read["target_seed1.safetensors"])
    assert again.images.loaded == []
    maximum = PhantomTarget("target_seed1.safetensors", reducer="max")
    assert maximum.fingerprint(layer) not in names.values()


class Textured(TinySet):
    """Images that a network can tell apart."""

    def __init__(self):
        super().__init__(12)
        self.keys = tuple(digest("textured", i) for i in range(12))

    def load(self, indices, masks=False):
        from dataclasses import replace

        from PIL import Image

        batch = super().load(indices, masks)
        images = tuple(Image.fromarray(np.random.default_rng(int(i)).integers(0, 255, (96, 96), np.uint8))
                       for i in indices)
        return replace(batch, images=images)


@pytest.mark.fault
def test_a_mean_is_not_compared_with_a_maximum(tmp_path):
    from mammi.target.phantom import PhantomTarget

    with pytest.raises(BadInput, match="target.reducer differs"):
        run(tmp_path / "run", tmp_path / "cache", models={"a": PhantomTarget(), "b": PhantomTarget(reducer="max")})


class Small(Grey):
    """Takes images of any size, as real transforms do."""

    def __call__(self, image):
        return super().__call__(image.resize((32, 32)))


def fine_tuned(folder, probing_set, **more):
    """Two targets of one beginning, the second fine-tuned, and a fitted dissector."""

    class Corner(TinyConcepts):
        def load(self, cache):
            return Concepts("corners", (*CORNERS, "cat"), ("corner",) * 4 + ("control",))

    models = {"general": small_network(0), "tuned": small_network(0)}
    for model in models.values():
        model.transform = Small()
    return run(folder / "run", folder / "cache", models,
               fit={"models": {"tuned": FIT["target"] | {"class_weights": True}}, "dissector": FIT["dissector"]},
               train=Corners(96), val=Corners(64, 1), probing_set=probing_set, concept_set=Corner(),
               dissector=fresh_dissector(), layers=["0", "final"], **more)


def test_fine_tuning_before_the_comparison(tmp_path, monkeypatch):
    comparison, _ = fine_tuned(tmp_path, Corners(120, 2))
    card = json.loads((tmp_path / "run" / "tuned_card.json").read_text())
    assert card["options"]["class_weights"] is True and card["validation_auroc_mean"] > .9
    cards = {path.name for path in (tmp_path / "run").glob("*_card.json")}
    assert cards == {"tuned_card.json", "dissector_card.json"}
    notes = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert "tuned: the target was fine-tuned on corners, 96 images" in notes
    units = comparison.units()
    first, last = (units[units["layer"] == layer].groupby("model")["score"].apply(list) for layer in ("0", "final"))
    assert first["general"] == first["tuned"] and last["general"] != last["tuned"]  # pooling has no weights
    own = units[(units["model"] == "tuned") & (units["layer"] == "final")]
    assert own["concept"].tolist() == list(CORNERS)
    for name in ("fit_target", "fit_dissector"):  # the second time nothing is fitted
        monkeypatch.setattr(f"mammi.task.fitted.{name}", None)
    fine_tuned(tmp_path, Corners(120, 2))


@pytest.mark.fault
def test_training_images_are_not_probed(tmp_path):
    with pytest.raises(BadInput, match="both in the training set corners and in the probing set"):
        fine_tuned(tmp_path, Corners(96))


@pytest.mark.slow
def test_the_planted_pair_of_the_phantom(tmp_path):
    """As experiment=planted_pair, on fewer images: the comparison, with a fitted dissector."""
    from mammi.concept_set.text_file import packaged
    from mammi.dissector.locked_text import LockedText
    from mammi.probing_set.phantom import Phantom
    from mammi.target.planted import Planted
    from run import build
    from tests.test_conf import config

    cfg = config("experiment=planted_pair")
    names = {name: list(cfg.task.models[name].names) for name in ("before", "after")}
    dissector = build(cfg, "dissector")
    assert isinstance(dissector, LockedText)
    run(tmp_path / "run", tmp_path / "cache", {name: Planted(own, random=60) for name, own in names.items()},
        probing_set=Phantom(1500, 2, boost=.5), concept_set=packaged("phantom_terms.csv", "phantom_terms", ""),
        dissector=dissector, top_k=50, a=3)
    changes = pd.read_csv(tmp_path / "run" / "changes.csv")
    changes = changes[changes["threshold"] == "permutation"].set_index("concept")["change"].to_dict()
    gained, lost = set(names["after"]) - set(names["before"]), set(names["before"]) - set(names["after"])
    assert sum(changes.get(word) == "gained" for word in gained) >= 2
    assert sum(changes.get(word) == "lost" for word in lost) >= 2
    units = pd.read_csv(tmp_path / "run" / "units.csv")
    assert units.loc[units["unit"] >= 10, "above_permutation"].sum() <= binom.ppf(.999, 120, .05)
