"""profile=paper chooses the paper's parts; an experiment wins over it, the command line over both."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from mammi.errors import BadInput, MissingAsset
from run import build_all

ROOT = Path(__file__).parents[1]
PAPER = {"target": "densenet121_nih14", "probing_set": "nih14_full", "concept_set": "mimic_nouns",
         "dissector": "medclip", "selection": "adaptive", "method": "mammi", "evaluation": "final_layer"}
EXPERIMENT = """# @package _global_
defaults:
  - override /target: planted
  - override /concept_set: wordnet
name: mine
probing_set:
  limit: 7
"""


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    """A copy of conf/ with two experiments more."""
    folder = tmp_path_factory.mktemp("repository") / "conf"
    shutil.copytree(ROOT / "conf", folder)
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    (folder / "experiment" / "papers.yaml").write_text(
        EXPERIMENT.replace("defaults:\n", "defaults:\n  - override /profile: paper\n"))
    return folder


def composed(conf, *overrides):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
    return cfg, {group: cfg.hydra.runtime.choices[group] for group in PAPER}


def test_the_paper_s_parts(conf):
    cfg, choices = composed(conf, "profile=paper")
    assert choices == PAPER
    assert cfg.profile == {"name": "paper", "stand_ins": False, "seeds": 0}
    assert cfg.concept_set.stand_ins is False, "the MIMIC nouns or an error"
    assert cfg.probing_set.split == "train" and cfg.probing_set.limit is None, "all 75,312 training images"
    assert (cfg.target.layer, cfg.target.activation) == ("final", "logit")
    assert (cfg.selection.alpha, cfg.method.beta, cfg.dissector.view) == (.93, .95, "target_crop")
    assert cfg.method.adaptive and cfg.probing_set.template == "A chest x-ray image of a"


def test_the_profile_relies_on_no_default_of_the_embedded_run(conf):
    """Else a new default would change the paper's run unseen."""
    text = (conf / "profile" / "paper.yaml").read_text()
    for group, option in PAPER.items():
        assert f"- override /{group}: {option}\n" in text


def test_the_command_line_wins_over_the_profile(conf):
    for overrides in (["profile=paper", "target=phantom"], ["target=phantom", "profile=paper"]):
        assert composed(conf, *overrides)[1] == {**PAPER, "target": "phantom"}
    cfg, _ = composed(conf, "profile=paper", "profile.stand_ins=true", "probing_set.split=test")
    assert cfg.concept_set.stand_ins is True and cfg.probing_set.split == "test"


def test_an_experiment_wins_over_the_profile(conf):
    for overrides in (["profile=paper", "experiment=mine"], ["experiment=papers"]):
        cfg, choices = composed(conf, *overrides)
        assert choices == {**PAPER, "target": "planted", "concept_set": "wordnet"}
        assert cfg.name == "mine" and cfg.probing_set.limit == 7 and cfg.profile.name == "paper"


def test_the_command_line_wins_over_both(conf):
    cfg, choices = composed(conf, "profile=paper", "experiment=mine", "target=phantom", "probing_set.limit=3")
    assert choices == {**PAPER, "target": "phantom", "concept_set": "wordnet"} and cfg.probing_set.limit == 3
    assert composed(conf, "experiment=papers", "profile=phantom")[0].profile.name == "phantom"


def test_without_files_one_error_names_all_that_is_missing(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "MAMMI_DATA"}
    done = subprocess.run([sys.executable, "run.py", "profile=paper", f"paths.outputs={tmp_path}"], cwd=ROOT,
                          capture_output=True, text=True, env=environment)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and said.count("MissingAsset") == 1 and "Traceback" not in said
    for key in ("paths.target_weights", "paths.data", "paths.medclip=", "paths.medclip_vocab=",
                "the MIMIC nouns are not here", "python -m mammi assets"):
        assert key in said
    left = {f.name for f in tmp_path.rglob("*") if f.is_file()}
    assert left == {"config.yaml", "hydra.yaml", "overrides.yaml", "run.log", "failed.txt"}


def test_building_collects_what_is_missing_and_stops_at_what_is_wrong(conf):
    cfg, _ = composed(conf, "profile=paper")
    with pytest.raises(MissingAsset, match=r"(?s)target_weights.*paths\.medclip"):
        build_all(cfg, ["target", "dissector"])
    assert set(build_all(cfg, ["selection", "seed"])) == {"selection", "seed"}
    wrong, _ = composed(conf, "profile=paper", "selection.alpha=93")
    with pytest.raises(Exception, match="alpha") as caught:
        build_all(wrong, ["target", "selection"])
    assert isinstance(caught.value.__cause__, BadInput)
