"""Sweeps that survive: failing jobs are listed, finished ones are not run again, every table of the paper composes."""
import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

import run
from mammi.errors import BadInput, MissingAsset
from mammi.sweep import fail, summary
from tests.test_run import command, environment

ROOT = Path(__file__).parents[1]
FEW = ("probing_set.limit=60", "concept_set=nih_labels")


@pytest.fixture(autouse=True)
def own_logging():
    """Hydra sets up the logging of each run in this process, too."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def call(monkeypatch, outputs, *words):
    """What ``python run.py WORDS`` exits with, in this process; None where all went well."""
    GlobalHydra.instance().clear()
    where = ("--config-path", str(ROOT / "conf"))
    monkeypatch.setattr(sys, "argv", ["run.py", *where, *words, f"paths.outputs={outputs}"])
    try:
        run.main()
    except SystemExit as end:
        return end.code
    return None


def jobs(outputs, name):
    """Folders of the last sweep below ``name``, by number."""
    last = max((outputs / name).iterdir())
    return sorted((folder for folder in last.iterdir() if folder.name.isdigit()), key=lambda folder: int(folder.name))


# --- failing jobs -----------------------------------------------------------------------------------------------------

def task(seed, out):
    """Stands for a task: seed 0 finishes, the others fail in their own ways."""
    if seed == 1:
        raise MissingAsset("no weights here.\nNext: give some\n\nno images")
    if seed == 2:
        raise BadInput("no images")
    if seed == 3:
        len(seed)
    out.json("metrics.json", {"seed": seed})


@pytest.mark.fault
def test_failing_jobs_leave_the_others_alone_and_are_listed(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(run, "get_method", lambda path: task)
    told = call(monkeypatch, tmp_path, "-m", "name=some", "batch_size=8", "seed=1,2,3,0")
    folders = jobs(tmp_path, "some")
    assert [(folder / "metrics.json").is_file() for folder in folders] == [False, False, False, True]
    assert [(folder / "failed.txt").is_file() for folder in folders] == [True, True, True, False]
    head, *lines = told.strip().splitlines()
    assert head.startswith("3 of 4 jobs failed") and "skip_done=true" in head
    assert lines == ["  #0 seed=1", "  #1 seed=2", "  #2 seed=3", "#0: no weights here. Next: give some",
                     "#0, #1: no images", "#2: a bug: TypeError: object of type 'int' has no len()"]
    assert (folders[0] / "failed.txt").read_text() == "MissingAsset: no weights here.\nNext: give some\n\nno images\n"
    bug = (folders[2] / "failed.txt").read_text()
    assert "Traceback (most recent call last)" in bug and "len(seed)" in bug
    assert "BadInput: no images" in capsys.readouterr().err, "each is told when it happens, too"


@pytest.mark.fault
def test_one_run_that_fails_says_so_as_before_and_keeps_the_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "get_method", lambda path: task)
    assert call(monkeypatch, tmp_path, "name=one", "seed=2") == "\nBadInput: no images"
    assert [path.read_text() for path in tmp_path.rglob("failed.txt")] == ["BadInput: no images\n"]
    assert call(monkeypatch, tmp_path, "name=bug", "seed=3") == 1
    assert call(monkeypatch, tmp_path, "-m", "name=fine", "seed=0") is None


@pytest.mark.fault
def test_a_job_that_goes_well_at_last_has_no_reason_any_more(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "get_method", lambda path: task)
    same = f"hydra.sweep.dir={tmp_path / 'same'}"
    assert "1 of 1 jobs failed" in call(monkeypatch, tmp_path, "-m", same, "seed=1")
    assert call(monkeypatch, tmp_path, "-m", same, "seed=0") is None


@pytest.mark.fault
def test_a_long_story_of_a_bug_is_one_line_of_the_list(tmp_path):
    try:
        raise RuntimeError("two\n\nparagraphs " + 500 * "and more ")
    except RuntimeError as error:
        fail(tmp_path, error)
    lines = summary([(["seed=0"], tmp_path)]).splitlines()
    assert lines[1] == "  #0 seed=0", "the only job is told by all of its overrides"
    assert len(lines) == 3 and lines[2].startswith("#0: a bug: RuntimeError: two paragraphs") and len(lines[2]) < 330
    assert summary([(["seed=0"], tmp_path / "other")]) == ""


@pytest.mark.fault
def test_a_paper_table_without_files_says_what_lacks_each_once(monkeypatch, tmp_path):
    monkeypatch.delenv("MAMMI_DATA", raising=False)
    told = call(monkeypatch, tmp_path, "experiment=table3", "profile=paper")
    assert [line.split()[1] for line in told.splitlines() if line.startswith("  #")] == [
        "dissector=cxr_repair", "dissector=medklip", "dissector=medclip"]
    reasons = [line for line in told.splitlines() if line.startswith("#")]
    assert any(line.startswith("#0: ") and "paths.cxr_repair" in line for line in reasons)
    assert any(line.startswith("#1: ") and "medklip" in line for line in reasons)
    assert any(line.startswith("#0, #1, #2: ") and "paths.target_weights" in line for line in reasons)
    assert any(line.startswith("#2: ") and "paths.medclip" in line for line in reasons)
    assert len({line.split(": ", 1)[1] for line in reasons}) == len(reasons) and "Traceback" not in told


# --- finished jobs ----------------------------------------------------------------------------------------------------

@pytest.mark.fault
@pytest.mark.parametrize("words, says", [(["skip_done=maybe"], "skip_done=maybe: expected true or false"),
                                         (["skip_done=true", "task=layers"], "skip_done=true is for task=annotate")])
def test_what_cannot_be_skipped(monkeypatch, tmp_path, words, says):
    assert says in call(monkeypatch, tmp_path, *words)


def test_a_second_table_does_no_forward_pass_and_no_matching(monkeypatch, tmp_path):
    table = ("experiment=table1", "seed=0", *FEW)
    assert call(monkeypatch, tmp_path, *table) is None
    for what in ("target.base.TorchTarget.read", "dissector.locked_text.LockedText.embed_images",
                 "text_encoder.SentenceEncoder.embed"):
        monkeypatch.setattr(f"mammi.{what}", None)
    assert call(monkeypatch, tmp_path, *table) is None, "all images and texts are in the cache"
    first = jobs(tmp_path, "table1")
    monkeypatch.setattr("mammi.evidence.Evidence.match", None)
    assert call(monkeypatch, tmp_path, *table, "skip_done=true", "batch_size=7") is None
    second = jobs(tmp_path, "table1")
    assert first != second and len(first) == len(second) == 1
    for name in ("metrics.json", "annotations.csv", "neurons.csv", "contributions.csv", "images.csv"):
        assert (first[0] / name).read_bytes() == (second[0] / name).read_bytes()
    found = json.loads((second[0] / "run.json").read_text())
    assert "batch_size=7" in found["overrides"] and Path(found["copied_from"]).is_dir()
    assert found["choices"]["experiment"] == "table1" and (second[0] / ".hydra").is_dir()
    assert call(monkeypatch, tmp_path, *table, "skip_done=true", "selection.alpha=0.9"), "another content is run"


def test_a_killed_sweep_goes_on_where_it_was(tmp_path):
    some = ("-m", "name=killed", "method=mammi,random", "evaluation.bootstrap=20", *FEW)
    process = subprocess.Popen(command(tmp_path, *some), cwd=ROOT, env=environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("metrics.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "skip_done=true" in output and "Traceback" not in output, output
    assert len(list(tmp_path.rglob("metrics.json"))) == 1 and not list(tmp_path.rglob("failed.txt"))
    subprocess.run(command(tmp_path, *some, "skip_done=true"), cwd=ROOT, env=environment(), check=True)
    found = [json.loads((folder / "run.json").read_text()) for folder in jobs(tmp_path, "killed")]
    assert ["copied_from" in one for one in found] == [True, False]


# --- the paper's tables -----------------------------------------------------------------------------------------------

EXPERIMENTS = {  # {name: (jobs on the phantom, jobs of the paper)}
    "table1": (9, 3), "table2": (12, 4), "table3": (9, 3), "table4": (6, 2), "table5": (9, 3), "figure2a": (33, 11),
    "figure2b": (6, 2), "leaderboard_www": (15, 5)}


def rows(*overrides):
    """[{key: value}] of the jobs that a sweeping experiment makes, after each of them is composed."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
        assert cfg.hydra.mode.name == "MULTIRUN"
        words = [f"{key}={value}" for key, value in cfg.hydra.sweeper.params.items()]
        parsed = OverridesParser.create().parse_overrides([*words, *overrides])
        return [dict(word.split("=", 1) for word in job) for job in BasicSweeper.split_arguments(parsed, None)[0]]


@pytest.mark.parametrize("name", [*EXPERIMENTS, "leaderboard"])
@pytest.mark.parametrize("profile", ["phantom", "paper"])
def test_every_experiment_has_its_rows(name, profile):
    found = rows(f"experiment={name}", f"profile={profile}")
    seeds, methods = len({job["seed"] for job in found}), len({job.get("method") for job in found})
    assert len(found) == EXPERIMENTS.get(name, (15 * methods, 5 * methods))[profile == "paper"]
    assert seeds == (3 if profile == "phantom" else 1)
    for choices in {tuple(f"{k}={v}" for k, v in job.items() if "." not in k and k != "seed") for job in found}:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("config", overrides=list(choices))
        assert cfg.name == name.removesuffix("_www")
        assert (cfg.target._target_.endswith(".Planted")) == name.startswith("leaderboard")


def test_rows_of_the_tables():
    def values(key, *overrides):
        return list(dict.fromkeys(job[key] for job in rows(*overrides)))

    assert values("concept_set", "experiment=table1") == ["20k", "wordnet", "mimic_nouns"]
    assert values("dissector", "experiment=table3") == ["phantom_captions", "phantom_soft", "phantom_nce"]
    assert values("dissector", "experiment=table3", "profile=paper") == ["cxr_repair", "medklip", "medclip"]
    assert values("method", "experiment=table4") == ["tsi", "mammi"]
    assert values("method", "experiment=table4", "profile=paper") == ["tsi_paper", "mammi"]
    promised = {"mammi", "clip_dissect", "max_correlation", "tsi", "falcon", "random"}
    assert promised <= set(values("method", "experiment=leaderboard"))
    assert values("target.noise", "experiment=leaderboard") == ["0", "0.2", "0.35", "0.5", "0.7"]
    assert values("method", "experiment=table5") == ["falcon", "clip_dissect", "mammi"]
    assert values("selection", "experiment=figure2b") == ["top_k", "adaptive"]
    assert [float(a) for a in values("selection.alpha", "experiment=figure2a")] == [a / 100 for a in range(85, 96)]
    assert values("seed", "experiment=table1", "seed=1") == ["1"], "what is typed wins"
    every = values("explainer", "experiment=explainers")
    for name in ("explainers_nih", "explainers_covid"):  # the shipped decoder is the phantom's
        assert values("explainer", f"experiment={name}") == [one for one in every if one != "nemt"]


@pytest.mark.parametrize("task", [file.stem for file in sorted((ROOT / "conf" / "task").glob("*.yaml"))])
def test_settings_of_every_task_can_be_told(task):
    def settings(*words):
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return run.settings(compose("config", overrides=[f"task={task}", *words]))

    assert settings() == settings("device=cuda", "batch_size=3", "name=other", "paths.cache=elsewhere", "offline=true",
                                  "skip_done=true")
    assert settings() != settings("seed=1") and settings() != settings("paths.mpnet=somewhere")
