"""The forecast against what annotate then really computes, counted by the tiny world's models."""
import json

import numpy as np
import pytest

from mammi.cache import Cache
from mammi.evaluation.final_layer import FinalLayer
from mammi.gate.gate import Gate
from mammi.method.mammi import Mammi
from mammi.method.random import Random
from mammi.run_folder import RunFolder
from mammi.selection import Adaptive, All, TopK
from mammi.task import plan as module
from mammi.task import plan_sample
from mammi.task.annotate import annotate
from mammi.task.plan import plan
from mammi.task.plan_view import duration, size
from tests.tiny import ACTIVATIONS, DIMS, NEURONS, WORDS, TinyConcepts, TinyDissector, TinyScorer, TinySet, TinyTarget

METHODS = {"mammi": Mammi(on_nonpositive_max="top1"), "bare": Mammi(template=""), "random": Random(Mammi())}


class Counted(TinyTarget):
    """Counts the images it reads."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.images = []

    def read(self, batch, layers, maps=False):
        self.images += batch.ids
        return super().read(batch, layers, maps)


def world(root, n=5, selection=None, dissector=None, method="mammi"):
    return {"target": Counted(), "probing_set": TinySet(n), "concept_set": TinyConcepts(),
            "dissector": dissector or TinyDissector(), "selection": selection or Adaptive(.93),
            "method": METHODS[method], "cache": Cache(root / "cache"), "batch_size": 2}


def planned(root, **more):
    return plan(**world(root, **more), out=RunFolder(root / "plan", "plan"))


def done(root, **more):
    """{pass: rows that annotate computes}."""
    parts = world(root, **more)
    annotate(**parts, evaluation=FinalLayer(bootstrap=20), out=RunFolder(root / "run", "run"))
    return {"target": len(parts["target"].images), "dissector": len(parts["dissector"].images),
            "texts": len(parts["dissector"].texts)}


def counts(facts, key="compute"):
    return {name: step[key] for name, step in facts["passes"].items()}


def files(root):
    return sorted(p for p in (root / "cache").rglob("*") if p.suffix == ".npz")


@pytest.mark.parametrize("method", METHODS)
def test_all_that_is_known_beforehand_is_exact(method, tmp_path):
    facts = planned(tmp_path, method=method, selection=All())  # every image is needed: nothing is estimated
    assert not files(tmp_path)
    assert counts(facts) == done(tmp_path, method=method, selection=All())
    assert counts(planned(tmp_path, method=method, selection=All())) == dict.fromkeys(facts["passes"], 0)


def test_with_cached_activations_the_selection_is_exact(tmp_path):
    done(tmp_path, selection=TopK(1))   # images 3 and 0: the highest of two living neurons
    facts = planned(tmp_path, selection=TopK(3))
    step = facts["passes"]["dissector"]
    assert (step["compute"], step["least"], step["of"]) == (3, 3, 5) and step["basis"].startswith("exact")
    assert counts(facts) == done(tmp_path, selection=TopK(3))


def test_the_gate_s_images_and_texts_are_counted(tmp_path, capsys):
    """Beside five images and five prompts of the method: bare words, and no, left and right before each label."""
    gate, extra = Gate(permutations=100), len(WORDS) + 4 * len(NEURONS) - len(set(WORDS) & {n.lower() for n in NEURONS})
    facts = plan(**world(tmp_path, selection=All()), out=RunFolder(tmp_path / "plan"), gate=gate)
    assert counts(facts)["gate images"] == 5 and facts["passes"]["gate images"]["least"] == 0
    assert counts(facts)["gate texts"] == len(WORDS) + extra and "the gate: texts" in capsys.readouterr().out
    parts = world(tmp_path, selection=All())
    annotate(**parts, evaluation=FinalLayer(bootstrap=20), out=RunFolder(tmp_path / "run"), gate=gate)
    seen = {image for image in parts["dissector"].images if image.startswith("image")}  # beside the golden pictures
    assert len(seen) == 5 and len(set(parts["dissector"].texts)) >= len(WORDS) + extra
    again = plan(**world(tmp_path, selection=All()), out=RunFolder(tmp_path / "plan"), gate=gate)
    assert set(counts(again).values()) == {0} and "all is in the cache" in capsys.readouterr().out


def test_images_that_are_new_are_counted_alone(tmp_path):
    done(tmp_path, n=3)
    facts = planned(tmp_path, n=5)
    assert facts["passes"]["target"]["compute"] == 2 and facts["passes"]["texts"]["compute"] == 0
    assert done(tmp_path, n=5)["target"] == 2


@pytest.mark.parametrize("selection", [TopK(2), TopK(1), Adaptive(.93), All()])
def test_another_target_finds_the_dissectors_images_cached(selection, tmp_path):
    done(tmp_path, selection=All())
    parts = world(tmp_path, selection=selection) | {"target": Counted(ACTIVATIONS[::-1])}
    assert counts(plan(**parts, out=RunFolder(tmp_path / "plan"))) == {"target": 5, "dissector": 0, "texts": 0}


@pytest.mark.parametrize("selection, least, most", [(TopK(1), 1, 3), (TopK(2), 2, 5)])
def test_a_fixed_number_of_images_bounds_the_dissector(selection, least, most, tmp_path):
    step = planned(tmp_path, selection=selection)["passes"]["dissector"]
    assert (step["least"], step["compute"]) == (least, most)
    assert least <= done(tmp_path, selection=selection)["dissector"] <= most


def test_before_any_activation_the_sample_gives_a_range(tmp_path, monkeypatch):
    monkeypatch.setattr(plan_sample, "PATIENCE", 0)  # the first 4 of the spread alone: images 0, 1, 3, 4
    monkeypatch.setattr(plan_sample, "spread", lambda n, limit: np.array([0, 1, 3, 4]))
    facts = planned(tmp_path)
    # Adaptive on them: Effusion takes 3 (10.0; 9.2 is below 9.3), Mass takes 0 and 4 (3.0, 2.9 above 2.79).
    step = facts["passes"]["dissector"]
    assert (step["least"], step["compute"]) == (3, round(5 * 3 / 4)) and step["basis"] == (
        "an estimate: of 4 measured images 3 are selected")
    assert step["least"] <= done(tmp_path)["dissector"] <= step["compute"]


def test_a_dissector_that_only_scores(tmp_path):
    facts = planned(tmp_path, dissector=TinyScorer(), selection=All())
    assert counts(facts) == {"target": 5, "dissector": 5, "texts": 0} and facts["dimensions"] is None
    parts = world(tmp_path, dissector=TinyScorer(), selection=All())
    annotate(**parts, evaluation=FinalLayer(bootstrap=20), out=RunFolder(tmp_path / "run"))
    assert counts(planned(tmp_path, dissector=TinyScorer(), selection=All()))["target"] == 0


def test_bytes_are_those_of_the_rows(tmp_path):
    facts = planned(tmp_path, selection=All())
    n = len(NEURONS)
    assert counts(facts, "bytes") == {"target": 5 * (4 * n + 32), "dissector": 5 * (4 * DIMS + 32),
                                      "texts": (len(WORDS) + 1) * (4 * DIMS + 32)}
    assert facts["memory"]["arrays"] == {"activations": 5 * n * 4, "selected": 5 * n, "image embeddings": 5 * DIMS * 4,
                                         "scores": n * len(WORDS) * 4, "text embeddings": 5 * DIMS * 2 * 4}
    done(tmp_path, selection=All())
    written = sum(array.nbytes for path in files(tmp_path) for array in np.load(path).values())
    assert written == facts["disk"]["needed"]


def test_large_arrays_lie_in_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 100)
    memory = planned(tmp_path, selection=All())["memory"]
    assert memory["in_files"] == ["image embeddings"]  # 160 bytes; activations take 60, selected 15
    kept = sum(n for name, n in memory["arrays"].items() if name != "image embeddings")
    assert memory["total"] - kept == (memory["process"] or 0)


def test_what_is_printed_and_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plan_sample, "PATIENCE", 0)
    facts = planned(tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    for words in ("5 images (tiny), 3 neurons (tiny_target, final), 4 concepts (tiny_words)", "target reads images",
                  "Time: ", ", measured now on", "plan.json"):
        assert words in printed, words
    assert "Not enough disk" not in printed and "about under" not in printed
    assert json.loads((tmp_path / "plan" / "plan.json").read_text())["passes"] == facts["passes"]
    assert not (tmp_path / "plan" / "metrics.json").exists()  # a forecast is no run
    done(tmp_path)
    planned(tmp_path)
    assert "all is in the cache" in capsys.readouterr().out


@pytest.mark.fault
def test_a_full_disk_is_told_before_the_run(tmp_path, capsys, monkeypatch):
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage._replace(free=100))
    assert planned(tmp_path)["disk"]["suffices"] is False
    assert "Not enough disk" in capsys.readouterr().out


def test_units():
    assert [duration(s) for s in (0, .2, 89, 600, 7200)] == ["none", "under 1 s", "89 s", "10 min", "2.0 h"]
    assert [size(n) for n in (2048, 3 * 2**20, 2.5 * 2**30)] == ["2 KiB", "3 MiB", "2.5 GiB"]
