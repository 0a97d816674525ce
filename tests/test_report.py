"""Tables out of run folders that were written by hand: five runs, two of them on 'real' images."""
import json

import pandas as pd
import pytest

from mammi.errors import BadInput
from mammi.report import main, read, rows, table, to_markdown

CHOICES = {"target": "phantom", "probing_set": "phantom", "concept_set": "openi_nouns", "dissector": "phantom_nce",
           "method": "mammi", "paths": "default"}
HIT = {"hit": 4 / 14, "hit_se": .12074, "hit_low": .1172, "hit_high": .5465}


def run(folder, metrics=HIT, synthetic=True, choices=None, names=None, overrides=(), seed=0):
    choices = CHOICES | (choices or {})
    (folder / ".hydra").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({
        "name": "run", "choices": choices, "names": {"concept_set": choices["concept_set"], **(names or {})},
        "synthetic": synthetic, "overrides": list(overrides), "seed": seed, "seconds": 2.5, "images": 400}))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_columns_are_what_differs_and_the_key_metrics(tmp_path):
    run(tmp_path / "10", {**HIT, "hit_low": None, "method_seconds": 3}, choices={"method": "random"},
        overrides=["method=random", "paths.data=/somewhere", "hydra.verbose=true", "batch_size=8"])
    run(tmp_path / "9", overrides=["selection.alpha=0.9", "batch_size=2"])
    shown = table(read(tmp_path)[0])
    assert list(shown.columns) == ["data", "method", "selection.alpha", "hit"]
    assert shown.values.tolist() == [
        ["synthetic", "mammi", "0.9", "0.2857 ± 0.121 [0.117, 0.546]"],
        ["synthetic", "random", "default", "0.2857 ± 0.121"]]


def test_explainers_are_compared_by_their_metrics(tmp_path):
    for i, name in enumerate(("actmap", "rise")):
        run(tmp_path / str(i), {"mass": .25, "mass_low": .1, "mass_high": .4, "mass_n": 3, "chance": .05, "ms": 1.5 + i,
                                "n_explained": 7, "explainer_name": name}, choices={"explainer": name})
    shown = table(read(tmp_path)[0])
    assert list(shown.columns) == ["data", "explainer", "mass", "chance", "ms"]
    assert shown["mass"][0] == "0.2500 [0.100, 0.400]" and shown["ms"].tolist() == ["1.5", "2.5"]


def test_context_is_a_column_only_where_it_differs(tmp_path):
    run(tmp_path / "0", {**HIT, "purity": .5, "unique_all": 3})
    run(tmp_path / "1", {**HIT, "purity": .5, "unique_all": 4}, choices={"method": "random"})
    main(tmp_path)
    assert list(table(read(tmp_path)[0]).columns) == ["data", "method", "hit", "unique_all"]
    assert "images = 400, purity = 0.5000" in (tmp_path / "report.md").read_text()


def test_rows_keep_every_number(tmp_path):
    run(tmp_path / "a" / "0", {**HIT, "extra": 3})
    run(tmp_path / "b")
    frame = rows(tmp_path)
    assert frame["run"].tolist() == ["a/0", "b"]
    assert frame["hit_high"].tolist() == [.5465, .5465] and frame["extra"].tolist()[0] == 3
    assert frame["data"].tolist() == ["synthetic"] * 2 and frame["target"][0] == "phantom"


def test_a_stand_in_is_named_so(tmp_path):
    stand_in = "openi_nouns (stand-in for mimic_nouns)"
    run(tmp_path / "0", choices={"concept_set": "mimic_nouns"}, names={"concept_set": stand_in})
    run(tmp_path / "1", choices={"concept_set": "list"}, names={"concept_set": "words.txt"})
    assert table(read(tmp_path)[0])["concept_set"].tolist() == [stand_in, "list: words.txt"]


def test_seeds_are_followed_by_their_mean_and_deviation(tmp_path):
    for i, (method, seed, hit) in enumerate([("mammi", 0, .5), ("mammi", 1, 1.0), ("mammi", 2, .6), ("random", 0, .1),
                                             ("mammi", 2, .6)]):
        run(tmp_path / str(i), {"hit": hit, "n_empty": seed}, choices={"method": method}, seed=seed)
    shown = table(read(tmp_path)[0])
    assert shown[["method", "seed", "hit"]].values.tolist() == [
        ["mammi", "0", "0.5000"], ["mammi", "1", "1.0000"], ["mammi", "2", "0.6000"], ["mammi", "2", "0.6000"],
        ["mammi", "mean of 3", "0.7000"], ["mammi", "sd", f"{pd.Series([.5, 1, .6]).std():.4f}"],
        ["random", "0", "0.1000"]]
    # One command ran twice, so folders tell the rows apart.
    assert shown["run"].tolist() == ["0", "1", "2", "4", "", "", "3"]


def test_synthetic_and_real_never_share_a_table(tmp_path, capsys):
    run(tmp_path / "0")
    run(tmp_path / "1", {"hit": .9999}, synthetic=False)
    main(tmp_path)
    text = (tmp_path / "report.md").read_text()
    real, synthetic = text.split("## Synthetic images")
    assert "0.9999" in real and "| real |" in real and "0.2857" not in real
    assert "0.2857" in synthetic and "| synthetic |" in synthetic and "0.9999" not in synthetic
    assert pd.read_csv(tmp_path / "report_real.csv")["hit"].tolist() == [.9999]
    assert pd.read_csv(tmp_path / "report_synthetic.csv")["data"].tolist() == ["synthetic"]
    assert not (tmp_path / "report.csv").exists()
    printed = capsys.readouterr().out
    assert "Real images" in printed and "Synthetic images" in printed and "report.md" in printed


def test_damaged_and_unfinished_runs_are_named_and_the_others_kept(tmp_path, caplog):
    run(tmp_path / "good")
    (run(tmp_path / "cut") / "metrics.json").write_text('{"hit": 0.')
    (run(tmp_path / "list") / "metrics.json").write_text("[]")
    (run(tmp_path / "lost") / "run.json").unlink()
    (run(tmp_path / "stopped") / "metrics.json").unlink()
    (run(tmp_path / "failed") / "metrics.json").rename(tmp_path / "failed" / "failed.txt")
    (run(tmp_path / "unsaid") / "run.json").write_text('{"name": "x"}')
    for name, fault in (("chosen", '"choices": []'), ("called", '"names": 3'), ("typed", '"overrides": "a=b"'),
                        ("many", '"images": "many"')):
        (run(tmp_path / name) / "run.json").write_text(f'{{"synthetic": true, {fault}}}')
    run(tmp_path / "said", {"hit": "high"}, seed=1)
    run(tmp_path / "bound", {**HIT, "hit_low": "low"})
    main(tmp_path)
    text = (tmp_path / "report.md").read_text()
    for reason in ("cut: metrics.json is damaged", "list: metrics.json is damaged", "lost: run.json cannot be read",
                   "stopped: no metrics.json", "failed: it failed, failed.txt says why",
                   "unsaid: run.json does not say whether",
                   "chosen: run.json is damaged (choices", "called: run.json is damaged (names",
                   "typed: run.json is damaged (overrides", "many: images is no number",
                   "said: hit is no number: 'high'", "bound: hit_low is no number"):
        assert reason in text and reason in caplog.text
    assert pd.read_csv(tmp_path / "report.csv")["run"].tolist() == ["good"]


def test_nothing_finished_is_an_error_that_says_what_was_found(tmp_path):
    with pytest.raises(BadInput, match="no finished run below .* no run at all"):
        main(tmp_path)
    (run(tmp_path / "stopped") / "metrics.json").unlink()
    with pytest.raises(BadInput, match="stopped: no metrics.json"):
        rows(tmp_path)
    with pytest.raises(BadInput, match="is no folder"):
        rows(tmp_path / "nowhere")
    assert not list(tmp_path.glob("report*"))


def test_a_missing_metric_says_why(tmp_path, capsys):
    run(tmp_path / "0", {**HIT, "cos_mpnet": None, "cos_mpnet_note": "no folder | given", "cos_minilm": .5,
                         "cos_minilm_note": "not independent", "purity": None})
    run(tmp_path / "1", {**HIT, "cos_mpnet": .25, "cos_mpnet_se": .01}, overrides=["a=[b,c]"])
    main(tmp_path)
    text = (tmp_path / "report.md").read_text()
    shown = table(read(tmp_path)[0])
    assert shown["cos_mpnet"].tolist() == ["n/a", "0.2500 ± 0.010"] and "purity" not in shown
    assert "- cos_mpnet: n/a, no folder | given" in text and "- cos_minilm: not independent" in text
    printed = capsys.readouterr().out
    assert "[b,c]" in printed and "n/a" in printed


def test_markdown_has_one_cell_per_value():
    frame = pd.DataFrame({"a": ["x|y", "line\nbreak"], "b": ["1", "2"]})
    assert to_markdown(frame).split("\n") == ["| a | b |", "| --- | --- |", "| x\\|y | 1 |", "| line break | 2 |"]


def test_a_second_report_replaces_the_first(tmp_path):
    run(tmp_path / "0")
    main(tmp_path)
    assert (tmp_path / "report.csv").exists()
    run(tmp_path / "1", synthetic=False)
    main(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("report*")) == ["report.md", "report_real.csv", "report_synthetic.csv"]


def test_a_study_shows_its_aurocs_and_its_differences(tmp_path):
    run(tmp_path / "0", {"auroc_target": .69, "auroc_target_low": .64, "auroc_target_high": .73, "hit_twin": .1,
                         "target_less_twin": .18, "target_beats_twin": "succeeded"})
    shown = table(read(tmp_path)[0])
    assert list(shown.columns) == ["data", "auroc_target", "target_less_twin"]
    assert shown["auroc_target"].tolist() == ["0.6900 [0.640, 0.730]"]


def test_the_gate_s_verdict_is_a_column(tmp_path):
    asked, names = {"choices": {"gate": "strict"}, "overrides": ["gate=strict"]}, {"dissector": "medclip"}
    run(tmp_path / "0", {**HIT, "gate": "plausible"}, names=names, **asked)
    run(tmp_path / "1", {**HIT, "gate": "failed"}, names=names, seed=1)
    run(tmp_path / "2", HIT, names=names, overrides=["method=random"], choices={"method": "random"})
    shown = table(read(tmp_path)[0])
    assert shown["gate"].tolist() == ["plausible", "failed", "plausible, failed", "plausible, failed", "not checked"]
    assert list(rows(tmp_path)["gate"]) == ["plausible", "failed", "not checked"], "before there was a gate"
    assert list(shown.columns) == ["data", "method", "seed", "gate", "hit"], "gate=strict changes no number"
    (tmp_path / "0" / "metrics.json").write_text(json.dumps({**HIT, "gate": 3}))
    assert "gate is no verdict: 3" in " ".join(read(tmp_path)[1])
