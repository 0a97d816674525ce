"""What may leave the machine, and that nothing else does."""
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammi.errors import BadInput
from mammi.tracking.config import plain, sendable
from mammi.tracking.record import COLUMNS, records
from tests.tracking import offline_run
from tests.tracking.offline_run import IMAGE, PATIENT, SECRETS


def everything(record):
    """All bytes of a record but its folder; pictures by name and content."""
    pictures = b"".join(name.encode() + path.read_bytes() for name, path in record.pictures.items())
    return repr(record[1:-1]).encode() + b"".join(record.files.values()) + pictures


def test_a_record_holds_the_run(tmp_path):
    record, = records(offline_run.folder(tmp_path / "exam" / "run"))
    assert record.name == "exam selection.alpha=0.9 concept_set=wordnet"
    assert (record.job_type, record.kind, record.group) == ("annotate", "real", None)
    assert record.notes == "Real images.\nconcept_set: wordnet (stand-in for mimic_nouns)"
    assert record.summary == {"hit": .5, "hit_low": .1, "hit_high": .9, "n_neurons": 2, "images": 5, "seconds": 1.5}
    assert json.loads(record.files["metrics.json"]) == record.summary
    assert record.table == (["neuron", "name", "status", "images_selected", "hit", "margin"],
                            [[0, "Mass", "ok", 3, 1, .25], [1, "Edema", "ok", 2, 0, None]])
    assert record.files["annotations.csv"] == (record.folder / "annotations.csv").read_bytes()
    assert list(record.pictures) == ["scores"]


def test_the_config_is_sent_without_paths_and_lists(tmp_path):
    record, = records(offline_run.folder(tmp_path / "run"))
    assert record.config == {"name": "exam", "seed": 3, "selection": {"alpha": .9}, "data": "real",
                             "method": {"beta": .95, "template": "An image of a"}, "probing_set": {"split": "test"},
                             "target": {"layer": "final", "seed": 3},
                             "choice": {"task": "annotate", "concept_set": "wordnet", "method": "mammi"},
                             "names": {"target": "net", "concept_set": "wordnet (stand-in for mimic_nouns)"}}


def test_no_patient_image_path_or_person_is_in_it(tmp_path):
    record, = records(offline_run.folder(tmp_path / "run"))
    sent = everything(record)
    assert [secret for secret in SECRETS if secret.encode() in sent] == []


def of_task(folder, task):
    about = json.loads((folder / "run.json").read_text())
    about["choices"]["task"] = task
    (folder / "run.json").write_text(json.dumps(about))


def test_of_med_micn_the_tables_of_models_concepts_and_rules_go(tmp_path):
    folder = offline_run.folder(tmp_path / "run")
    of_task(folder, "micn")
    (folder / "models.csv").write_text(f"model,accuracy,accuracy_low,file\nMed-MICN,.8,.7,{IMAGE}\n")
    (folder / "rules_global.csv").write_text("class,rule,images\nill,ill <= mass and not edema,3\n")
    (folder / "rules_local.jsonl").write_text(json.dumps({"id": IMAGE}))
    record, = records(folder)
    assert record.tables["models"] == (["model", "accuracy", "accuracy_low"], [["Med-MICN", .8, .7]])
    assert record.files["rules_global.csv"] == b"class,rule,images\nill,ill <= mass and not edema,3\n"
    assert "rules_local.jsonl" not in record.files and IMAGE.encode() not in everything(record)


def test_images_true_adds_what_shows_or_names_images(tmp_path):
    record, = records(offline_run.folder(tmp_path / "run"), images=True)
    assert set(record.pictures) == {"scores", "neurons", "unheard_of"}
    assert {"images.csv", "contributions.csv"} <= set(record.files) and "pivotal_image" in record.table[0]
    sent = everything(record)
    assert IMAGE.encode() in sent and PATIENT.encode() in sent
    assert "reproduce.sh" not in record.files and "paths" not in record.config


def test_a_comparison_sends_its_tables_and_figures(tmp_path):
    folder = offline_run.folder(tmp_path / "run")
    of_task(folder, "compare")
    for name in ("neurons.csv", "annotations.csv"):
        (folder / name).unlink()
    for name in ("layers", "coverage", "delta", "changes", "workflow"):
        (folder / f"{name}.csv").write_text("model,threshold,units\ngeneral,permutation,3\n")
    (folder / "missing.csv").write_text("\n")  # nothing is missing
    (folder / "units.csv").write_text("model,unit\ngeneral,0\n")
    for name in ("similarity", "clinical", "categories"):
        (folder / f"{name}.png").write_bytes(b"curves")
    record, = records(folder)
    assert set(record.tables) == {"layers", "coverage", "delta", "changes", "workflow"} and record.table is None
    assert record.tables["delta"] == (["model", "threshold", "units"], [["general", "permutation", 3]])
    assert record.files["delta.csv"] == (folder / "delta.csv").read_bytes() and "units.csv" not in record.files
    assert {"similarity", "clinical", "categories"} <= set(record.pictures)
    sent = everything(record)
    assert [secret for secret in SECRETS if secret.encode() in sent] == []


def test_of_explanations_the_units_means_go_and_images_only_on_wish(tmp_path):
    folder = offline_run.folder(tmp_path / "run")
    of_task(folder, "explain")
    (folder / "neurons.csv").unlink()
    (folder / "explain_units.csv").write_text(f"explainer,name,mass,strange\nrise,Mass,.25,{IMAGE}\n")
    (folder / "explain_metrics.csv").write_text(f"image,mass\n{IMAGE},.25\n")
    (folder / "explain.png").write_bytes(b"pixels")
    record, = records(folder)
    assert record.tables["explain_units"] == (["explainer", "name", "mass"], [["rise", "Mass", .25]])
    assert "explain_units.csv" in record.files and IMAGE.encode() not in everything(record)
    assert "explain" not in record.pictures and "explain_metrics.csv" not in record.files
    record, = records(folder, images=True)
    assert "explain" in record.pictures and IMAGE.encode() in record.files["explain_metrics.csv"]


def test_a_sweep_is_a_group_and_a_study_one_of_its_parts(tmp_path):
    for i in range(2):
        offline_run.folder(tmp_path / "evening" / str(i), mode="MULTIRUN")
    found = records(tmp_path)
    assert [record.group for record in found] == ["evening"] * 2 and len({record.key for record in found}) == 2
    study = offline_run.folder(tmp_path / "study")
    part = offline_run.folder(study / "twin")
    for file in (part / ".hydra").iterdir():
        file.unlink()
    (part / ".hydra").rmdir()
    groups = {record.folder.name: record.group for record in records(study)}
    assert groups == {"study": None, "twin": "study"}
    assert records(part)[0].config["selection"] == {"alpha": .9}, "a study's parts share its config"


def test_the_key_is_that_of_the_run_not_of_the_moment(tmp_path):
    path = offline_run.folder(tmp_path / "run")
    assert records(path)[0].key == records(path)[0].key


def test_synthetic_images_are_called_so(tmp_path):
    record, = records(offline_run.folder(tmp_path / "run", synthetic=True))
    assert record.kind == "synthetic" and record.notes.startswith("Synthetic images")


@pytest.mark.parametrize("text", ["final", "A chest x-ray image of a", "0.93",
                                  "wordfreq (stand-in for CLIP-Dissect's)"])
def test_plain_texts_may_leave(text):
    assert plain(text)


@pytest.mark.parametrize("text", ["/data/x", "data/x", "C:\\x", "~", "words.txt", "net.safetensors", "${paths.data}",
                                  "me@there", r"^(\d+)_", "[a]", "two\nlines"])
def test_what_looks_like_a_path_or_a_pattern_stays(text):
    assert not plain(text)


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text()),
                    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["layer", "root", "a"]), inner),
                    max_leaves=12))
def test_whatever_the_config_holds_only_numbers_and_plain_texts_of_listed_keys_leave(value):
    config = {"method": {"x": value}, "probing_set": {"root": value, "csv": value}, "paths": {"data": value}}
    for key, sent in sendable(config).items():
        assert isinstance(sent, (bool, int, float)) or key.startswith("method.") and plain(sent)
        assert not key.startswith("paths")


@pytest.mark.parametrize("column", ["pivotal_image", "caption", "image", "patient", "hit_by/x", "cosy id", "id"])
def test_columns_that_are_not_listed_stay(column):
    assert not COLUMNS.fullmatch(column)


@pytest.mark.fault
@pytest.mark.parametrize("file, text, words", [
    ("neurons.csv", "neuron,name\n0\n", "neurons.csv is damaged"),
    (".hydra/config.yaml", "a: [", "config.yaml is damaged"),
    (".hydra/config.yaml", "- a", "config.yaml is damaged"),
    ("metrics.json", "{", "no finished run")])
def test_damaged_files_are_named(tmp_path, file, text, words):
    path = offline_run.folder(tmp_path / "run")
    (path / file).write_text(text)
    with pytest.raises(BadInput, match=words):
        records(path)


def test_the_gate_s_verdict_goes_in_a_word_of_its_own_alone(tmp_path):
    folder = offline_run.folder(tmp_path / "run")
    metrics = json.loads((folder / "metrics.json").read_text())
    for said, sent in (("verified", "verified"), ("not checked", "not checked"), ("Miss Doe has a mass", None)):
        (folder / "metrics.json").write_text(json.dumps(metrics | {"gate": said}))
        record, = records(folder)
        assert record.summary.get("gate") == sent and b"Doe" not in everything(record)
