"""run.py as a user calls it, on the embedded default with fewer images."""
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FEW = "probing_set.limit=1000"
FILES = ("annotations.csv", "neurons.csv", "contributions.csv", "metrics.json", "run.json", "versions.json",
         "reproduce.sh", "neurons.png", "scores.png", ".hydra/config.yaml", "run.log")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


def command(outputs, *overrides):
    return [sys.executable, "run.py", *overrides, f"paths.outputs={outputs}"]


def environment():
    return {**{k: v for k, v in os.environ.items() if k != "MAMMI_DATA"}, "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}


def run(outputs, *overrides, fails=False):
    done = subprocess.run(command(outputs, *overrides), cwd=ROOT, capture_output=True, text=True, env=environment())
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done


def newest(outputs, name="run"):
    return max((p.parent for p in (outputs / name).rglob("metrics.json")), key=lambda p: p.stat().st_mtime)


def test_the_default_leaves_everything_it_promises(outputs):
    done = run(outputs, FEW)
    folder = newest(outputs)
    assert [f for f in FILES if not (folder / f).exists()] == []
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["n_neurons"] == 14 and 0 <= metrics["hit_low"] <= metrics["hit"] <= metrics["hit_high"] <= 1
    assert metrics["hit"] <= metrics["hit_ceiling"]
    assert metrics["cos_minilm_note"], "the dissector's own text tower must be named"
    assert metrics["cos_mpnet"] is None and metrics["cos_mpnet_note"]
    assert metrics["cos_clip"] is None and metrics["cos_clip_note"]
    about = json.loads((folder / "run.json").read_text())
    assert about["synthetic"] is True and about["seed"] == 0 and about["images"] == 1000
    neurons = pd.read_csv(folder / "neurons.csv")
    assert len(neurons) == 14 and {"images_selected", "purity", "hit", "f1", "margin", "runner_up"} <= set(neurons)
    parts = pd.read_csv(folder / "contributions.csv").groupby("neuron").part.mean()
    first = pd.read_csv(folder / "annotations.csv").query("rank == 1").set_index("neuron").score
    assert (parts - first[parts.index]).abs().max() < 1e-5
    assert Image.open(folder / "neurons.png").size[0] > 800
    assert "SYNTHETIC" in done.stdout and "Atelectasis" in done.stdout


def test_reproduce_sh_gives_the_same_annotations(outputs):
    folder = newest(outputs)
    line = (folder / "reproduce.sh").read_text().splitlines()[-1]
    words = shlex.split(line)
    assert words[:2] == ["python", "run.py"]
    subprocess.run([sys.executable, *words[1:]], cwd=ROOT, check=True, capture_output=True, env=environment())
    again = newest(outputs)
    assert again != folder
    for name in ("annotations.csv", "neurons.csv", "contributions.csv"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_another_alpha_or_word_list_embeds_nothing_twice(outputs):
    files = set((outputs / "cache").rglob("*.npz"))
    run(outputs, FEW, "selection.alpha=0.95", "concept_set=nih_labels")
    new = {f.relative_to(outputs / "cache").parts[0] for f in set((outputs / "cache").rglob("*.npz")) - files}
    assert new <= {"sentences"}, "fewer images and the same target: nothing to embed again"


def test_penultimate_layer_has_no_right_names(outputs):
    run(outputs, FEW, "target.layer=penultimate", "name=penultimate")
    metrics = json.loads((newest(outputs, "penultimate") / "metrics.json").read_text())
    assert metrics["n_neurons"] > 100 and "hit" not in metrics and metrics["unique_top1"] >= 1


def test_sweep_with_a_stand_in_and_its_table(outputs):
    run(outputs, "-m", FEW, "name=sweep", "concept_set=mimic_nouns,nih_labels")
    subprocess.run([sys.executable, "-m", "mammi", "report", str(outputs / "sweep")], cwd=ROOT, check=True)
    report = (outputs / "sweep" / "report.md").read_text()
    assert "openi_nouns (stand-in for mimic_nouns)" in report and "nih_labels" in report and "synthetic" in report
    rows = [json.loads(p.read_text()) for p in sorted((outputs / "sweep").rglob("metrics.json"))]
    assert {r["concept_set_name"] for r in rows} == {"openi_nouns (stand-in for mimic_nouns)", "nih_labels"}


def test_planted_units_are_named_and_noise_is_not(outputs):
    for name, overrides in (("oracle", []), ("noise", ["target.oracle=false", "target.random=18"]),
                            ("words", ["method=random"])):
        run(outputs, "target=planted", "probing_set.n=2000", f"name={name}", *overrides)
    oracle, noise, words = (json.loads((newest(outputs, n) / "metrics.json").read_text())
                            for n in ("oracle", "noise", "words"))
    assert oracle["hit_synonym"] >= 0.85
    assert words["hit_synonym_low"] <= noise["hit_synonym"] <= words["hit_synonym_high"]


@pytest.mark.parametrize("overrides, words", [
    (["concept_set=openi_noun"], "openi_nouns"), (["selection.alfa=0.9"], "alfa"), (["experiment=tabel1"], "tabel1"),
    (["selection.alpha=93"], "0.93"), (["method.beta=1.5"], "0.95"), (["target.layer=penultimat"], "penultimate"),
    (["target.layer=penultimate", "target.activation=prob"], "final"),
    (["target.weights=nowhere.safetensors"], "nowhere"),
    (["concept_set=text_file", "concept_set.path=/nowhere/words.txt"], "/nowhere/words.txt"),
    (["concept_set=mimic_nouns", "profile.stand_ins=false"], "paths.data"),
    (["probing_set=image_folder"], "probing_set.root"), (["probing_set=nih14"], "MAMMI_DATA"),
    (["dissector.seed=7"], "seed7"), (["seed=abc"], "seed=abc"), (["batch_size=0"], "batch_size=0"),
    (["offline=maybe"], "offline=maybe: expected true or false"),
    (["device=foo"], "device=foo"), (["probing_set.n=1.5"], "probing_set.n=1.5"),
    (["+target.foo=1"], "'foo'. Next: conf/")])
def test_errors_teach_and_leave_no_results(outputs, overrides, words):
    done = run(outputs, FEW, "name=bad", *overrides, fails=True)
    message = done.stderr + done.stdout
    assert words in message and "Traceback" not in message
    assert not list((outputs / "bad").rglob("*.csv"))


@pytest.mark.fault
@pytest.mark.parametrize("many", [[], ["-m", "seed=0,1"]])
@pytest.mark.parametrize("folder", ["file", "file/below", "null"])
def test_outputs_that_cannot_be_written_are_told_in_one_line(tmp_path, many, folder):
    (tmp_path / "file").touch()
    done = subprocess.run([sys.executable, ROOT / "run.py", *many, f"paths.outputs={folder}"], cwd=tmp_path,
                          capture_output=True, text=True, env=environment())
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said and said.strip().count("\n") == 0
    assert "BadInput: paths.outputs=" in said and "cannot be used" in said and "paths.outputs=FOLDER" in said
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.fault
def test_an_offline_run_asks_no_hub_and_says_so(outputs):
    run(outputs, FEW, "offline=true", "paths.mpnet=nobody/nothing", "concept_set=nih_labels", "name=offline")
    metrics = json.loads((newest(outputs, "offline") / "metrics.json").read_text())
    assert metrics["cos_mpnet"] is None and "offline=true" in metrics["cos_mpnet_note"]
    assert metrics["cos_minilm"] is not None


@pytest.mark.fault
def test_an_offline_run_refuses_a_download(outputs):
    done = run(outputs, FEW, "offline=true", "concept_set=mimic_nouns", "concept_set.download=true", "name=bad",
               fails=True)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "offline=true: something asked for raw.githubusercontent.com:https" in said


def test_interrupted_run_goes_on(tmp_path):
    some = ("probing_set.limit=3000", "concept_set=nih_labels")
    # A shell that starts tests in the background lets them ignore Ctrl-C; the run must not inherit that.
    process = subprocess.Popen(command(tmp_path, *some), cwd=ROOT, env=environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.monotonic() + 120
    while not list((tmp_path / "cache").rglob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "Interrupted" in output and "Traceback" not in output, output
    first = next((tmp_path / "cache").rglob("*.npz"))
    assert not list(tmp_path.rglob("*.part.*")) and not list(tmp_path.rglob("metrics.json"))
    keys, rows = shard(first)
    np.savez(first, keys=keys, rows=rows + 100)  # to know them again
    run(tmp_path, *some)
    found = [row for path in first.parent.glob("*.npz") for key, row in zip(*shard(path)) if key == keys[0]]
    assert len(found) == 1 and np.array_equal(found[0], rows[0] + 100), "it was computed once more"


def shard(path):
    with np.load(path) as file:
        return file["keys"], file["rows"]
