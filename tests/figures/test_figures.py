"""python -m mammi figures: files from run folders, what is left out and why, and the pictures' words."""
import itertools
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mammi.__main__ import main as command
from mammi.errors import BadInput
from mammi.figures import shares
from mammi.figures.draw import STYLE
from mammi.figures.main import FIGURES, main
from mammi.figures.runs import choose
from mammi.report import read
from tests.figures.folders import run, sweeps

ALL = {"figure2a", "figure2b", "histograms", "concept_sets", "leaderboard"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(run folders, figures made of them)."""
    folder = sweeps(tmp_path_factory.mktemp("runs"))
    main(folder, folder / "figures")
    return folder, folder / "figures"


def test_every_figure_is_made(made):
    _, out = made
    assert {path.name for path in out.iterdir()} == {f"{name}_synthetic.{kind}" for name in ALL
                                                     for kind in ("png", "pdf", "csv")}
    for name in ALL:
        assert {"value", "low", "high", "seeds"} <= set(pd.read_csv(out / f"{name}_synthetic.csv"))


def test_the_same_runs_give_the_same_bytes_in_another_process(made, tmp_path):
    folder, out = made
    subprocess.run([sys.executable, "-m", "mammi", "figures", folder / "leaderboard", "--to", tmp_path], check=True,
                   cwd=ROOT, capture_output=True)
    assert len(list(tmp_path.iterdir())) == 3
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name


def drawn_of(figure, folder, kind):
    runs, _ = choose(read(folder)[0], figure.RUNS, figure.VARIES)
    data = figure.fold(pd.DataFrame([{"run": run.path} | row for run in runs for row in figure.rows(run)]))
    return figure.draw(data, runs, kind)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.NAME)
@pytest.mark.parametrize("kind", ["synthetic", "real"])
def test_titles_say_which_images(made, figure, kind):
    drawn = drawn_of(figure, made[0], kind)
    assert drawn.get_suptitle().endswith(f"\n{kind} images")
    words = [text.get_text() for ax in drawn.axes for legend in [ax.get_legend()] if legend
             for text in (legend.get_title(), *legend.get_texts())]
    words += [ax.get_xlabel() for ax in drawn.axes]
    assert any("mean of 2 seeds" in text and ("min to max" in text or "Wilson" in text) for text in words)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.NAME)
def test_no_words_run_out_of_the_picture_or_into_each_other(made, figure):
    with matplotlib.rc_context(STYLE):
        drawn = drawn_of(figure, made[0], "synthetic")
        FigureCanvasAgg(drawn).draw()
    boxes = [drawn._suptitle.get_window_extent(), drawn._supxlabel.get_window_extent()]
    boxes += [legend.get_window_extent() for ax in drawn.axes if (legend := ax.get_legend())]
    boxes += [ax.get_tightbbox(for_layout_only=True) for ax in drawn.axes]
    for box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= drawn.bbox.x1 + 1 and box.y1 <= drawn.bbox.y1 + 1
    for one, other in itertools.combinations(boxes[:3], 2):  # title, small print, legend
        assert not one.overlaps(other)


def test_figure_2b_prints_its_numbers(made):
    words = [text.get_text() for text in drawn_of(shares, made[0], "synthetic").axes[0].get_legend().get_texts()]
    assert "r: adaptive, Eq. (1); total variation 0.35, Spearman -0.80" in words
    assert "r: top k; total variation 0.20, Spearman n/a (all equal)" in words


def test_real_and_synthetic_images_never_share_a_figure(tmp_path, capsys):
    run(tmp_path / "0", "figure2a", {"f1": .1}, overrides=["selection.alpha=0.9"])
    run(tmp_path / "1", "figure2a", {"f1": .9}, synthetic=False, overrides=["selection.alpha=0.9"])
    main(tmp_path, tmp_path / "out")
    for kind, f1 in (("synthetic", .1), ("real", .9)):
        data = pd.read_csv(tmp_path / "out" / f"figure2a_{kind}.csv")
        assert data.loc[data["metric"] == "f1", "value"].tolist() == [f1]
    printed = capsys.readouterr().out
    for name, experiment in (("figure2b", "figure2b"), ("histograms", "table2"), ("concept_sets", "table1"),
                             ("leaderboard", "leaderboard")):
        assert f"{name}: python run.py experiment={experiment}\n" in printed
    assert "figure2a: python" not in printed


def test_of_two_runs_of_a_point_the_last_counts(tmp_path):
    for date, f1 in (("2026-01-09", .1), ("2026-01-10", .7)):
        run(tmp_path / "figure2a" / date, "figure2a", {"f1": f1}, overrides=["selection.alpha=0.9"])
    main(tmp_path, tmp_path / "out")
    data = pd.read_csv(tmp_path / "out" / "figure2a_synthetic.csv")
    assert data.loc[data["metric"] == "f1", ["value", "seeds"]].values.tolist() == [[.7, 1]]


def test_runs_of_another_set_up_are_left_out_and_named(tmp_path, capsys):
    run(tmp_path / "a", "figure2a", overrides=["selection.alpha=0.9"])
    run(tmp_path / "b", "figure2a", overrides=["selection.alpha=0.93", "skip_done=true"])
    run(tmp_path / "z", "figure2a", {"f1": .9}, overrides=["selection.alpha=0.95", "probing_set.limit=100"])
    main(tmp_path, tmp_path / "out")
    assert "figure2a: 1 of another set-up (probing_set.limit=100)" in capsys.readouterr().out
    assert set(pd.read_csv(tmp_path / "out" / "figure2a_synthetic.csv")["alpha"]) == {.9, .93}


@pytest.mark.fault
def test_damaged_runs_are_left_out_with_the_reason_and_others_kept(tmp_path, capsys, caplog, monkeypatch):
    monkeypatch.setattr("mammi.figures.main.save", lambda figure, stem: None)
    sweeps(tmp_path)
    broken = {"figure2b/adaptive_0/images.csv": "id\nimage0\n", "figure2b/top_k_0/neurons.csv": "",
              "table2/adaptive_final_0/annotations.csv": "neuron,rank\n", "table1/20k_0/metrics.json": '{"hit":'}
    for path, text in broken.items():
        (tmp_path / path).write_text(text)
    run(tmp_path / "no_alpha", "figure2a")
    run(tmp_path / "no_noise", "leaderboard", choices={"target": "planted"})
    run(tmp_path / "no_hit", "leaderboard", {"hit_synonym": None}, choices={"method": "random", "target": "planted"},
        overrides=["target.noise=0"])
    run(tmp_path / "no_images", "figure2b", seed=7, selected=(None,) * 4)
    run(tmp_path / "text", "figure2b", seed=8, selected=("many", 1, 1, 1))
    run(tmp_path / "scores", "table2", seed=9, best=(.4, .3, .2, .1), overrides=["target.layer=final"])
    path = tmp_path / "scores" / "annotations.csv"
    path.write_text(path.read_text().replace("0.2", "none at all"))
    run(tmp_path / "hits", "leaderboard", {"hit_synonym": 7}, seed=9, choices={"target": "planted"},
        overrides=["target.noise=0"])
    run(tmp_path / "units", "leaderboard", {"n_named": "4"}, seed=10, choices={"target": "planted"},
        overrides=["target.noise=0"])
    main(tmp_path, tmp_path / "out")
    printed = capsys.readouterr().out
    for line in ("figure2b: figure2b/adaptive_0: images.csv has no label called Effusion",
                 "figure2b: figure2b/top_k_0: neurons.csv cannot be read",
                 "figure2b: no_images: neurons.csv: no selected images",
                 "figure2b: text: neurons.csv: images_selected has no numbers",
                 "histograms: scores: annotations.csv: score has no numbers",
                 "leaderboard: hits: hit_synonym=7: expected a number of at least 0 and at most 1",
                 "leaderboard: units: n_named=4: expected a whole number",
                 "histograms: table2/adaptive_final_0: annotations.csv has no column score",
                 "figure2a: no_alpha: selection.alpha=None: expected a number among the run's overrides",
                 "leaderboard: no_noise: target.noise=None", "leaderboard: no_hit: metrics.json has no hit_synonym"):
        assert line in printed, line
    assert "table1/20k_0: metrics.json is damaged" in caplog.text
    assert all((tmp_path / "out" / f"{name}_synthetic.csv").is_file() for name in ALL) and "Not made" not in printed
    assert pd.read_csv(tmp_path / "out" / "figure2b_synthetic.csv")["seeds"].unique().tolist() == [1]


@pytest.mark.fault
def test_runs_without_a_figures_numbers_make_none(tmp_path, capsys):
    run(tmp_path / "0", "table1", dict.fromkeys(["hit", "hit_lemma", "hit_synonym", "f1"]))
    with pytest.raises(BadInput, match="no finished run"):
        main(tmp_path, tmp_path / "out")
    printed = capsys.readouterr().out
    assert "concept_sets: its 1 synthetic runs have none of its metrics" in printed
    assert "concept_sets: python run.py experiment=table1" in printed and not (tmp_path / "out").exists()


@pytest.mark.fault
@pytest.mark.parametrize("folder, words", [("nowhere", "is no folder"), (".", "no finished run")])
def test_no_run_at_all_is_an_error(folder, words, tmp_path):
    with pytest.raises(SystemExit, match=words):
        command(["figures", str(tmp_path / folder), "--to", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
