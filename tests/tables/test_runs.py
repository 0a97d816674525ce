"""Which run makes which row, and what is left out for which reason."""
import json

import pytest

from mammi.errors import BadInput
from mammi.tables.rows import tables
from mammi.tables.runs import read
from tests.tables.folders import PAPER, concept_sets, run, the_paper_s

TABLES = tables()
MIMIC, COMMON = TABLES["table1"].rows["MIMIC nouns"], TABLES["table1"].rows["20K"]


def left_out(folder, words):
    """The one reason that holds ``words``."""
    reasons = [why for _, why in read(folder, TABLES).left_out if words in why]
    assert len(reasons) == 1, read(folder, TABLES).left_out
    return reasons[0]


def test_rows_by_seed_whatever_the_order_of_folders(tmp_path):
    found = read(concept_sets(tmp_path, seeds=(2, 0, 1)), TABLES)
    assert list(found.of("phantom", MIMIC)) == [0, 1, 2] == list(found.of("phantom", COMMON))
    assert found.of("paper", MIMIC) == {} and found.left_out == []
    assert found.of("phantom", MIMIC)[1].neurons["hit"].tolist() == [1, 1, 1, 1, 0, 1]


def test_layers_are_rows_of_their_own(tmp_path):
    for layer in ("final", "penultimate"):
        run(tmp_path / layer, "table2", names={"layer": layer}, overrides=[f"target.layer={layer}"])
    found, rows = read(tmp_path, TABLES), TABLES["table2"].rows
    assert found.of("phantom", rows["adaptive"])[0].path == "final"
    assert found.of("phantom", rows["adaptive, penultimate"])[0].path == "penultimate"


def test_the_newest_counts_and_the_older_is_named(tmp_path):
    concept_sets(tmp_path, words=["mimic_nouns"], seeds=[0], at=1000)
    run(tmp_path / "again" / "b", choices={"concept_set": "mimic_nouns"}, at=3000,
        names={"concept_set": "openi_nouns (stand-in for mimic_nouns)"}, hits=(1, 1, 1, 1, 0, 0))
    found = read(tmp_path, TABLES)
    assert found.of("phantom", MIMIC)[0].path == "again/b"
    assert "an older run of table1, MIMIC nouns, seed 0; the newest counts: again/b" in \
        left_out(tmp_path, "table1/date/mimic_nouns0")


@pytest.mark.parametrize("override", ["selection.alpha=0.9", "probing_set.limit=200", "dissector=phantom_soft",
                                      "+evaluation.seed=3", "~method.beta"])
def test_other_settings_are_not_mixed_in(tmp_path, override):
    concept_sets(tmp_path)
    run(tmp_path / "other", choices={"concept_set": "wordnet"}, overrides=["concept_set=wordnet", override])
    assert f"other: {override} is no setting of table1" == left_out(tmp_path, "other")
    assert not read(tmp_path, TABLES).of("phantom", TABLES["table1"].rows["Wordnet nouns"])


def test_what_no_number_depends_on_may_be_said(tmp_path):
    run(tmp_path, choices={"concept_set": "mimic_nouns"}, overrides=[
        "paths.data=/x", "device=cuda", "batch_size=8", "skip_done=true", "offline=true", "tracking=wandb", "seed=0",
        "hydra.verbose=true", "name=table1", "profile=phantom", "profile.seeds=0"])
    assert read(tmp_path, TABLES).of("phantom", MIMIC)


def test_where_files_are_may_be_said_in_the_paper_s_profile_alone(tmp_path):
    files = ["probing_set.root=/nih", "probing_set.images=images_*.tar.gz", "concept_set.path=nouns.txt"]
    the_paper_s(tmp_path / "paper", overrides=files)
    run(tmp_path / "phantom", choices={"concept_set": "mimic_nouns"}, overrides=["concept_set.path=mine.txt"])
    assert read(tmp_path, TABLES).of("paper", MIMIC)
    assert "concept_set.path=mine.txt is no setting of table1" in left_out(tmp_path, "phantom")


@pytest.mark.parametrize("table, row, files", [
    ("table4", "TSI", ["method.covid.images.root=/covid", "method.nih.images.root=/nih",
                       "method.nih.images.images=images_*.tar.gz"]),
    ("table5", "FALCON_M", ["method.captions.path=/reports", "method.captions.kind=mimic"])])
def test_so_may_those_of_a_method(table, row, files, tmp_path):
    row = TABLES[table].rows[row]
    the_paper_s(tmp_path / "paper", name=table, choices=row.options("paper"), overrides=files)
    the_paper_s(tmp_path / "less", name=table, choices=row.options("paper"), seed=1,
                overrides=["method.captions.limit=100"])
    assert list(read(tmp_path, TABLES).of("paper", row)) == [0]
    assert f"method.captions.limit=100 is no setting of {table}" in left_out(tmp_path, "less")


def test_seeds_of_other_words_images_or_neurons_are_not_averaged(tmp_path):
    concept_sets(tmp_path, words=["mimic_nouns"], seeds=[0], at=3000)
    stand_in = {"concept_set": "openi_nouns (stand-in for mimic_nouns)"}
    choices = {"concept_set": "mimic_nouns"}
    run(tmp_path / "words", choices=choices, seed=1, at=1, hits=[1] * 6)
    run(tmp_path / "images", choices=choices, names=stand_in, seed=2, at=2, hits=[1] * 6, images=7)
    run(tmp_path / "neurons", choices=choices, names=stand_in, seed=3, at=3)
    assert list(read(tmp_path, TABLES).of("phantom", MIMIC)) == [0]
    assert "its concept_set is mimic_nouns, but the newest run of MIMIC nouns has openi_nouns" in \
        left_out(tmp_path, "words:")
    assert "its number of images is 7" in left_out(tmp_path, "images:")
    assert "its list of neurons is" in left_out(tmp_path, "neurons:")


def test_no_row_and_no_profile(tmp_path):
    concept_sets(tmp_path)
    run(tmp_path / "words", choices={"concept_set": "nih_labels"}, overrides=["concept_set=nih_labels"])
    run(tmp_path / "real", choices={"concept_set": "20k"}, synthetic=False)
    run(tmp_path / "sweep", "sweep", choices={"concept_set": "20k"})
    assert left_out(tmp_path, "words").endswith("concept_set=nih_labels is no row of table1")
    assert "profile=phantom on real images" in left_out(tmp_path, "real")
    assert not [why for _, why in read(tmp_path, TABLES).left_out if "sweep" in why], "other experiments are no tables"


def test_only_the_paper_s_own_files_make_the_paper_s_rows(tmp_path):
    the_paper_s(tmp_path / "good")
    the_paper_s(tmp_path / "stand", names={"target": "resnet (stand-in for densenet)"})
    the_paper_s(tmp_path / "own", names={"concept_set": "mimic_nouns (own list nouns.txt)"})
    the_paper_s(tmp_path / "synthetic", synthetic=True)
    found = read(tmp_path, TABLES)
    assert found.of("paper", MIMIC)[0].path == "good" and found.of("phantom", MIMIC) == {}
    assert "its target is a stand-in" in left_out(tmp_path, "stand:")
    assert "not the paper's mimic_nouns" in left_out(tmp_path, "own:")
    assert "profile=paper on synthetic images" in left_out(tmp_path, "synthetic:")
    assert len(found.reasons("paper")) == 3 and found.reasons("phantom") == []


@pytest.mark.fault
def test_damaged_runs_are_named_and_the_others_kept(tmp_path):
    concept_sets(tmp_path, words=["20k"], seeds=[0])
    faults = {"metrics.json": ("{", "metrics.json is damaged"), "run.json": ("[]", "run.json is damaged"),
              "neurons.csv": ("", "neurons.csv is damaged")}
    for name, (text, _) in faults.items():
        (run(tmp_path / "table1" / name, choices={"concept_set": "wordnet"}) / name).write_text(text)
    lost = {"gone": "neurons.csv cannot be read", "short": "no column hit", "other": "do not agree", "seedless": "seed"}
    for name in lost:
        run(tmp_path / "table1" / name, choices={"concept_set": "wordnet"})
    (tmp_path / "table1/gone/neurons.csv").unlink()
    (tmp_path / "table1/short/neurons.csv").write_text("neuron,name\n0,n0\n")
    (tmp_path / "table1/other/neurons.csv").write_text("neuron,name,hit,f1,cos_minilm\n0,n0,1,high,0.5\n")
    about = json.loads((tmp_path / "table1/seedless/run.json").read_text())
    (tmp_path / "table1/seedless/run.json").write_text(json.dumps(about | {"seed": None}))
    for name, (_, reason) in faults.items():
        assert reason in left_out(tmp_path, f"table1/{name}:")
    for name, reason in lost.items():
        assert reason in left_out(tmp_path, f"table1/{name}:")
    assert list(read(tmp_path, TABLES).of("phantom", COMMON)) == [0]


@pytest.mark.fault
def test_nothing_finished_names_the_command_that_makes_a_run(tmp_path):
    with pytest.raises(BadInput, match=r"(?s)none at all.*python run.py experiment=table1"):
        read(tmp_path, TABLES)
    (run(tmp_path / "table1" / "stopped") / "metrics.json").unlink()
    run(tmp_path / "table1" / "other", overrides=["selection.alpha=0.9"])
    with pytest.raises(BadInput, match="selection.alpha=0.9 is no setting of table1"):
        read(tmp_path, TABLES)
    with pytest.raises(BadInput, match="there is no folder"):
        read(tmp_path / "nowhere", TABLES)


def test_unfinished_folders_of_the_tables_are_counted(tmp_path):
    concept_sets(tmp_path)
    (run(tmp_path / "table1" / "stopped") / "metrics.json").unlink()
    (run(tmp_path / "elsewhere") / "metrics.json").unlink()
    (run(tmp_path / "other", "sweep") / "metrics.json").unlink()
    assert read(tmp_path, TABLES).unfinished == 2


def test_paper_choices_of_the_fixture_are_the_profile_s():
    assert PAPER["profile"] == "paper" and MIMIC.options("paper") == {"concept_set": PAPER["concept_set"]}


@pytest.mark.fault
def test_a_damaged_run_is_known_by_its_run_json_too(tmp_path):
    concept_sets(tmp_path / "mine", words=["20k"], seeds=[0])
    (run(tmp_path / "copied" / "0", choices={"concept_set": "wordnet"}) / "metrics.json").write_text("{")
    (run(tmp_path / "other" / "0", "sweep") / "metrics.json").write_text("{")
    reasons = [why for _, why in read(tmp_path, TABLES).left_out]
    assert len(reasons) == 1 and reasons[0].startswith("copied/0: metrics.json is damaged")
