import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mammi.errors import BadInput
from mammi.explainer.losses import occlude
from mammi.explainer.nemt import Nemt
from mammi.probing_set.phantom import Phantom
from mammi.run_folder import RunFolder
from mammi.target.phantom import PhantomTarget
from mammi.target.planted import Planted
from mammi.task.fit_explainer import fit_explainer, frozen
from mammi.task.fit_explainer_view import empty
from mammi.task.fitting import Inputs
from mammi.types import Readout
from tests.explainer.small_subject import Small, Spots

OPTIONS = dict(epochs=1, batch_size=16, width=16)
TRAIN, VAL = Spots(96), Spots(32, seed=2)


def fit(folder, layer="final", train=TRAIN, val=VAL, outputs=3, **more):
    return fit_explainer(Small(layer=layer, outputs=outputs), train, val, RunFolder(folder), **{**OPTIONS, **more})


def test_a_fit_leaves_a_decoder_that_explains_and_a_card_that_tells_the_truth(tmp_path):
    target, val = PhantomTarget(), Phantom(n=32, seed=2, boost=1)
    before = {name: tensor.clone() for name, tensor in target.module.state_dict().items()}
    card = fit_explainer(target, Phantom(n=32, seed=1, boost=1), val, RunFolder(tmp_path), epochs=1, batch_size=8,
                         width=8)
    told = json.loads((tmp_path / "card.json").read_text())
    assert {key: told[key] for key in ("units", "loss_by_epoch", "mean_over_units")} == {
        key: card[key] for key in ("units", "loss_by_epoch", "mean_over_units")}
    assert (tmp_path / "examples.png").stat().st_size > 5000
    nemt = Nemt(tmp_path / "weights.safetensors")
    state = load_file(tmp_path / "weights.safetensors")
    assert state["head.weight"].dtype == torch.float16 and len(state["head.weight"]) == len(card["units"])
    assert card["fingerprint"] == target.fingerprint("final") == nemt.card["fingerprint"]
    assert card["parameters"] == sum(p.numel() for p in nemt.decoder.parameters())
    # The network is as it was: weights, statistics of its normalisation, mode, gradients.
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.module.state_dict().items())
    assert not target.module.training and all(p.requires_grad and p.grad is None for p in target.module.parameters())

    row = max(card["units_on_validation"], key=lambda row: row["images"])
    unit = card["units"][card["unit_names"].index(row["unit"])]
    with torch.no_grad():  # its numbers again, an image at a time
        x = target.prepare(val.load(range(len(val))))
        z = target.module(x)[:, unit].sigmoid()
        best = [i for i in np.argsort(-z.numpy(), kind="stable")[:20] if z[i] > .5]
        E = torch.cat([nemt(target, x[i:i + 1], [Readout("final", unit)]) for i in best])
        drops = z[best] - target.module(occlude(x[best], 1 - E))[:, unit].sigmoid()
    assert row["images"] == len(best) and row["drop"] == pytest.approx(drops.mean().item(), abs=1e-4)
    assert row["area"] == pytest.approx(E.mean().item(), abs=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path):
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(tmp_path / name, seed=seed)
        weights.append(load_file(tmp_path / name / "weights.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])


@pytest.mark.parametrize("options", [{}, {"loss": "t", "accumulate": 2}, {"layer": "penultimate"}, {"mode": "paper"},
                                     {"loss": "u", "layer": "penultimate", "lr": .2}])
def test_fitting_lowers_the_loss(tmp_path, options):
    losses = fit(tmp_path, epochs=30, **options)["loss_by_epoch"]
    assert len(losses) == 30 and np.mean(losses[-3:]) < .9 * np.mean(losses[:3])


def test_what_it_learns_to_delete_is_what_the_class_is_read_from(tmp_path):
    """The bright square is a seventh of the image."""
    card = fit(tmp_path, epochs=60, units=["a"])
    assert card["mean_over_units"]["drop"] > .5
    positions = np.flatnonzero(VAL.labels[:, 0] == 1)
    target, bright = Small(), torch.from_numpy(VAL.pixels[positions] == 200)
    x = target.prepare(VAL.load(positions))
    E = Nemt(tmp_path / "weights.safetensors")(target, x, [target.unit("final", 0)] * len(x))
    mass, chance = ((E * bright).sum((1, 2)) / E.sum((1, 2))).mean(), bright.float().mean()
    assert mass > 3 * chance, (mass, chance)


@pytest.mark.parametrize("mode, loss, layer, outputs", [
    ("fixed", "t_inverse", "final", 3), ("fixed", "t_contrastive", "final", 3),
    ("fixed", "u_contrastive", "penultimate", 3), ("paper", None, "final", 3), ("paper", "t_contrastive", "final", 1),
    ("paper", "u_contrastive", "penultimate", 3)])
def test_every_loss_is_fitted_and_explains(tmp_path, mode, loss, layer, outputs):
    card = fit(tmp_path, layer, mode=mode, loss=loss, outputs=outputs)
    nemt, target = Nemt(tmp_path / "weights.safetensors"), Small(layer=layer, outputs=outputs)
    E = nemt(target, target.prepare(VAL.load([0, 1])), [target.unit(layer, card["units"][0])] * 2)
    assert E.shape == (2, 16, 16) and torch.isfinite(E).all() and E.min() >= 0
    assert card["rules"]["loss"] == (loss or "t_inverse") and (mode == "fixed" or nemt.card["decoder"]["channels"] == 1)


def test_named_units_get_a_channel_each(tmp_path):
    card = fit(tmp_path / "a", units=["b", 0])
    assert card["units"] == [1, 0] and card["unit_names"] == ["b", "a"]
    card = fit(tmp_path / "b", layer="penultimate", units=[0, 5])
    assert card["units"] == [0, 5] and card["options"]["read"] == "quantiles"


def test_images_in_which_nothing_fires_are_left_out(tmp_path, monkeypatch):
    asked, get = [], Inputs.__getitem__
    monkeypatch.setattr(Inputs, "__getitem__", lambda self, at: asked.append(at) or get(self, at))
    card = fit(tmp_path, units=["a"], batch_size=8)
    with torch.no_grad():
        fires = Small().module(Small().prepare(TRAIN.load(range(96))))[:, 0] > 0
    used = np.flatnonzero(fires)
    assert card["images_used"] == len(used) < 96
    steps = asked[12:]  # after the pass over all images
    assert len(steps) == len(used) // 8 and set(np.concatenate(steps)) <= set(used)


def test_images_without_a_class_are_left_out_in_mode_paper(tmp_path):
    card = fit(tmp_path / "a", mode="paper")
    assert card["images_used"] == TRAIN.labels.any(1).sum() < 96
    assert fit(tmp_path / "b", mode="paper", outputs=1)["images_used"] == 96


def test_a_layer_stays_trainable_when_it_was_and_frozen_only_meanwhile():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)).train()
    module[0].bias.requires_grad_(False)
    with frozen(module):
        assert not module.training and not any(p.requires_grad for p in module.parameters())
    assert module.training and [p.requires_grad for p in module.parameters()] == [True, False, True, True]


class Silent(Small):
    """Its class c never fires, its hidden unit 3 is constant."""

    def forward(self, x, layers, maps=False):
        readings = super().forward(x, layers, maps)
        for layer, unit, value in (("final", 2, -9.), ("penultimate", 3, 1.)):
            if layer in readings:
                pooled = readings[layer].pooled.clone()
                pooled[:, unit] = value
                readings[layer] = readings[layer]._replace(pooled=pooled)
        return readings


@pytest.mark.fault
@pytest.mark.parametrize("layer, unit, name", [("final", 2, "c"), ("penultimate", 3, "penultimate[3]")])
def test_a_unit_that_never_fires_is_dropped_with_a_note_or_refused_by_name(tmp_path, layer, unit, name):
    target = Silent(layer=layer)
    card = fit_explainer(target, TRAIN, VAL, RunFolder(tmp_path / "a"), **OPTIONS)
    assert unit not in card["units"]
    assert f"units never fire (z > 0.5) in 96 training images: {name}" in card["notes"][0]
    with pytest.raises(BadInput) as error:
        fit_explainer(target, TRAIN, VAL, RunFolder(tmp_path / "b"), units=[unit, 1], **OPTIONS)
    assert f"1 of 2 units never fire (z > 0.5) in 96 training images: {name}" in str(error.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [
    ({"units": ["aa"]}, "no unit 'aa'. Did you mean a"), ({"units": [3]}, "has units 0 to 2, not 3"),
    ({"units": [0, 1, 2, 3]}, "4 units, layer final of small only 3"),
    ({"units": []}, "expected different units"), ({"units": [1, 1]}, "expected different units"),
    ({"units": [1], "mode": "paper"}, "one mask for all read-outs"),
    ({"mode": "paper", "layer": "penultimate"}, "reads classes: target.layer=final, got penultimate"),
    ({"batch_size": 97}, "96 training images are fewer than batch_size=97"),
    ({"batch_size": 96}, "training images in which a unit fires are fewer than batch_size=96"),
    ({"epochs": 0}, "epochs=0"), ({"width": 0}, "task.width=0"), ({"accumulate": 1.5}, "task.accumulate=1.5"),
    ({"partition": 0}, "task.partition=0"), ({"weight": -1}, "task.weight=-1"), ({"read": "tanh"}, "task.read=tanh"),
    ({"occlusion": "black"}, "task.occlusion=black"), ({"kernel": 4}, "task.kernel=4"),
    ({"loss": "l2"}, "task.loss=l2")])
def test_bad_options_are_named_and_leave_nothing(tmp_path, options, words):
    with pytest.raises(BadInput, match=words):
        fit(tmp_path / "out", **{"units": None, **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.fault
def test_validation_images_must_be_there_and_apart(tmp_path):
    nobody = Spots(1, seed=2)
    nobody.ids = ()
    with pytest.raises(BadInput, match="no images to validate on.*task.val.split"):
        fit(tmp_path, val=nobody)
    with pytest.raises(BadInput, match="96 images are both in the training set"):
        fit(tmp_path, val=TRAIN)


@pytest.mark.fault
def test_a_target_without_a_network_is_told(tmp_path):
    with pytest.raises(BadInput, match="planted.* has no torch network"):
        fit_explainer(Planted(("Mass",)), TRAIN, VAL, RunFolder(tmp_path), **OPTIONS)


@pytest.mark.fault
def test_a_diverged_training_is_told_and_leaves_no_weights(tmp_path):
    with pytest.raises(BadInput, match="the loss is nan at step .*a smaller task.lr"):
        fit(tmp_path / "out", lr=1e30, epochs=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.fault
@pytest.mark.parametrize("experiment, folder", [("nemt_rsna", "rsna_pneumonia"), ("nemt_ham10000", "ham10000"),
                                                ("nemt_rsna_medclip", "rsna_pneumonia")])
def test_the_published_settings_compose_and_name_what_is_missing(tmp_path, experiment, folder):
    from run import build, teach
    from tests.test_conf import config

    cfg = config(f"experiment={experiment}", f"paths.data={tmp_path}")
    assert (cfg.task.batch_size, cfg.task.accumulate, cfg.task.lr, cfg.task.weight_decay) == (32, 4, 1, .01)
    assert cfg.task.epochs == (10 if "medclip" in experiment else 5) and cfg.task.width == 256
    for name in ("train", "val"):
        with pytest.raises(Exception) as error:  # noqa: PT011
            build(cfg, name)
        assert f"there is no folder {tmp_path}/{folder}" in teach(error.value)
    with pytest.raises(Exception) as error:  # noqa: PT011
        build(cfg, "target")
    assert ("paths.medclip" if "medclip" in experiment else "target.weights") in teach(error.value)


def test_masks_that_are_as_good_as_empty_are_told():
    rows = [{"unit": "a", "images": 3, "area": .2}, {"unit": "b", "images": 2, "area": .001}, {"unit": "c", "images": 0,
                                                                                             "area": float("nan")}]
    assert empty(rows[:1]) == [] and "the masks of 1 units are as good as empty" in empty(rows)[0]
    assert empty(rows)[0].endswith("hardly lowers them: b")
