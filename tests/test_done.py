"""What counts as the same content, and which results are taken."""
import json
import os

import pytest

from mammi import done
from mammi.cache import Cache
from mammi.evaluation.final_layer import FinalLayer
from mammi.method.mammi import Mammi
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.task.annotate import annotate
from tests.tiny import ACTIVATIONS, TinyConcepts, TinyDissector, TinySet, TinyTarget


class Job:
    """An annotation of the tiny world in a folder of its own; ``passes`` counts what it had to compute."""

    def __init__(self, root, name, settings, skip=True, **parts):
        self.folder = root / name
        self.folder.mkdir()
        self.target, self.dissector = parts.get("target") or TinyTarget(), parts.get("dissector") or TinyDissector()
        out = RunFolder(self.folder, name, {"method": "mammi"}, [f"name={name}"], 0, settings, root if skip else None)
        annotate(self.target, parts.get("images") or TinySet(), TinyConcepts(*parts.get("words", ())), self.dissector,
                 TopK(2), Mammi(), FinalLayer(bootstrap=20), Cache(root / f"cache of {name}"), 2, out)

    @property
    def passes(self):
        return self.target.passes + len(self.dissector.images) + len(self.dissector.texts)

    @property
    def about(self):
        return json.loads((self.folder / "run.json").read_text())


@pytest.fixture
def first(tmp_path):
    job = Job(tmp_path, "first", {"seed": 0})
    assert job.passes and "copied_from" not in job.about
    return job


def test_the_same_content_is_copied_under_the_name_of_the_new_job(tmp_path, first):
    (first.folder / ".hydra").mkdir()
    (first.folder / ".hydra" / "config.yaml").write_text("seed: 0")
    (first.folder / "run.log").write_text("of the first")
    job = Job(tmp_path, "second", {"seed": 0})
    assert job.passes == 0
    assert job.about == first.about | {"name": "second", "overrides": ["name=second"],
                                       "copied_from": str(first.folder)}
    of_the_first = {".hydra", "run.log"}
    assert {path.name for path in job.folder.iterdir()} == {path.name for path in first.folder.iterdir()} - of_the_first
    third = Job(tmp_path, "third", {"seed": 0})
    assert third.passes == 0 and third.about["copied_from"] == str(first.folder), "where the numbers were computed"


def test_without_the_wish_everything_is_computed(tmp_path, first):
    assert Job(tmp_path, "second", {"seed": 0}, skip=False).passes == first.passes


@pytest.mark.parametrize("settings, parts", [
    ({"seed": 1}, {}), ({"seed": 0}, {"target": TinyTarget(ACTIVATIONS + 1)}),
    ({"seed": 0}, {"target": TinyTarget(layer="penultimate")}), ({"seed": 0}, {"images": TinySet(4)}),
    ({"seed": 0}, {"words": [("edema", "mass")]})], ids=["settings", "weights", "layer", "images", "words"])
def test_another_content_is_computed(tmp_path, first, settings, parts):
    assert Job(tmp_path, "second", settings, **parts).passes


def test_another_dissector_other_labels_or_other_code_is_another_content(monkeypatch):
    def content():
        return done.content({}, TinyTarget(), images, TinyConcepts().load(None), dissector)

    images, dissector = TinySet(), TinyDissector()
    one = content()
    assert one == content() and done.content(None, None, None, None, None) is None
    dissector.fingerprint = "tiny-dissector-2"
    two = content()
    images.labels = 1 - images.labels
    three = content()
    monkeypatch.setattr(done, "code", lambda targets: {"mammi.evidence": "changed"})
    assert len({one, two, three, content()}) == 4


def test_a_file_that_settings_name_counts_by_what_it_is(tmp_path):
    def content():
        return done.content({"method": {"captions": [str(tmp_path / "captions.txt")]}}, TinyTarget(), TinySet(),
                            TinyConcepts().load(None), TinyDissector())

    absent = content()
    (tmp_path / "captions.txt").write_text("a mass")
    there = content()
    os.utime(tmp_path / "captions.txt", ns=(1, 1))
    assert len({absent, there, content()}) == 3


@pytest.mark.fault
@pytest.mark.parametrize("name, text", [("metrics.json", "{"), ("metrics.json", None), ("run.json", "[]"),
                                        ("neurons.csv", "what"), ("annotations.csv", None)])
def test_a_damaged_or_unfinished_result_is_not_taken(tmp_path, first, name, text):
    path = first.folder / name
    path.unlink() if text is None else path.write_text(text)
    job = Job(tmp_path, "second", {"seed": 0})
    assert job.passes and "copied_from" not in job.about
    assert json.loads((job.folder / "metrics.json").read_text())


def test_a_result_in_the_job_s_own_folder_stays(tmp_path, first):
    before = (first.folder / "run.json").read_bytes()
    done.take(first.folder, RunFolder(first.folder, "again"))
    assert (first.folder / "run.json").read_bytes() == before
