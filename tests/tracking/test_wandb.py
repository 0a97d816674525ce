"""What W&B wrote, read back; and that a W&B that is absent, broken or slow does no harm."""
import getpass
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mammi import offline
from mammi.errors import BadInput, MissingAsset
from mammi.tracking.record import records
from mammi.tracking.send import has_key, which
from mammi.tracking.wandb_mirror import WandbMirror
from tests.tracking import offline_run
from tests.tracking.offline_run import IMAGE, METRICS, SECRETS, bytes_of, written

ROOT = Path(__file__).parents[2]
FAULTS = {"absent": ("raise ImportError('no wandb here')", "MissingAsset: wandb cannot be imported"),
          "broken": ("raise OSError('no space')", "OSError: no space"),
          "refusing": ("class Error(Exception): pass\n"
                       "class Settings:\n"
                       "    base_url, model_fields = '', type('All', (), {'__contains__': lambda *_: True})()\n"
                       "    def __init__(self, **_): pass\n"
                       "def init(**_): raise Error('not allowed.')", "BadInput: W&B: not allowed. Nothing is lost"),
          "other": ("class Settings:\n    base_url, model_fields = '', {}", "no setting x_disable_meta")}


@pytest.fixture(autouse=True)
def no_key(monkeypatch, tmp_path):
    for key in [key for key in os.environ if key.startswith("WANDB_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """A sweep of two runs, mirrored twice."""
    sweep = tmp_path_factory.mktemp("outputs") / "evening"
    runs = [offline_run.folder(sweep / str(i), mode="MULTIRUN") for i in range(2)]
    for _ in range(2):
        done = subprocess.run([sys.executable, "-m", "mammi", "mirror", str(sweep), "--tag=night", "--mode=offline"],
                              cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("wandb sync") == 2, done.stdout + done.stderr
    return runs


def parts(folder, kind):
    return [getattr(record, kind) for record in written(folder) if record.WhichOneof("record_type") == kind]


def test_what_was_written_is_the_run(mirrored):
    runs = [parts(folder, "run")[0] for folder in mirrored]
    assert len({run.run_id for run in runs}) == 2 and {run.run_group for run in runs} == {"evening"}
    run = runs[0]
    assert (run.project, run.job_type, list(run.tags)) == ("mammi", "annotate", ["real", "night"])
    assert run.display_name == "exam selection.alpha=0.9 concept_set=wordnet"
    config = {update.key: json.loads(update.value_json) for update in run.config.update}
    assert config["selection"] == {"alpha": .9} and config["choice"]["concept_set"] == "wordnet"
    summary = {update.key: json.loads(update.value_json) for part in parts(mirrored[0], "summary")
               for update in part.update if update.key}
    assert {key: summary[key] for key in ("hit", "hit_low", "n_neurons")} == {
        key: METRICS[key] for key in ("hit", "hit_low", "n_neurons")}


def test_the_table_and_the_files_are_there(mirrored):
    table, = (mirrored[0] / "wandb").glob("offline-run-*/files/media/table/*.json")
    table = json.loads(table.read_text())
    assert table["columns"] == ["neuron", "name", "status", "images_selected", "hit", "margin"]
    assert table["data"] == [[0, "Mass", "ok", 3, 1, .25], [1, "Edema", "ok", 2, 0, None]]
    artifacts = {artifact.type: artifact for artifact in parts(mirrored[0], "artifact")}
    contents = {entry.path: Path(entry.local_path) for entry in artifacts["annotate"].manifest.contents}
    assert set(contents) == {"annotations.csv", "metrics.json", "neurons.csv"}
    assert contents["annotations.csv"].read_bytes() == (mirrored[0] / "annotations.csv").read_bytes()


def test_nothing_else_is_there(mirrored):
    sent = bytes_of(mirrored[0])
    assert b"wordnet" in sent and [secret for secret in SECRETS if secret.encode() in sent] == []
    pictures = [path.name for path in (mirrored[0] / "wandb").rglob("*.png")]
    assert len(pictures) == 1 and pictures[0].startswith("scores")
    run, = parts(mirrored[0], "run")
    assert not run.host and not run.HasField("git")
    here = [name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 4]  # short ones stand in ids
    unasked = (*here, sys.executable, "requirements.txt", "wandb-metadata")
    assert [name for name in unasked if name.encode() in sent] == []


def test_all_of_it_lies_below_the_run(mirrored):
    assert {path.name for path in mirrored[0].parent.iterdir()} == {"0", "1"}
    assert len(list((mirrored[0] / "wandb").glob("offline-run-*"))) == 1, "the second takes the first one's place"


def test_images_true_sends_them(tmp_path, caplog):
    folder = offline_run.folder(tmp_path / "run")
    with caplog.at_level(logging.INFO):
        WandbMirror(images=True)(folder)
    assert "W&B, offline: wandb sync" in caplog.text
    assert IMAGE.encode() in bytes_of(folder)
    assert {path.name.split("_")[0] for path in (folder / "wandb").rglob("*.png")} == {"scores", "neurons", "unheard"}


@pytest.mark.fault
@pytest.mark.parametrize("fault", FAULTS)
def test_a_wandb_that_fails_costs_a_line(fault, tmp_path, monkeypatch, caplog):
    code, words = FAULTS[fault]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "wandb.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    folder = offline_run.folder(tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    WandbMirror()(folder)
    line, = caplog.messages
    assert words in line and f"python -m mammi mirror {folder}" in line and "Traceback" not in line
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.fault
@pytest.mark.parametrize("lost, words", [("run.json", "holds no run.json"), ("metrics.json", "no metrics.json")])
def test_a_folder_without_results_costs_a_line(lost, words, tmp_path, caplog):
    folder = offline_run.folder(tmp_path / "run")
    (folder / lost).unlink()
    WandbMirror()(folder)
    line, = caplog.messages
    assert words in line and "\n" not in line


@pytest.mark.fault
@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_is_said_to_be_none(name, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=f"there is no folder .*{name}"):
        records(tmp_path / name)


@pytest.mark.fault
def test_a_wandb_that_hangs_is_left(tmp_path, monkeypatch, caplog):
    (tmp_path / "wandb.py").write_text("import time\ntime.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    WandbMirror(timeout=1)(offline_run.folder(tmp_path / "run"))
    assert "not done within tracking.timeout=1 seconds" in caplog.text


@pytest.mark.fault
@pytest.mark.parametrize("environment, words", [
    ({"WANDB_MODE": "onlin"}, "WANDB_MODE=onlin"), ({"WANDB_API_KEY": "short"}, "WANDB_API_KEY invalid"),
    ({"WANDB_MODE": "online"}, "no key")])
def test_a_wandb_that_is_set_up_wrongly_costs_a_line(environment, words, tmp_path, monkeypatch, caplog):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    WandbMirror()(offline_run.folder(tmp_path / "run"))
    assert words in caplog.text and len(caplog.messages) == 1


def test_wandb_switched_off_stays_off(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = offline_run.folder(tmp_path / "run")
    with caplog.at_level(logging.INFO):
        WandbMirror()(folder)
    assert "WANDB_MODE=disabled" in caplog.text and not (folder / "wandb").exists()


@pytest.mark.parametrize("asked, told, key, mode", [
    (None, None, True, "online"), (None, None, False, "offline"), (None, "offline", True, "offline"),
    ("offline", "online", True, "offline"), ("online", "offline", True, "online")])
def test_which_mode(asked, told, key, mode):
    assert which(asked, told, key) == mode


@pytest.mark.fault
def test_online_without_a_key_does_not_ask_for_one():
    with pytest.raises(MissingAsset, match="WANDB_API_KEY"):
        which("online", None, False)


def test_keys_are_found_where_wandb_finds_them(tmp_path, monkeypatch):
    assert not has_key("https://wandb.invalid")
    (tmp_path / "netrc").write_text("machine wandb.invalid login user password k\n")
    (tmp_path / "netrc").chmod(0o600)
    assert has_key("https://wandb.invalid") and not has_key("https://other.invalid")
    (tmp_path / "netrc").write_text("machin")
    assert not has_key("https://wandb.invalid")
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert has_key("https://other.invalid")


def test_an_offline_run_mirrors_offline(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(offline, "_offline", True)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: called.append(command) or Done())
    WandbMirror(mode="online")(tmp_path)
    assert called[0][-1] == "--mode=offline"


class Done:
    def wait(self, timeout=None):
        return 0

    def kill(self):
        """There is nothing to end."""


@pytest.mark.fault
@pytest.mark.parametrize("option, words", [({"mode": "ofline"}, "tracking.mode=ofline.*offline"),
                                           ({"images": "yes"}, "tracking.images=yes"),
                                           ({"artifact": None}, "tracking.artifact"),
                                           ({"timeout": 0}, "tracking.timeout=0")])
def test_bad_options_stop_before_the_work(option, words):
    with pytest.raises(BadInput, match=words):
        WandbMirror(**option)


def test_a_sweep_under_offline_true(tmp_path):
    (tmp_path / "a.txt").write_text("effusion\nmass\n")
    command = [sys.executable, "run.py", "-m", "task=concepts", "concept_set=text_file", "offline=true", "seed=0,1",
               f"concept_set.path={tmp_path}/a.txt", f"paths.outputs={tmp_path}/out"]
    done = subprocess.run([*command, "tracking=wandb", "tracking.mode=online", "name=with"], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("W&B, offline") == 2, done.stdout + done.stderr
    folders = sorted((tmp_path / "out" / "with").glob("*/[01]"))
    runs = [parts(folder, "run")[0] for folder in folders]
    assert [run.display_name for run in runs] == ["with task=concepts concept_set=text_file seed=0",
                                                  "with task=concepts concept_set=text_file seed=1"]
    assert {run.run_group for run in runs} == {folders[0].parent.name} and len({run.run_id for run in runs}) == 2
    assert all(str(tmp_path / "a.txt").encode() not in bytes_of(folder) for folder in folders)


def test_without_tracking_nothing_of_wandb_is_imported():
    code = ("import sys, runpy; sys.argv = ['run.py', '--cfg', 'job'];\n"
            "try: runpy.run_path('run.py', run_name='__main__')\nexcept SystemExit: pass\n"
            "import mammi.__main__, mammi.tracking.wandb_mirror, mammi.tracking.record\n"
            "print('WANDB', 'wandb' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "WANDB False" in done.stdout, done.stderr
