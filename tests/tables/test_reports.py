"""paper.md and phantom.md out of made-up runs: what is in which, and what never is."""
import re
import shutil

import pandas as pd
import pytest

from mammi.__main__ import main as command
from mammi.errors import BadInput
from mammi.tables.rows import tables
from mammi.tables.write import main
from tests.tables.folders import concept_sets, run, the_paper_s

NAMES = {f"{profile}{end}" for profile in ("paper", "phantom") for end in (".md", ".csv", ".tex", "_tests.csv")}


def section(text, table):
    return text.split(f"## Table {table}:")[1].split("\n## ")[0]


@pytest.fixture
def written(tmp_path):
    main(concept_sets(tmp_path / "runs"), tmp_path / "to")
    return tmp_path / "to"


def test_files(written):
    assert {path.name for path in written.iterdir()} == NAMES


def test_until_the_files_are_here_every_row_of_the_paper_says_what_it_needs(written):
    frame, text = pd.read_csv(written / "paper.csv"), (written / "paper.md").read_text()
    assert len(frame) == 46 and frame["obtained"].isna().all() and "**No row has been run" in text
    needs = {(line.table, line.row, line.metric): line.lacks for line in frame.itertuples()}
    common = "not run: needs medical_mae_densenet121, nih14_full, nih14_lists, mimic_nouns, medclip, medclip_vocab"
    assert needs["table1", "MIMIC nouns", "hit"] == common
    assert needs["table1", "MIMIC nouns", "cos_clip"] == f"{common}, clip_vit_b16"
    assert "mimic_nouns" not in needs["table1", "Wordnet nouns", "f1"]
    assert "clip_dissect_20k" in needs["table1", "20K", "f1"]
    assert "medclip" not in needs["table3", "CXR-RePaiR", "cos_clip"]
    assert f"| 0.2857 ± 0.121 | {common} |" in text
    assert "0.8599 ± 0.024 | not run: needs the same, clip_vit_b16 |" in text
    for key in ("paths.target_weights=", "probing_set.root=", "paths.medclip=", "paths.mpnet=", "paths.clip="):
        assert f"`{key}`" in text.split("## What the runs need")[1]


def test_phantom_shows_rows_with_stand_ins_seeds_and_ceilings(written):
    text = section((written / "phantom.md").read_text(), 1)
    row = next(line for line in text.splitlines() if line.startswith("| MIMIC nouns"))
    assert "concept_set=mimic_nouns: openi_nouns (stand-in for mimic_nouns) | 0, 1 | not checked | 6 |" in row
    assert ".750 ± .118" in row and "| .750 |" in row, "mean and sd of 4/6 and 5/6; the ceiling"
    assert "| Wordnet nouns | concept_set=wordnet | not run: `python run.py experiment=table1 concept_set=wordnet`" \
        in text
    assert "cosine, CLIP: n/a, no weights." in text and "dissector phantom_nce" in text
    assert "| MIMIC nouns − 20K | hit, exact | +.750 [" in text and "seed 0 4:0, seed 1 5:0" in text
    assert "The paper's orders that come out: 3 of 3" in text


def test_published_and_synthetic_numbers_share_no_file(written):
    published = {of.value for table in tables().values() for row in table.rows.values()
                 for of in row.published.values() if len(of.value) == 6 and float(of.value)}
    for name in ("phantom.md", "phantom.csv", "phantom_tests.csv", "phantom.tex"):
        text = (written / name).read_text()
        assert not [value for value in published if re.search(rf"(?<!\d){re.escape(value[1:])}(?!\d)", text)], name
        assert "published" not in pd.read_csv(written / name).columns if name.endswith("csv") else "ynthetic" in text
    assert ".750" not in (written / "paper.md").read_text()


def test_a_run_of_the_paper_stands_beside_its_published_numbers(tmp_path):
    concept_sets(tmp_path / "runs")
    the_paper_s(tmp_path / "runs" / "table1" / "paper")
    the_paper_s(tmp_path / "runs" / "table4" / "paper", "table4", metrics={"cos_mpnet": None, "gate": "plausible"})
    main(tmp_path / "runs", tmp_path / "to")
    text = (tmp_path / "to" / "paper.md").read_text()
    assert "| MIMIC nouns | hit, exact | 0.2857 ± 0.121 | .2857 [.117, .546] | not checked | 14 | .7500 |" in text
    assert "No row has been run" not in text and ".750 ±" not in text
    frame = pd.read_csv(tmp_path / "to" / "paper.csv").set_index(["table", "row", "metric"])
    assert frame.loc[("table1", "MIMIC nouns", "f1"), "obtained"] == pytest.approx(11 / 42)
    assert frame.loc[("table4", "MAMMI", "cos_mpnet"), "lacks"].startswith("not computed: needs ")
    assert frame.loc[("table4", "MAMMI", "f1"), "gate"] == "plausible"
    assert "14" not in section((tmp_path / "to" / "phantom.md").read_text(), 4)


def test_two_rows_of_the_paper_are_tested(tmp_path):
    the_paper_s(tmp_path / "runs" / "a", "table5", overrides=["method=mammi"])
    the_paper_s(tmp_path / "runs" / "b", "table5", choices={"method": "clip_dissect"},
                overrides=["method=clip_dissect"], hits=[1] + [0] * 13, f1=[1] + [0] * 13)
    main(tmp_path / "runs", tmp_path / "to")
    tests = pd.read_csv(tmp_path / "to" / "paper_tests.csv")
    hit = tests[tests["metric"] == "hit"].iloc[0]
    assert (hit.greater, hit.less, hit.only_greater, hit.only_less, hit.p) == ("MAMMI", "CLIP-Dissect_M", 3, 0, .25)
    assert hit.published == pytest.approx(.2857 - .0714) and hit.order == "comes out"
    assert "| MAMMI − CLIP-Dissect_M | hit, exact | +.214 | +.214 [" in (tmp_path / "to" / "paper.md").read_text()


def test_the_same_runs_give_the_same_files(tmp_path, written):
    main(shutil.copytree(tmp_path / "runs", tmp_path / "other"), tmp_path / "again")
    for name in NAMES:
        assert (written / name).read_text() == (tmp_path / "again" / name).read_text(), name


def test_notes_stand_below_their_table(tmp_path, written):
    (written / "notes.md").write_text("# Notes\n\nof ours\n\n## table1\n\nWhy nouns win.\n\n## table2\n\n")
    main(tmp_path / "runs", written)
    text = (written / "phantom.md").read_text()
    assert section(text, 1).rstrip().endswith("Why nouns win.") and text.count("Why nouns win.") == 1
    assert "Why nouns win." not in (written / "paper.md").read_text() and "of ours" not in text


@pytest.mark.fault
def test_a_damaged_run_leaves_the_others(tmp_path, capsys):
    concept_sets(tmp_path / "runs")
    (tmp_path / "runs/table1/date/20k0/metrics.json").write_text('{"hit": ')
    main(tmp_path / "runs", tmp_path / "to")
    for name in ("paper.md", "phantom.md"):
        left = (tmp_path / "to" / name).read_text().split("## Left out")[1]
        assert "- table1/date/20k0: metrics.json is damaged" in left
    row = next(line for line in (tmp_path / "to/phantom.md").read_text().splitlines() if line.startswith("| 20K"))
    assert "| 1 | not checked | 6 |" in row and "metrics.json is damaged" in capsys.readouterr().out


@pytest.mark.fault
def test_no_finished_run_writes_nothing(tmp_path):
    with pytest.raises(SystemExit, match="experiment=table1"):
        command(["tables", str(tmp_path), "--to", str(tmp_path / "to")])
    assert not (tmp_path / "to").exists()


@pytest.mark.fault
def test_a_place_that_cannot_be_written_is_named(tmp_path):
    concept_sets(tmp_path / "runs", seeds=[0])
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="--to .*file cannot be written"):
        main(tmp_path / "runs", tmp_path / "file")


def test_latex_has_every_table_with_its_characters_escaped(written):
    text = (written / "phantom.tex").read_text()
    assert text.count(r"\begin{tabular}") == 5 and r"mimic\_nouns" in text and "`" not in text
    assert text.count("Synthetic images") == 5 and "Synthetic" not in (written / "paper.tex").read_text()


def test_the_summary_says_what_was_run(tmp_path, capsys):
    concept_sets(tmp_path / "runs")
    run(tmp_path / "runs" / "other", overrides=["selection.alpha=0.9"])
    main(tmp_path / "runs", tmp_path / "to")
    out = " ".join(capsys.readouterr().out.split())
    assert "2 of 3" in out and "3 of 3" in out and "left out: other: selection.alpha=0.9" in out
