"""task=explain end to end on few images, its choice of rows, truth and numbers, and what it refuses."""
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.evaluation.ranking import best_threshold
from mammi.explainer import metrics
from mammi.explainer.actmap import ActMap
from mammi.explainer.extremal import Extremal
from mammi.explainer.gradcam import GradCam
from mammi.explainer.relax import Relax
from mammi.explainer.rise import Rise
from mammi.gate.gate import Gate
from mammi.phantom.names import FINDINGS
from mammi.probing_set.phantom import Phantom
from mammi.run_folder import RunFolder
from mammi.target.phantom import PhantomTarget
from mammi.target.planted import Planted
from mammi.task.explain import explain
from mammi.task.explain_measure import Measure
from mammi.task.explain_numbers import means
from mammi.task.explain_rows import Row, predicted
from mammi.task.explain_truth import Truth
from mammi.types import Box, Check, Readout, Verdict
from tests.dissector.test_locked_text import dissector as locked
from tests.explainer.small import target as small
from tests.test_conf import config
from tests.tiny import TinySet, TinyTarget, evidence

OPTIONS = {"units": "labels", "limit": 4, "per_unit": 2, "choose": "any", "truth": None, "blocks": 8, "delete": .1,
           "fill": "mean", "resamples": 50, "batch_size": 5, "seed": 0}


@pytest.fixture(scope="module")
def phantom():
    return Phantom(n=24, boost=1.0)


@pytest.fixture(scope="module")
def val():
    return Phantom(n=60, seed=4, boost=1.0)


def run(folder, images, val=None, target=None, explainer=None, dissector=None, name="run", **more):
    out = RunFolder(folder / name)
    options = OPTIONS | more
    return explain(target or PhantomTarget(), images, val or images, dissector, explainer or GradCam(), cache=Cache(
        folder / "cache"), out=out, **options), out.path


@pytest.fixture(scope="module")
def done(tmp_path_factory, phantom):
    return run(tmp_path_factory.mktemp("explain"), phantom)


def test_it_leaves_what_it_says(done, phantom):
    (table, facts), folder = done
    assert set(table["explainer"]) == {"gradcam", "actmap", "random"} and len(table) == 3 * facts["n_explained"]
    kept = np.load(folder / "masks.npz")
    n = facts["n_explained"]
    assert kept["attributions"].shape == kept["actmap"].shape == kept["truth"].shape == (n, 96, 96)
    assert kept["attributions"].dtype == np.float16 and kept["attributions"].max((1, 2)) == pytest.approx(np.ones(n))
    assert list(kept["unit"]) == list(table.loc[table.explainer == "gradcam", "name"])
    assert Image.open(folder / "explain.png").size[0] > 300
    told = json.loads((folder / "metrics.json").read_text())
    assert told["mass"] == facts["mass"] and told["mass_low"] <= told["mass"] <= told["mass_high"]
    assert told["images"] == 4 and told["explainer_name"] == "gradcam" and (table["ms"].iloc[0] > 0)
    units = pd.read_csv(folder / "explain_units.csv")
    assert units["images"].sum() == len(table)
    for rows in (table, units, pd.read_csv(folder / "explain_metrics.csv")):
        assert set(rows["gate"]) == {"not asked"} and told["gate"] == "not asked", "no dissector named these units"


def test_its_numbers_are_those_of_the_maps_against_the_exact_masks(done, phantom):
    (table, facts), folder = done
    own, kept = table[table.explainer == "gradcam"].reset_index(drop=True), np.load(folder / "masks.npz")
    for i, row in own.iterrows():
        where = phantom.ids.index(row["image"])
        mask = phantom.load([where], masks=True).masks[0][phantom.mask_names.index(row["concept"])]
        assert phantom.labels[where, FINDINGS.index(row["concept"])] == 1 and (kept["truth"][i] == mask).all()
        assert row["area"] == row["deleted"] == pytest.approx(mask.mean())
        assert row["mass"] == pytest.approx(metrics.mass(kept["attributions"][i], mask), abs=2e-3)
    assert facts["mass"] == pytest.approx(own["mass"].mean()) and facts["chance"] == pytest.approx(own["area"].mean())
    assert facts["mass_over_chance"] == pytest.approx(own["mass"].mean() / own["area"].mean())


def test_drop_by_hand(done, phantom):
    import torch

    (table, _), folder = done
    row = table[table.explainer == "gradcam"].iloc[0]
    target, where = PhantomTarget(), phantom.ids.index(row["image"])
    a = GradCam()(target, target.prepare(phantom.load([where])), [target.unit("final", row["unit"])])[0].numpy()
    x = target.prepare(phantom.load([where]))
    top = np.argsort(-a.ravel(), kind="stable")[:max(1, round(row["area"] * a.size))]
    without = x.clone().flatten()
    without[top] = 0
    with torch.no_grad():
        whole, less, none = (target.module(v.reshape(1, 1, 96, 96))[0, row["unit"]].item()
                             for v in (x, without, torch.zeros_like(x)))
    assert row["activation"] == pytest.approx(whole, abs=1e-4)
    wanted = np.clip((whole - less) / (whole - none), -1, 1) if whole - none > 1e-6 else np.nan
    assert row["drop"] == pytest.approx(wanted, abs=1e-4, nan_ok=True)


def test_a_second_run_says_the_same(done, phantom, tmp_path):
    (again, _), _ = run(tmp_path, phantom, batch_size=3)
    order = ["explainer", "image", "unit"]
    again, before = (t.drop(columns="ms").sort_values(order).reset_index(drop=True) for t in (again, done[0][0]))
    assert set(again["explainer"]) == {"gradcam", "actmap", "random"}
    pd.testing.assert_frame_equal(again, before, rtol=1e-3, atol=1e-3)


def test_what_is_timed_was_warm_the_activation_map_too(phantom, tmp_path):
    seen = []

    class Watched(Rise):
        def __call__(self, subject, x, readouts):
            seen.append(len(x))
            return super().__call__(subject, x, readouts)

    class Single(Watched):
        single_pass = True

    for kind, first in ((Watched, 1), (Single, 3)):
        seen.clear()
        run(tmp_path, phantom, explainer=kind(masks=2, cells=3), units=["Mass"], per_unit=5, batch_size=3,
            name=kind.__name__)
        assert seen == [first, 3, 2]
    maps = []

    class Baseline(ActMap):
        def __call__(self, subject, x, readouts):
            maps.append(len(x))
            return super().__call__(subject, x, readouts)

    target = PhantomTarget()
    measure = Measure(target, Truth(phantom), 8, .1, "mean", 3, 0)
    measure(Rise(masks=2, cells=3), [Row(i, target.unit("final", 0), "a") for i in range(5)], Baseline())
    assert maps == [3, 3, 2]


def test_predicted_classes_are_those_above_the_threshold_of_best_f1(phantom, val, tmp_path):
    target, some = PhantomTarget(), evidence(Cache(tmp_path), target=PhantomTarget(), images=phantom)
    belongs, p, thresholds = predicted(target, phantom, val, some)
    logits = target.read(val.load(range(60)), ["final"])["final"].pooled.double().numpy()
    for k in range(14):
        positive = val.labels[:, k] == 1
        wanted = best_threshold(1 / (1 + np.exp(-logits[:, k])), positive) if positive.any() else np.nan
        assert thresholds[k] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
        assert (belongs[:, k] == (p[:, k] >= thresholds[k])).all(), "never where val has no positive"


def test_units_are_shown_where_they_are_highest(phantom, tmp_path):
    target = PhantomTarget(layer="penultimate")
    (table, _), _ = run(tmp_path, phantom, target=target, units=[100, "penultimate[120]"], explainer=ActMap())
    a = target.read(phantom.load(range(24)), ["penultimate"])["penultimate"].pooled.numpy()
    for unit, own in table[table.explainer == "actmap"].groupby("unit"):
        assert list(own["image"]) == [phantom.ids[i] for i in np.argsort(-a[:, unit], kind="stable")[:2]]
    assert set(table["explainer"]) == {"actmap", "random"} and set(table["note"]) == {Truth.EMPTY}
    assert table["mass"].isna().all() and table["entropy"].notna().all() and table["drop"].notna().any()


def test_only_images_on_which_the_truth_is_drawn(phantom, tmp_path):
    (table, facts), _ = run(tmp_path, phantom, units=["Effusion", "Hernia"], choose="outlined", per_unit=3)
    assert facts["n_truth"] == facts["n_explained"] > 0 and (table["note"] == "").all()
    (table, _), _ = run(tmp_path, phantom, units=["Hernia"], choose="outlined", truth={"hernia": ["effusion"]},
                        name="other")
    own = table.iloc[0]
    i = phantom.ids.index(own["image"])
    masks = phantom.load([i], masks=True).masks[0]
    both = masks[phantom.mask_names.index("Hernia")] | masks[phantom.mask_names.index("Effusion")]
    assert own["area"] == pytest.approx(both.mean())


def test_a_concept_is_explained_by_the_dissector(phantom, tmp_path):
    (table, facts), folder = run(tmp_path, phantom, units=["concept:effusion", "concept:mass"], dissector=locked(),
                                 explainer=Relax(masks=6, cells=3))
    assert set(table["layer"]) == {"concept"} and list(table["concept"].unique()) == ["effusion", "mass"]
    assert set(table["explainer"]) == {"relax", "actmap", "random"}
    assert np.load(folder / "masks.npz")["uncertainty"].shape[0] == facts["n_explained"] == 4
    one, wanted = locked(), table[table.explainer == "relax"].iloc[0]
    batch = phantom.load([phantom.ids.index(wanted["image"])])
    score = one.score(batch, ["A chest x-ray image of a effusion"])[0, 0]
    assert wanted["activation"] == pytest.approx(score, abs=1e-5)


def test_the_gate_is_asked_about_the_words_of_concepts(phantom, tmp_path):
    asked, words = [], ["concept:effusion", "concept:mass", "concept:effusion"]

    def gate(evidence):
        asked.append((evidence.dissector.name, evidence.concepts.words, evidence.images is phantom))
        return Verdict("plausible", "it says", (Check("keys", "pass", "all there"),), {"images": [[1.]]})

    options = {"units": words, "dissector": locked(), "explainer": ActMap(), "per_unit": 1}
    (table, facts), folder = run(tmp_path, phantom, gate=gate, **options)
    assert asked == [(locked().name, ("effusion", "mass"), True)] and facts["gate"] == "plausible"
    for name in ("explain_metrics.csv", "explain_units.csv"):
        assert set(pd.read_csv(folder / name)["gate"]) == {"plausible"}
    assert (folder / "gate.csv").is_file() and "it says" in (folder / "run.json").read_text()
    (table, _), _ = run(tmp_path, phantom, name="none", **options)
    assert set(table["gate"]) == {"not checked"}


@pytest.mark.fault
def test_the_strict_gate_refuses_a_concept_of_weights_that_know_nothing(phantom, tmp_path):
    gate = Gate(images=24, permutations=100, allow=["verified", "plausible"])
    with pytest.raises(BadInput, match="the gate says of .* (failed|unverified) .allowed: verified, plausible"):
        run(tmp_path, phantom, units=["concept:effusion"], dissector=locked(), explainer=ActMap(), gate=gate)
    assert not (tmp_path / "run" / "explain_metrics.csv").exists()


def annotated(folder, images, layer="final", **more):
    """What a finished run leaves that is looked at: Effusion and Mass named, Nodule not."""
    out = RunFolder(folder)
    folder.mkdir()
    out.csv("neurons.csv", pd.DataFrame({"neuron": [2, 4, 5], "name": ["Effusion", "Mass", "Nodule"],
                                         "status": ["ok", "ok", "empty"], "images_selected": [3, 1, 2]}))
    out.csv("annotations.csv", pd.DataFrame({"neuron": [2, 4], "name": ["Effusion", "Mass"], "rank": 1, "score": .5,
                                             "concept": ["hydrothorax", "mass"]}))
    rows = [(2, "Effusion", "hydrothorax", images.ids[i], .1) for i in (3, 7, 9)]
    rows += [(4, "Mass", "mass", images.ids[11], .2)]
    out.csv("contributions.csv", pd.DataFrame(rows, columns=["neuron", "name", "concept", "image", "part"]))
    out.json("run.json", {"names": {"layer": layer, "target": "phantom_densenet"}, "synthetic": True,
                          "gate": {"verdict": "failed", "says": "words mean nothing"}, **more})
    out.json("metrics.json", {"n_neurons": 3})
    return f"annotated:{folder}"


def test_a_concept_that_is_drawn_nowhere_leaves_the_others_in_their_place(phantom, tmp_path):
    (table, _), _ = run(tmp_path, phantom, units=["concept:zebra", "concept:effusion"], dissector=locked(),
                        explainer=ActMap(), choose="outlined", per_unit=1)
    batch = phantom.load([phantom.ids.index(table["image"].iloc[0])])
    assert list(table["concept"].unique()) == ["effusion"] and table["activation"].iloc[0] == pytest.approx(
        locked().score(batch, ["A chest x-ray image of a effusion"])[0, 0], abs=1e-5)


def test_annotated_neurons_on_their_representative_images(phantom, tmp_path):
    units = annotated(tmp_path / "annotated", phantom)
    (table, _), folder = run(tmp_path, phantom, units=units, explainer=ActMap(), per_unit=2)
    assert set(table["gate"]) == {"failed"}, "as the run that named them has it"
    own = table[table.explainer == "actmap"]
    logits = PhantomTarget().read(phantom.load([3, 7, 9]), ["final"])["final"].pooled[:, 2].numpy()
    order = [phantom.ids[(3, 7, 9)[k]] for k in np.argsort(-logits, kind="stable")]
    assert list(own["image"]) == [*order[:2], phantom.ids[11]] and list(own["unit"]) == [2, 2, 4]
    assert list(own["concept"]) == ["hydrothorax", "hydrothorax", "mass"]
    masks = phantom.load([phantom.ids.index(own["image"].iloc[0])], masks=True).masks[0]
    area = masks[phantom.mask_names.index("Effusion")].mean()  # hydrothorax is an effusion
    assert own["area"].iloc[0] == pytest.approx(area) if area else np.isnan(own["area"].iloc[0])
    assert "1 of 3 neurons" in (folder / "run.json").read_text()


@pytest.mark.fault
def test_an_annotation_of_other_weights_is_told_and_one_that_does_not_say_is_noted(phantom, tmp_path):
    def notes(folder):
        return " ".join(json.loads((folder / "run.json").read_text())["notes"])

    units = annotated(tmp_path / "other", phantom, target_fingerprint="of another seed")
    with pytest.raises(BadInput, match="with other weights, transform or reducer"):
        run(tmp_path, phantom, units=units, explainer=ActMap())
    units = annotated(tmp_path / "same", phantom, target_fingerprint=PhantomTarget().fingerprint("final"))
    _, folder = run(tmp_path, phantom, units=units, explainer=ActMap(), name="same_run")
    assert "only the target's name" not in notes(folder)
    units = annotated(tmp_path / "older", phantom)
    _, folder = run(tmp_path, phantom, units=units, explainer=ActMap(), name="older_run")
    assert "only the target's name and layer were compared" in notes(folder)


@pytest.mark.fault
def test_an_annotation_of_something_else_is_told(phantom, tmp_path):
    units = annotated(tmp_path / "annotated", phantom)
    with pytest.raises(BadInput, match="its layer is final, here it is penultimate"):
        run(tmp_path, phantom, units=units, target=PhantomTarget(layer="penultimate"))
    with pytest.raises(BadInput, match="none of its representative images"):
        run(tmp_path, Phantom(n=4, seed=9), units=units)


def test_planted_units_are_read_off_their_maps_alone(phantom, tmp_path):
    (table, facts), folder = run(tmp_path, phantom, target=Planted(["Mass", "Effusion"]), units=["Effusion"],
                                 explainer=ActMap(), choose="outlined")
    own = table[table.explainer == "actmap"]
    assert (own["mass"] > .999).all() and (own["pointing"] == 1).all() and own["faithfulness"].isna().all()
    assert "no network" in " ".join(json.loads((folder / "run.json").read_text())["notes"])
    with pytest.raises(BadInput, match="needs a network"):
        run(tmp_path, phantom, target=Planted(["Mass"]), units=["Mass"], explainer=Rise(masks=2), name="no")


def test_sets_without_masks_have_the_metrics_that_need_none(tmp_path):
    (table, facts), folder = run(tmp_path, Small(), target=small(), units=[0, 1], explainer=Extremal(steps=3, cells=3))
    assert table["mass"].isna().all() and table["entropy"].notna().all() and np.isnan(facts["mass"])
    assert set(table["note"]) == {Truth.NONE} and (table["deleted"] == .1).all() and facts["n_truth"] == 0
    assert json.loads((folder / "metrics.json").read_text())["mass"] is None


class Small(TinySet):
    """Noise of 16 x 16 pixels."""

    def load(self, indices, masks=False):
        from dataclasses import replace

        rng = [np.random.default_rng(int(i)) for i in indices]
        return replace(super().load(indices), images=tuple(
            Image.fromarray(one.integers(0, 255, (16, 16), dtype=np.uint8)) for one in rng))


class Boxed(Small):
    """A box in a corner of the image, and one in its middle."""

    def load(self, indices, masks=False):
        from dataclasses import replace

        boxes = tuple((Box("Mass", 0, 0, 2, 2) if i % 2 else Box("Mass", 6, 6, 4, 3),) for i in indices)
        return replace(super().load(indices), boxes=boxes)


@pytest.mark.fault
def test_a_box_outside_of_the_crop_is_told_counted_and_left_out(tmp_path):
    class Crop:
        """The middle 8 x 8 pixels, enlarged."""

        def __call__(self, image):
            import torch

            return torch.from_numpy(np.array(image.crop((4, 4, 12, 12)).resize((16, 16), 0), np.float32))[None] / 64 - 2

        def field(self, size):
            return 4, 4, 12, 12

    target = small()
    target.transform, target.classes = Crop(), ("Mass", "B")
    (table, facts), folder = run(tmp_path, Boxed(4), target=target, units=["Mass"], per_unit=4)
    outside = table["note"] == Truth.OUTSIDE
    assert facts["n_outside"] == 2 and facts["n_truth"] == 2 and table.loc[outside, "mass"].isna().all()
    assert "2 of 4 truths lie outside" in " ".join(json.loads((folder / "run.json").read_text())["notes"])
    assert table.loc[~outside, "area"].to_numpy() == pytest.approx(8 * 6 / 256)  # 4 x 3 pixels, each enlarged to 2 x 2
    kept = np.load(folder / "masks.npz")["truth"]
    seen = kept[kept.any((1, 2))][0]
    assert seen[4:10, 4:12].all() and seen.sum() == 48


@pytest.mark.fault
@pytest.mark.parametrize("more, words", [
    ({"units": "predict"}, "expected predicted, labels, annotated"), ({"units": ["Efusion"]}, "Did you mean Effusion"),
    ({"units": [14]}, "no unit 14"), ({"units": ["concept:mass"]}, "task.dissector"),
    ({"units": ["concept:mass", "Mass"]}, "two runs"), ({"choose": "some"}, "any or outlined"),
    ({"blocks": 1}, "task.blocks"), ({"delete": 2}, "task.delete"), ({"fill": "grey"}, "mean or black"),
    ({"limit": 0}, "task.limit"), ({"units": "annotated:nowhere"}, "there is no folder"),
    ({"units": ["Pneumonia"], "choose": "outlined", "images": Phantom(n=3)}, "no image on which its truth is drawn")])
def test_bad_options_are_told(phantom, tmp_path, more, words):
    with pytest.raises(BadInput, match=words):
        run(tmp_path, more.pop("images", phantom), **more)


@pytest.mark.fault
def test_a_unit_that_never_fires_is_told(tmp_path):
    with pytest.raises(BadInput, match="Nodule never fires: it is 0.1 at most on 5 images"):
        run(tmp_path, TinySet(), target=TinyTarget(), units=["Nodule"])


@pytest.mark.fault
def test_thresholds_of_other_images_are_refused(phantom, tmp_path):
    class Other(Phantom):
        dataset = "other"

    with pytest.raises(BadInput, match="thresholds must come from images like"):
        run(tmp_path, phantom, Other(n=30, seed=4), units="predicted")


@pytest.mark.fault
def test_a_layer_without_maps_is_told_by_explainers_that_need_them_and_noted_by_others(tmp_path):
    target = small()
    target.head = None  # then the classes have no activation maps
    with pytest.raises(BadInput, match="no spatial map"):
        run(tmp_path, Small(), target=target, units=[0], explainer=ActMap())
    (table, _), folder = run(tmp_path, Small(), target=target, units=[0], explainer=Rise(masks=4, cells=3))
    assert set(table["explainer"]) == {"rise", "random"}
    assert "no activation map to compare with" in (folder / "run.json").read_text()


def test_a_dissector_is_built_for_concepts_alone():
    assert config("task=explain").task.dissector is None
    cfg = config("task=explain", "dissector@task.dissector=phantom_nce")
    assert cfg.task.dissector._target_ == "mammi.dissector.locked_text.LockedText" and cfg.task.units == "predicted"


def test_synonyms_name_the_truth():
    truth = Truth(TinySet(), {"Consolidation_of_lung": ["ground_glass"]})
    assert "effusion" in truth.names("pleural effusions") and truth.names("zebra") == {"zebra"}
    assert truth.names("consolidation of lung") == {"consolidation of lung", "ground glass"}


def test_a_mask_of_an_image_that_nobody_outlined_is_not_known():
    images = TinySet()
    images.outlined = np.array([True, False, True, True, True])
    mask = np.ones((4, 4), bool)
    row = Row(1, Readout("final", 0, "Mass"), "Mass")
    assert Truth(images).mask(row, {"mass": mask}, (4, 4), (0, 0, 4, 4), (8, 8)) == (None, Truth.UNKNOWN)
    seen, note = Truth(images).mask(row._replace(image=0), {"mass": mask}, (4, 4), (0, 0, 4, 4), (8, 8))
    assert seen.all() and seen.shape == (8, 8) and note == ""


def test_intervals_resample_patients():
    rows = pd.DataFrame({"explainer": "e", "patient": list("aabbcc"), "mass": [0, 0, 1, 1, np.nan, np.nan],
                         "area": .25, "ms": 2.0})
    for name in ("rank", "pointing", "drop", "faithfulness", "entropy", "gini"):
        rows[name] = np.nan
    facts = means(rows, "e", 500, 0)
    assert facts["mass"] == .5 and facts["mass_n"] == 4 and facts["mass_low"] == 0 and facts["mass_high"] == 1
    assert facts["chance"] == .25 and facts["mass_over_chance"] == 2 and np.isnan(facts["rank"])


def test_maps_that_are_zero_leave_chance_as_well_and_are_counted():
    own = {"explainer": "e", "mass": [.4, .2, np.nan], "area": [.1, .2, .9], "entropy": [1, 1, np.nan], "gini": np.nan}
    beside = {"explainer": "random", "mass": [.1, .2, .9], "area": [.1, .2, .9], "entropy": 2, "gini": 0}
    rows = pd.concat([pd.DataFrame(one | {"patient": list("abc"), "ms": 1.0, "drop": [.5, np.nan, np.nan]})
                      for one in (own, beside)])
    rows[["rank", "pointing", "faithfulness"]] = np.nan
    facts = means(rows, "e", 20, 0)
    assert facts["chance"] == pytest.approx(.15) and facts["mass_over_chance"] == pytest.approx(2)
    assert (facts["n_zero_maps"], facts["mass_n"], facts["drop_n"]) == (1, 2, 1)
    assert facts["mass_over_chance_random"] == pytest.approx(1) and facts["chance_random"] == pytest.approx(.4)
    assert facts["n_zero_maps_random"] == 0 and facts["mass_random_n"] == 3


def test_zero_maps_are_noted(phantom, tmp_path, capsys):
    class Half(ActMap):
        name = "half"

        def __call__(self, subject, x, readouts):
            maps = super().__call__(subject, x, readouts)
            maps[::2] = 0
            return maps

    (table, facts), folder = run(tmp_path, phantom, explainer=Half(), units=["Effusion"], per_unit=4, choose="outlined")
    own = table[table.explainer == "half"]
    assert facts["n_zero_maps"] == 2 == own["mass"].isna().sum() and facts["mass_n"] == 2 and facts["n_explained"] == 4
    assert facts["chance"] == pytest.approx(own.loc[own["mass"].notna(), "area"].mean())
    assert "2 of 4 maps of half are 0 everywhere" in (folder / "run.json").read_text()
    said = " ".join(capsys.readouterr().out.split())
    assert f"mass is a mean over 2 explanations, drop over {facts['drop_n']}; 2 maps are 0 everywhere" in said
