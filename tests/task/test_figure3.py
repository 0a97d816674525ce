"""Figure 3 on few images: which cases, whose neurons, which maps; and what it refuses."""
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.explainer.actmap import ActMap
from mammi.method.clip_dissect import ClipDissect
from mammi.method.mammi import Mammi
from mammi.method.tsi import Tsi
from mammi.phantom.names import FINDINGS
from mammi.probing_set.phantom import Phantom
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.target.phantom import PhantomTarget
from mammi.task.figure3 import figure3
from mammi.task.figure3_cases import chosen, mean_of, members_of, values_of
from tests.test_conf import config
from tests.tiny import TinyConcepts, TinyDissector, evidence

BELONGS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]], bool)
PROBABILITIES = np.array([[.9, 0, 0], [.95, .5, 0], [.1, .4, .3], [.6, 0, .9]])
IDS = tuple("abcd")


@pytest.fixture(scope="module")
def world():
    return Phantom(n=40, boost=1.0), Phantom(n=80, seed=4, boost=1.0)


def run(folder, images, val, target=None, shown=2, neurons=2, **more):
    methods = {"mammi": Mammi(), "tsi": Tsi(grid=12), "clip_dissect": ClipDissect(top_k=5)}
    return figure3(target or PhantomTarget(layer="penultimate"), images, TinyConcepts(FINDINGS), TinyDissector(),
                   TopK(3), methods, ActMap(70), val, shown, neurons, Cache(folder / "cache"), 16,
                   RunFolder(folder / "run"), **more)


def test_it_draws_the_leading_neurons_of_each_prediction(world, tmp_path):
    images, val = world
    table, facts = run(tmp_path, images, val)
    folder = tmp_path / "run"
    assert set(pd.read_csv(folder / "figure3.csv")["gate"]) == set(table["gate"]) == {"not checked"}
    assert Image.open(folder / "figure3.png").size[0] == 1400 and (folder / "figure3.pdf").read_bytes()[:4] == b"%PDF"
    assert json.loads((folder / "metrics.json").read_text())["cases"] == facts["cases"] == table["case"].nunique()
    target = PhantomTarget(layer="penultimate")
    head = target.module.classifier
    weight, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    for _, own in table.groupby("case"):
        i, c = images.ids.index(own["image"].iloc[0]), FINDINGS.index(own["class"].iloc[0])
        readings = target.read(images.load([i]), ["penultimate", "final"])
        a, logit = readings["penultimate"].pooled[0].double().numpy(), float(readings["final"].pooled[0, c])
        phi = weight[c] * a
        assert phi.sum() == pytest.approx(logit - bias[c], abs=1e-4), "exact: they add up to the output less its bias"
        assert list(own["neuron"]) == list(np.argsort(-phi, kind="stable")[:2])
        assert own["phi"].to_numpy() == pytest.approx(np.sort(phi)[::-1][:2], abs=1e-4)
        assert own["probability"].iloc[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
        assert own["probability"].iloc[0] >= own["threshold"].iloc[0]
        assert 0 <= own["map_cosine"].iloc[0] <= 1 + 1e-9
    assert {"mammi", "tsi", "clip_dissect"} <= set(table) and (table["mammi"] != "").all()


def test_importance_of_a_head_that_is_not_known_to_be_linear_is_the_same_here(world, tmp_path):
    images, _ = world
    known, unknown = (evidence(Cache(tmp_path), target=PhantomTarget(layer="penultimate"), images=images)
                      for _ in range(2))
    unknown.target.head = None
    pairs = [(0, 2), (5, 7), (6, 2)]
    np.testing.assert_allclose(values_of(unknown, pairs), values_of(known, pairs), rtol=1e-3, atol=1e-5)


def test_its_images_are_the_most_certain_of_the_classes_predicted_most():
    assert chosen(2, BELONGS, PROBABILITIES, IDS) == [1] and chosen(1, BELONGS, PROBABILITIES, IDS) == [1]
    less = PROBABILITIES.copy()
    less[1, 1] = .3
    assert chosen(2, BELONGS, less, IDS) == [1, 2], "class 0 is predicted three times, class 1 twice"
    assert chosen(["d", "a"], BELONGS, PROBABILITIES, IDS) == [3, 0]


@pytest.mark.fault
@pytest.mark.parametrize("images, belongs, words", [
    (["z"], BELONGS, "there is no image z"), (0, BELONGS, "task.images"),
    (["a"], BELONGS & False, "nothing to explain"), (3, BELONGS & False, "no class reaches its threshold")])
def test_images_that_cannot_be_shown_are_told(images, belongs, words):
    with pytest.raises(BadInput, match=words):
        chosen(images, belongs, PROBABILITIES, IDS)


@pytest.mark.fault
def test_another_layer_is_told(world, tmp_path):
    with pytest.raises(BadInput, match="target.layer=penultimate"):
        run(tmp_path, *world, target=PhantomTarget())


def test_the_experiment_sets_what_it_needs_and_names_what_the_paper_s_lacks(monkeypatch):
    from run import build_all

    monkeypatch.delenv("MAMMI_DATA", raising=False)
    cfg = config("experiment=figure3")
    assert cfg.target.layer == "penultimate" and cfg.explainer.percentile == 70
    assert list(cfg.task.methods) == ["mammi", "tsi", "falcon", "clip_dissect"]
    paper = config("experiment=figure3", "profile=paper")
    assert paper.target.layer == "penultimate" and "densenet121" in paper.target._target_
    with pytest.raises(Exception, match="target_weights") as error:
        build_all(paper, ("target", "probing_set", "dissector"))
    assert all(word in str(error.value) for word in ("paths.data", "paths.medclip"))


def test_maps_of_the_unit_are_the_figure_s(world):
    target = PhantomTarget(layer="penultimate")
    x = target.prepare(world[0].load([0]))
    maps = target.forward(x, ["penultimate"], maps=True)["penultimate"].maps[0].detach()
    out = ActMap(70)(target, x.expand(2, -1, -1, -1), [target.unit("penultimate", k) for k in (3, 90)])
    for own, k in zip(out, (3, 90)):
        kept = torch.where(maps[k] > np.percentile(maps[k].numpy(), 70), maps[k], 0)
        wanted = torch.nn.functional.interpolate(kept[None, None], (96, 96), mode="bilinear")[0, 0]
        torch.testing.assert_close(own, wanted)


def test_a_class_is_the_images_with_its_label_and_where_there_is_none_those_it_is_predicted_on():
    class Images:
        label_names = ("mass", "Big_Heart")
        labels = np.array([[1, 0], [np.nan, 0], [0, 0], [1, 0]])

        def __len__(self):
            return 4

    members, without = members_of(BELONGS, ("Mass", "big heart", "other"), Images())
    assert members.T.tolist() == [[True, False, False, True], BELONGS[:, 1].tolist(), BELONGS[:, 2].tolist()]
    assert without == ["big heart", "other"]
    Images.labels = None
    assert (members_of(BELONGS, "abc", Images())[0] == BELONGS).all()


@pytest.mark.parametrize("known", [True, False])
def test_mean_importance_is_the_mean_of_every_member_s(world, tmp_path, known):
    images, _ = world
    some = evidence(Cache(tmp_path), target=PhantomTarget(layer="penultimate"), images=images)
    if not known:
        some.target.head = None
    weight = some.target.module.classifier.weight.detach().double().numpy()
    members = images.labels[:, 2] == 1
    assert 1 < members.sum() < len(images)
    a = some.read(["penultimate"])["penultimate"]
    wanted = np.mean([weight[2] * a[i].astype(float) for i in np.flatnonzero(members)], 0)
    np.testing.assert_allclose(mean_of(some, 2, members), wanted, rtol=1e-3, atol=1e-5)


def test_the_class_s_place_of_a_neuron_is_by_the_images_with_the_label(world, tmp_path):
    images, val = world
    table, _ = run(tmp_path, images, val)
    target = PhantomTarget(layer="penultimate")
    a = target.read(images.load(range(len(images))), ["penultimate"])["penultimate"].pooled.double().numpy()
    weight = target.module.classifier.weight.detach().double().numpy()
    for row in table.itertuples():
        c = FINDINGS.index(row[3])
        order = np.argsort(-(weight[c] * a[images.labels[:, c] == 1].mean(0)), kind="stable").tolist()
        assert row.place_in_class == order.index(row.neuron) + 1


def test_activation_times_gradient_is_no_share_of_the_output(world, tmp_path):
    target = PhantomTarget(layer="penultimate")
    target.head = None
    run(tmp_path, *world, target=target, shown=1)
    told = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert told["share_of_leading"] is None
    assert "no share of the output" in (tmp_path / "run" / "run.json").read_text()


def test_overall_maps_are_cut_at_a_percentile_of_the_enlarged_maps(world, tmp_path):
    from mammi.task.explain_truth import Truth
    from mammi.task.figure3 import show
    from mammi.task.figure3_cases import Case

    images, _ = world
    target = PhantomTarget(layer="penultimate")
    some = evidence(Cache(tmp_path), target=target, images=images)
    phi = np.zeros(128)
    phi[[3, 90, 7]] = 3, 2, 1
    own = show(Case(0, "Mass", 4, .9, .5, phi, phi, 1.0), some, ActMap(), Truth(images), 2, 90)
    x = target.prepare(images.load([0]))
    wanted = 0
    for k in (3, 90, 7):
        large = ActMap()(target, x, [target.unit("penultimate", k)])[0].double().numpy()
        wanted = wanted + phi[k] / 6 * np.where(large > np.percentile(large, 90), large, 0)
    np.testing.assert_allclose(own.sample, wanted, atol=1e-5)
    assert (own.sample == 0).mean() > .6 and config("experiment=figure3").task.overall_percentile is None


@pytest.mark.fault
def test_a_percentile_that_is_none_is_told(world, tmp_path):
    with pytest.raises(BadInput, match="task.overall_percentile"):
        run(tmp_path, *world, overall_percentile=101)
