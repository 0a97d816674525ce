"""What task=concepts leaves, on the tiny reports and on sets without reports."""
import csv
import json
from types import SimpleNamespace

import pytest

from mammi.cache import Cache
from mammi.concept_set.mimic_nouns import MimicNouns
from mammi.concept_set.report_nouns import ReportNouns
from mammi.concept_set.text_file import TextFile, packaged
from mammi.reports import captions
from mammi.run_folder import RunFolder
from mammi.task.concepts import ceilings, concepts
from tests import report_files as made


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def run(tmp_path, cache, capsys):
    def start(concept_set):
        out = RunFolder(tmp_path / "run", "concepts")
        (tmp_path / "run").mkdir(exist_ok=True)
        found, metrics = concepts(concept_set, cache, out)
        return SimpleNamespace(found=found, metrics=metrics, path=out.path, said=capsys.readouterr().out)
    return start


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_reports_become_files(tmp_path, run, cache):
    source = made.every_source(tmp_path)["r2gen"]
    concept_set = ReportNouns(source, min_count=1, noun_phrases=True, drop_negated=True)
    done = run(concept_set)
    table = rows(done.path / "concepts.csv")
    assert [row["word"] for row in table] == list(done.found.words)
    thickening = next(row for row in table if row["word"] == "pleural thickening")
    assert (thickening["document_frequency"], float(thickening["share"])) == ("2", 2 / 5)
    dropped = rows(done.path / "dropped.csv")
    assert {"word": "pneumothorax", "why": "only ever negated", "document_frequency": "2"} in dropped
    assert {row["word"] for row in dropped}.isdisjoint(done.found.words)
    counts = json.loads((done.path / "metrics.json").read_text())
    assert sum(counts["dropped"].values()) == len(dropped) and counts["concepts"] == len(table)
    assert (counts["reports"], counts["reports_without_text"]) == (5, 0)
    lines = (done.path / "captions.txt").read_text().splitlines()
    assert tuple(lines) == captions(concept_set.reports()) and lines.count("Pleural effusion.") == 1
    assert counts["captions"] == len(lines) == len(set(lines))
    assert (done.path / "frequency.png").read_bytes().startswith(b"\x89PNG")
    assert "only ever negated" in done.said and "5 reports" in done.said
    newest = max(done.path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert newest.name == "metrics.json"


def test_words_are_a_concept_set_again(tmp_path, run):
    done = run(ReportNouns(made.every_source(tmp_path)["lines"], min_count=1, noun_phrases=True))
    assert TextFile(done.path / "words.txt").load().words == done.found.words


def test_a_set_without_reports_says_so(tmp_path, run):
    (tmp_path / "own.csv").write_text("concept,category\nmass,finding\nlung,organ\n")
    done = run(TextFile(tmp_path / "own.csv"))
    assert [row["category"] for row in rows(done.path / "concepts.csv")] == ["finding", "organ"]
    assert not {"captions.txt", "dropped.csv", "frequency.png"} & {path.name for path in done.path.iterdir()}
    assert "come from no reports" in done.said and "reports" not in done.metrics
    assert "Of the 14 NIH labels among the words: 1 as they stand, 1 in the singular, 1 with synonyms. In no form: " \
           "Atelectasis, " in done.said


def test_a_stand_in_is_named(tmp_path, run):
    done = run(MimicNouns(stand_in=packaged("nih_labels.txt", "nih_labels", ""), stand_ins=True))
    assert "nih_labels (stand-in for mimic_nouns)" in done.said


def test_ceilings_by_hand():
    metrics, missing = ceilings(["effusions", "Mass", "infiltrate", "pleural effusion", "lung"])
    assert metrics["labels"] == 14
    assert (metrics["labels_in_set"], metrics["labels_in_set_lemma"]) == (1, 2)
    assert metrics["labels_in_set_synonym"] == 3 and metrics["hit_synonym_ceiling"] == 3 / 14
    assert "Effusion" in missing[""] and "Effusion" not in missing["_lemma"]
    assert "Infiltration" in missing["_lemma"] and "Infiltration" not in missing["_synonym"]
    assert len(missing["_synonym"]) == 11
    every, none = ceilings(packaged("nih_labels.txt", "", "").load().words)
    assert every["hit_ceiling"] == 1 and not any(none.values())
