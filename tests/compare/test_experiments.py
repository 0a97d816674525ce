"""The experiments' parts agree, and one command leaves a whole comparison."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.utils import instantiate

from mammi.concept_set.text_file import packaged
from mammi.overlap import check_apart
from run import build, teach
from tests.probing_set.test_datasets import vindr  # noqa: F401
from tests.test_conf import config

ROOT = Path(__file__).parents[2]
REAL = {"mammo_dissect": ("abnormality", "density"), "skin_dissect": ("diagnosis",)}


@pytest.mark.parametrize("name, tuned", REAL.items())
def test_the_parts_of_a_real_experiment_agree(name, tuned):
    cfg = config(f"experiment={name}")
    assert set(cfg.task.models) - {"_convert_"} == {"general", *tuned, "random"}
    assert list(cfg.task.fit.models) == list(tuned) and cfg.task.models.random.weights is None
    for model in tuned:
        assert set(cfg.task.models[model].classes) <= set(cfg.probing_set.label_names)
        assert cfg.task.fit.models[model].class_weights is True
    for part in (cfg.task.train, cfg.task.val):
        assert (part.name, part.split_shares, part.split_seed) == (
            cfg.probing_set.name, cfg.probing_set.split_shares, cfg.probing_set.split_seed)
    assert cfg.task.train.split == "train" and cfg.task.val.split == "val" and "train" not in cfg.probing_set.split
    assert packaged(f"{cfg.concept_set.name}.csv", "", "").load().steps
    assert cfg.dissector.weights is None and cfg.task.fit.dissector.epochs


@pytest.mark.parametrize("name", REAL)
def test_no_patient_is_in_two_parts(name):
    if not os.environ.get("MAMMI_DATA"):
        pytest.skip("MAMMI_DATA is not set: the images of mini-MIAS and HAM10000 are not here")
    cfg = config(f"experiment={name}", f"paths.data={os.environ['MAMMI_DATA']}")
    images, train, val = instantiate(cfg.probing_set), instantiate(cfg.task.train), instantiate(cfg.task.val)
    check_apart(train, images, ("train", "probing"), ("", ""))
    check_apart(train, val, ("train", "val"), ("", ""))
    assert len(images) > 150 and cfg.task.top_k < len(images) / 10
    if name == "mammo_dissect":
        assert set(images.patients).isdisjoint(train.patients) and len(set(images.patients)) == len(images) / 2


@pytest.fixture
def no_data(monkeypatch):
    monkeypatch.delenv("MAMMI_DATA", raising=False)


@pytest.mark.fault
@pytest.mark.parametrize("name, part, lacks", [
    ("mammo_dissect_paper", "models", "paths.efficientnet_b5"),
    ("mammo_dissect_paper", "concept_set", "paths.mammo763"),
    ("mammo_dissect_paper", "dissector", "paths.mammo_clip"), ("mammo_dissect_paper", "probing_set", "paths.data"),
    ("mammo_dissect", "probing_set", "paths.data"), ("chest_dissect_paper", "dissector", "paths.medclip"),
    ("chest_dissect_paper", "models", "models.resnet50.weights|weights")])
def test_what_an_experiment_lacks_is_named(no_data, name, part, lacks):
    with pytest.raises(Exception) as error:  # noqa: PT011
        build(config(f"experiment={name}"), part)
    message = teach(error.value)
    assert "MissingAsset" in message and any(word in message for word in lacks.split("|"))


def test_the_authors_blocks_and_words(no_data):
    cfg = config("experiment=mammo_dissect_paper")
    assert [layer.rpartition(".")[2] for layer in cfg.task.layers] == ["2", "19", "38"]
    assert (cfg.task.top_k, cfg.task.a, cfg.task.lam) == (100, 10, 1) and cfg.probing_set.split == "test"
    assert cfg.task.train.split == "training" and cfg.task.reference == "domain"
    tuned = {name: len(cfg.task.models[name].classes) for name in cfg.task.fit.models}
    assert tuned == {"mass": 1, "calcification": 1, "density": 4, "cancer_birads": 5}
    assert cfg.task.train.labels_column == cfg.task.val.labels_column


def test_the_table_of_vindr_mammo_has_the_labels_of_all_four_classifiers(vindr):  # noqa: F811
    cfg = config("experiment=mammo_dissect_paper", f"paths.data={vindr}")
    images = instantiate(cfg.task.train)
    assert images.label_names == ("Architectural Distortion", "BI-RADS 1", "BI-RADS 5", "DENSITY B", "DENSITY C",
                                  "Mass", "Nipple Retraction")
    assert images.labels.tolist() == [[1, 0, 1, 0, 1, 1, 0], [0, 0, 1, 0, 1, 1, 1]]
    spelled = {name.rpartition(" ")[0] for model in ("density", "cancer_birads") for name in
               cfg.task.models[model].classes}
    assert spelled == {"DENSITY", "BI-RADS"} and {"BI-RADS 1", "DENSITY B"} <= set(
        instantiate(cfg.task.val).label_names)


@pytest.mark.slow
def test_one_command(tmp_path):
    command = [sys.executable, "run.py", "experiment=chest_dissect", "probing_set.limit=200", "task.top_k=15",
               "task.layers=[features.denseblock1, features.denseblock2, penultimate]", f"paths.outputs={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    metrics, = tmp_path.rglob("metrics.json")
    found = json.loads(metrics.read_text())
    assert found["layers"] == 3 and found["models"] == 3 and found["images"] == 200
    assert "other_seed less trained" in done.stdout and "synthetic" in done.stdout
