"""Two runs side by side: folders written by hand, two that annotate wrote, and folders that are no finished run."""
import json
from math import comb

import pandas as pd
import pytest

from mammi.__main__ import main
from mammi.cache import Cache
from mammi.diff import _mcnemar, compare
from mammi.errors import BadInput
from mammi.evaluation.final_layer import FinalLayer
from mammi.finished import read
from mammi.method.mammi import Mammi
from mammi.run_folder import RunFolder
from mammi.selection import Adaptive, TopK
from mammi.task.annotate import annotate
from tests.tiny import TinyConcepts, TinyDissector, TinySet, TinyTarget

ABOUT = {"name": "run", "choices": {"target": "phantom"}, "names": {"target": "phantom_densenet"}, "synthetic": True,
         "overrides": [], "seed": 0, "seconds": 2.5, "images": 9}
# name: (words with scores, hit, {image: part})
NEURONS = {"Mass": ([("mass", .5), ("none", .4)], 1, {"a": .6, "b": .4}),
           "Edema": ([("nan", .3)], 0, {"c": .3}),
           "Hernia": ([], 0, {})}


def run(folder, neurons=NEURONS, metrics=None, versions=None, config="seed: 0\nname: run\n", **about):
    (folder / ".hydra").mkdir(parents=True)
    if config is not None:
        (folder / ".hydra" / "config.yaml").write_text(config)
    (folder / "run.json").write_text(json.dumps(ABOUT | about))
    (folder / "versions.json").write_text(json.dumps(versions or {"numpy": "2.4"}))
    said = [(i, name, rank, word, score) for i, (name, (words, _, _)) in enumerate(neurons.items())
            for rank, (word, score) in enumerate(words, 1)]
    parts = [(i, name, words[0][0], image, part) for i, (name, (words, _, images)) in enumerate(neurons.items())
             for image, part in images.items()]
    rows = [(i, name, "ok" if words else "empty", len(images), hit)
            for i, (name, (words, hit, images)) in enumerate(neurons.items())]
    for file, columns, values in (("annotations", "neuron,name,rank,concept,score", said),
                                  ("contributions", "neuron,name,concept,image,part", parts),
                                  ("neurons", "neuron,name,status,images_selected,hit", rows)):
        pd.DataFrame(values, columns=columns.split(",")).to_csv(folder / f"{file}.csv", index=False)
    (folder / "metrics.json").write_text(json.dumps(metrics or {"hit": 1 / 3, "hit_low": .06, "n_neurons": 3}))
    return folder


def changed(found):
    return found.neurons.set_index("name")["change"].to_dict()


def test_the_same_run_twice_is_one_line(tmp_path, capsys):
    a, b = run(tmp_path / "a"), run(tmp_path / "b", seconds=9.1)
    assert compare(read(a), read(b)).same
    main(["diff", str(a), str(b)])
    printed = capsys.readouterr().out
    assert printed.startswith("the same: 3 neurons") and printed.count("\n") == 1


def test_what_has_no_effect_is_told_aside(tmp_path, capsys):
    a, b = run(tmp_path / "a"), run(tmp_path / "b", config="seed: 0\nname: other\npaths:\n  outputs: elsewhere\n")
    found = compare(read(a), read(b))
    assert found.same and [key for key, _, _ in found.aside] == ["name", "paths.outputs"]
    main(["diff", str(a), str(b)])
    assert "Without effect on any number: name, paths.outputs." in capsys.readouterr().out


def test_neuron_by_neuron(tmp_path, capsys):
    other = {"Mass": ([("tumour", .6), ("mass", .5)], 1, {"a": .6, "d": .2, "e": .1}),
             "Edema": ([("nan", .3 + 1e-9)], 0, {"c": .3}),
             "Hernia": ([("hernia", .2)], 1, {"f": .2})}
    a, b = run(tmp_path / "a"), run(tmp_path / "b", other, {"hit": 2 / 3, "hit_low": .2, "n_neurons": 3})
    main(["diff", str(a), str(b), "--csv", str(tmp_path / "out.csv")])
    found = compare(read(a), read(b))
    assert found.by == "name" and found.metrics == [("hit", 1 / 3, 2 / 3)]
    assert changed(found) == {"Mass": "top word, words, score, images", "Edema": "",
                              "Hernia": "top word, words, score, status, hit, images"}
    saved = pd.read_csv(tmp_path / "out.csv", keep_default_na=False).set_index("name")
    mass = saved.loc["Mass"]
    assert (mass["top_a"], mass["top_b"], mass["gained"], mass["lost"]) == ("mass", "tumour", "tumour", "none")
    assert (int(mass["n_images_a"]), int(mass["n_images_b"]), float(mass["images_shared"])) == (2, 3, 1)
    printed = capsys.readouterr().out
    for text in ("mass → tumour", "+ tumour", "- none", "0.500 → 0.600", "empty → ok", "2 → 3", "1 shared",
                 "1 of 3 are the same", "+0.3333", "0 right in A alone, 1 in B alone, of 3 judged"):
        assert text in printed, text
    assert "Edema" not in printed


def test_the_order_of_words_is_a_change_of_its_own(tmp_path):
    words = [("mass", .5), ("edema", .4), ("tumour", .4)]
    a = run(tmp_path / "a", {"Mass": (words, 1, {})})
    b = run(tmp_path / "b", {"Mass": ([words[0], words[2], words[1]], 1, {})})
    assert changed(compare(read(a), read(b))) == {"Mass": "order"}


def test_neurons_of_one_run_alone_are_listed(tmp_path, capsys):
    a, b = run(tmp_path / "a"), run(tmp_path / "b", {"Edema": NEURONS["Edema"], "Tube": NEURONS["Mass"]})
    assert changed(compare(read(a), read(b))) == {"Mass": "in A only", "Edema": "", "Hernia": "in A only",
                                                  "Tube": "in B only"}
    main(["diff", str(a), str(b)])
    assert "mass (in B only)" in capsys.readouterr().out


@pytest.mark.parametrize("names", [("a", "b", "c"), ("unit", "unit", "other")])
def test_without_shared_or_unique_names_the_index_matches(names, tmp_path):
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    frame = pd.read_csv(b / "neurons.csv")
    frame.assign(name=names).to_csv(b / "neurons.csv", index=False)
    found = compare(read(a), read(b))
    assert found.by == "index" and list(found.neurons["change"]) == [""] * 3
    assert list(found.neurons["name"]) == list(NEURONS)


def test_set_up_is_read_from_the_config_where_both_have_one(tmp_path, capsys):
    a = run(tmp_path / "a", config="seed: 0\nselection:\n  alpha: 0.93\ntarget:\n  classes: [x, y]\n")
    b = run(tmp_path / "b", config="seed: 1\nselection:\n  k: 40\ntarget:\n  classes: [x, z]\n", seed=1, images=12,
            versions={"numpy": "2.5", "scipy": "1"}, choices={"target": "planted"}, names={"target": "planted"})
    found = compare(read(a), read(b))
    assert set(found.settings) == {
        ("seed", "0", "1"), ("images", "9", "12"), ("selection.alpha", "0.93", "(absent)"),
        ("selection.k", "(absent)", "40"), ("target.classes", '["x", "y"]', '["x", "z"]'),
        ("target", "phantom_densenet", "planted")}
    assert found.versions == [("numpy", "2.4", "2.5"), ("scipy", "(absent)", "1")]
    main(["diff", str(a), str(b)])
    printed = capsys.readouterr().out
    assert "selection.alpha" in printed and "3 of 3 are the same." in printed and "Metrics: the same." in printed
    c = run(tmp_path / "c", config=None, overrides=["selection.k=40"])
    assert compare(read(a), read(c)).settings == [("selection.k", "(absent)", "40")]


def test_settings_that_another_option_brings_along_are_counted_not_listed(tmp_path, capsys):
    a = run(tmp_path / "a", config="target:\n  classes: [x]\nselection:\n  alpha: 0.93\n", metrics={"n_dead": 3})
    b = run(tmp_path / "b", config="target:\n  weights: w\n  seed: 1\nselection:\n  k: 40\n", metrics={"n_dead": 5},
            choices={"target": "planted"}, names={"target": "planted"}, overrides=["target.seed=1"])
    main(["diff", str(a), str(b)])
    printed = capsys.readouterr().out
    assert "target.classes" not in printed and "target.weights" not in printed
    assert "2 settings more that only A's or only B's option has" in printed
    assert all(key in printed for key in ("target.seed", "selection.alpha", "selection.k"))  # typed; no other option
    assert "+2\n" in "\n".join(line.rstrip() for line in printed.splitlines()) + "\n"


def test_real_and_synthetic_are_told_apart(tmp_path, capsys):
    main(["diff", str(run(tmp_path / "a")), str(run(tmp_path / "b", synthetic=False))])
    assert "A is on synthetic, B on real images: their numbers do not compare" in capsys.readouterr().out


def test_exact_mcnemar_is_the_sum_of_binomial_terms():
    neurons = pd.DataFrame({"hit_a": [1.0] * 6 + [0] * 9 + [1, None], "hit_b": [0.0] * 6 + [1] + [0] * 8 + [1, 1]})
    lost, gained, n, p = _mcnemar(neurons, "hit")
    assert (lost, gained, n) == (6, 1, 16)
    assert p == pytest.approx(2 * (comb(7, 0) + comb(7, 1)) / 2 ** 7)
    assert _mcnemar(neurons.assign(hit_b=neurons["hit_a"]), "hit")[3] is None
    assert _mcnemar(neurons.assign(hit_b=None), "hit") is None


def annotated(folder, cache, selection):
    annotate(TinyTarget(), TinySet(), TinyConcepts(), TinyDissector(), selection, Mammi(on_nonpositive_max="top1"),
             FinalLayer(bootstrap=20), Cache(cache), 2, RunFolder(folder, "run", {"selection": "x"}))
    return read(folder)


def test_what_annotate_leaves(tmp_path):
    one = annotated(tmp_path / "a", tmp_path / "cache", Adaptive(.93))
    assert compare(one, annotated(tmp_path / "b", tmp_path / "cache", Adaptive(.93))).same
    found = compare(one, annotated(tmp_path / "c", tmp_path / "cache", TopK(1)))
    row = found.neurons.set_index("name").loc["Effusion"]
    # Adaptive takes images 2 and 3 (9.4 and 10.0 above 9.3), TopK image 3 alone.
    assert (row["n_images_a"], row["n_images_b"], row["images_shared"]) == (2, 1, 1)
    assert "images" in row["change"] and "images_selected_max" in [key for key, _, _ in found.metrics]
    assert changed(found)["Nodule"] == "" and row["status_a"] == "ok"  # the dead neuron stays dead


# --- folders that are no finished annotation --------------------------------------------------------------------------


@pytest.mark.fault
def test_a_folder_that_does_not_exist_names_what_is_near(tmp_path):
    run(tmp_path / "control")
    with pytest.raises(BadInput, match="there is no folder .*contrl. Did you mean control"):
        read(tmp_path / "contrl")
    with pytest.raises(BadInput, match="control/run.json is a file. Next: give the folder of a run"):
        read(tmp_path / "control" / "run.json")
    with pytest.raises(BadInput, match="Give a run's folder"):
        read(tmp_path / "no" / "where")


@pytest.mark.fault
def test_a_sweep_or_study_names_its_runs(tmp_path):
    for i in range(12):
        run(tmp_path / "sweep" / f"{i:02d}")
    with pytest.raises(BadInput, match=r"holds 12. Give one of them \(the last ten\)") as error:
        read(tmp_path / "sweep")
    assert "sweep/11" in str(error.value) and "sweep/01" not in str(error.value)
    for part in ("target", "twin"):
        run(tmp_path / "study" / part)
    (tmp_path / "study" / "metrics.json").write_text("{}")
    with pytest.raises(BadInput, match="(?s)holds 2.*study/target.*study/twin"):
        read(tmp_path / "study")


@pytest.mark.fault
def test_an_unfinished_run_says_so_and_names_finished_ones(tmp_path, capsys):
    good, cut = run(tmp_path / "1"), run(tmp_path / "2")
    (cut / "metrics.json").unlink()
    with pytest.raises(BadInput, match="interrupted, or still goes on.* finished beside it: 1"):
        read(cut)
    with pytest.raises(SystemExit) as stopped:
        main(["diff", str(good), str(cut)])
    assert str(stopped.value).startswith("BadInput:") and not capsys.readouterr().out


@pytest.mark.fault
def test_a_table_that_cannot_be_written_is_one_line(tmp_path):
    a = str(run(tmp_path / "a"))
    for file in (tmp_path, tmp_path / "a" / "run.json" / "x.csv"):
        with pytest.raises(SystemExit, match="BadInput: --csv .* cannot be written .*give another file"):
            main(["diff", a, a, "--csv", str(file)])


@pytest.mark.fault
def test_a_run_of_another_task_is_refused(tmp_path):
    folder = run(tmp_path / "fit")
    for name in ("annotations.csv", "neurons.csv", "contributions.csv"):
        (folder / name).unlink()
    with pytest.raises(BadInput, match="annotations.csv, neurons.csv missing.*task=annotate"):
        read(folder)


@pytest.mark.fault
@pytest.mark.parametrize("file, text, reason", [
    ("run.json", "{", "run.json is damaged"), ("metrics.json", "[]", "metrics.json is damaged"),
    (".hydra/config.yaml", "a: [", "config.yaml is damaged"),
    ("annotations.csv", "neuron,name\n1,a\n", "annotations.csv is damaged .it has no column rank"),
    ("neurons.csv", "", "neurons.csv is damaged"), ("versions.json", "7", "versions.json is damaged")])
def test_a_damaged_file_is_named(file, text, reason, tmp_path):
    folder = run(tmp_path / "a")
    (folder / file).write_text(text)
    with pytest.raises(BadInput, match=reason):
        read(folder)
