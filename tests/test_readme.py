"""What the READMEs tell people to type works. ``make demo`` and ``make test`` are run by CI as written."""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "experiments").rglob("README.md"))]


def blocks(language):
    for page in PAGES:
        for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S):
            yield page, block


def commands():
    """Every ``python ...`` command: lines of shell blocks, and code in running text."""
    found = []
    for page in PAGES:
        text = page.read_text()
        lines = [line.split("   #")[0].strip() for block in re.findall(r"```sh\n(.*?)```", text, re.S)
                 for line in block.splitlines()]
        lines += re.findall(r"`(python (?:run\.py|-m mammi)[^`]*)`", text)
        found += [(page.parent.name, line) for line in lines if line.startswith("python ")]
    assert not [line for _, line in found if "..." in line], "write commands whole"
    return list(dict.fromkeys(found))


RUNS = [line for _, line in commands() if line.startswith("python run.py")]


def overrides(line):
    words = [w for w in shlex.split(line)[2:] if w != "-m"]
    return [re.split(r",(?![^\[]*\])", w)[0] if "=" in w else w for w in words]


def test_there_are_commands():
    assert "python run.py -m name=sweep concept_set=mimic_nouns,wordnet,20k" in RUNS and "python run.py" in RUNS


@pytest.mark.parametrize("line", RUNS)
def test_every_run_composes(line):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        compose("config", overrides=overrides(line))


@pytest.mark.parametrize("line", [line for _, line in commands() if line.startswith("python -m mammi ")])
def test_every_utility_exists(line):
    command = shlex.split(line)[3]
    done = subprocess.run([sys.executable, "-m", "mammi", command, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and command in done.stdout


@pytest.mark.parametrize("page, block", list(blocks("python")), ids=lambda x: getattr(x, "name", "block"))
def test_python_examples_run(page, block):
    rng = np.random.default_rng(0)
    names = {"activations": rng.normal(size=(50, 3)), "image_embeddings": rng.normal(size=(50, 8)),
             "text_embeddings": rng.normal(size=(5, 8)), "words": list("abcde"),
             "template_embedding": rng.normal(size=8)}
    code = compile(block, str(page), "exec")
    namespace = dict(names)
    import types

    types.FunctionType(code, namespace)()
    assert len(namespace["found"].concepts) == 3


def test_links_and_pictures_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).stat().st_size > 0, f"{page.name}: {target}"


def test_nothing_is_left_to_fill_in():
    for page in PAGES:
        assert page.read_text().startswith("# ") and not re.findall(r"^[A-Z]+_[A-Z]+$", page.read_text(), re.M), page


def call(line, *more):
    env = {key: value for key, value in os.environ.items() if key != "MAMMI_DATA"}
    subprocess.run([sys.executable, *shlex.split(line)[1:], *more], cwd=ROOT, check=True, env=env)


@pytest.mark.slow
def test_the_sweep_as_written(tmp_path):
    call("python run.py -m name=sweep concept_set=mimic_nouns,wordnet,20k", f"paths.outputs={tmp_path}")
    call(f"python -m mammi report {tmp_path}/sweep")
    report = (tmp_path / "sweep" / "report.md").read_text()
    assert all(name in report for name in ("openi_nouns (stand-in for mimic_nouns)", "wordnet", "20k"))


@pytest.mark.slow
def test_every_table_and_figure(tmp_path):
    """What `make experiments` runs, on fewer images and with one seed."""
    folder = ROOT / "conf" / "experiment"
    for name in sorted(f.stem for kind in ("table", "figure2", "leaderboard") for f in folder.glob(f"{kind}*.yaml")):
        call(f"python run.py experiment={name}", "skip_done=true", "seed=0", "probing_set.limit=600",
             f"paths.outputs={tmp_path}")
    call(f"python -m mammi figures {tmp_path}", f"--to={tmp_path / 'figures'}")
    figures = {file.name for file in (tmp_path / "figures").glob("*.png")}
    assert {"figure2a_synthetic.png", "figure2b_synthetic.png", "leaderboard_synthetic.png"} <= figures
    with pytest.raises(subprocess.CalledProcessError):  # with a limit no run counts for a row
        call(f"python -m mammi tables {tmp_path}", f"--to={tmp_path / 'tables'}")


@pytest.mark.slow
@pytest.mark.parametrize("line, more, leaves", [
    ("task=explain explainer=gradcam", ["task.limit=6"], "explain.png"),
    ("experiment=explainers", ["task.limit=2"], "explain_metrics.csv"),
    ("experiment=figure3", ["probing_set.limit=600"], "figure3.pdf"),
    ("task=fit_explainer", ["task.epochs=1", "task.train.n=300", "task.val.n=100"], "card.json"),
    ("experiment=chest_dissect", ["probing_set.n=600", "task.resamples=100"], "delta.csv"),
    ("experiment=planted_pair", ["probing_set.n=600", "task.resamples=100"], "changes.csv"),
    ("experiment=micn_rule", ["task.seeds=1", "task.baselines=false"], "rules_global.csv"),
    ("experiment=micn_phantom", ["task.seeds=1"], "models.csv")])
def test_what_goes_beyond_words_as_written(tmp_path, line, more, leaves):
    assert any(f"python run.py {line}" in run for run in RUNS)
    call(f"python run.py {line}", f"paths.outputs={tmp_path}", *more)
    assert list(tmp_path.rglob(leaves)) and list(tmp_path.rglob("run.json" if "fit" not in line else leaves))


def test_your_own_images_and_words_as_written(tmp_path):
    out, folder = f"paths.outputs={tmp_path}", tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(30):
        Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "labels.csv").write_text("image,mass,edema\n" + "".join(f"{i}.png,{i % 2},{i % 3 == 0:d}\n"
                                                                      for i in range(30)))
    (tmp_path / "words.txt").write_text("mass\nedema\nnodule\n")
    own = next(line for line in RUNS if "probing_set.label_columns" in line).replace("DIR", str(folder))
    call(own, out, "concept_set=nih_labels")
    words = next(line for line in RUNS if "concept_set=text_file" in line)
    call(words.replace("words.txt", str(tmp_path / "words.txt")), out, "probing_set.limit=100")
    assert len(list(tmp_path.rglob("metrics.json"))) == 2


@pytest.mark.parametrize("task, more, leaves", [
    ("layers", [], "layers.csv"), ("plan", ["probing_set.limit=40"], "plan.json"),
    ("performance", ["task.val.limit=400", "task.test.limit=400"], "performance.csv"),
    ("concepts", ["concept_set.min_count=1"], "words.txt")])
def test_what_goes_before_a_run_as_written(tmp_path, task, more, leaves):
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "1.txt").write_text("There is a small left pleural effusion. No pneumothorax.")
    line = next(line for line in RUNS if f"task={task}" in line)
    call(line.replace("REPORTS", str(reports)), f"paths.outputs={tmp_path / 'out'}", *more)
    assert len(list((tmp_path / "out").rglob(leaves))) == 1
