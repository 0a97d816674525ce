import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mammi.errors import BadInput
from mammi.overlap import seen
from mammi.probing_set.phantom import Phantom
from mammi.run_folder import RunFolder
from mammi.target.phantom import PhantomTarget
from mammi.task import fitting
from mammi.task.fit_target import fit_target, masked_bce, one_cycle, positive_weights

OPTIONS = dict(epochs=1, lr=1e-3, batch_size=16)


@pytest.fixture(scope="module")
def train():
    return Phantom(n=64, seed=1, boost=.5)


@pytest.fixture(scope="module")
def val():
    return Phantom(n=64, seed=2, boost=1)


def fit(train, val, folder, **more):
    target = PhantomTarget(None, seed=0)
    return target, fit_target(target, train, val, RunFolder(folder), **{**OPTIONS, **more})


def test_a_fit_leaves_weights_that_load_and_a_card_that_tells_the_truth(train, val, tmp_path):
    target, scores = fit(train, val, tmp_path, half=True)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["validation_auroc"] == scores and 0 < len(scores) <= 14 and card["golden"]["ids"] == list(val.ids[:2])
    again = PhantomTarget(tmp_path / "weights.safetensors")
    logits = again.read(val.load([0, 1]), ["final"])["final"].pooled
    np.testing.assert_allclose(logits.numpy(), card["golden"]["logits"], atol=5e-3)
    assert load_file(tmp_path / "weights.safetensors")["classifier.weight"].dtype == torch.float16
    assert again.fingerprint("final") == target.fingerprint("final")
    assert again.fingerprint("final") != PhantomTarget(None, seed=0).fingerprint("final")


def test_a_fit_remembers_its_images_and_what_came_before(train, val, tmp_path):
    target, _ = fit(train, val, tmp_path)
    again = PhantomTarget(tmp_path / "weights.safetensors")
    assert again.trained_on == target.trained_on
    assert (seen(again, train), seen(again, val)) == (64, 0)
    keys = json.loads((tmp_path / "card.json").read_text())["trained_on"]["keys"]
    assert keys.split() == sorted(key[:12] for key in train.keys)
    fit_target(again, val, Phantom(n=16, seed=3), RunFolder(tmp_path / "on"), **OPTIONS)
    last = PhantomTarget(tmp_path / "on" / "weights.safetensors")
    assert (seen(last, train), seen(last, val), seen(last, Phantom(n=4, seed=3))) == (64, 64, 0)


def test_the_same_seed_gives_the_same_weights_however_images_are_kept(train, val, tmp_path, monkeypatch):
    a, _ = fit(train, val, tmp_path / "a")
    b, _ = fit(train, val, tmp_path / "b")
    assert a.fingerprint("final") == b.fingerprint("final")
    monkeypatch.setattr(fitting, "MEMORY", 0)
    c, _ = fit(train, val, tmp_path / "c")
    for name, weight in a.module.state_dict().items():
        torch.testing.assert_close(c.module.state_dict()[name], weight, atol=2e-2, rtol=2e-2)


def test_training_lowers_the_loss(train, val, tmp_path):
    fit(train, val, tmp_path / "short")
    fit(train, val, tmp_path / "long", epochs=12, lr=4e-3)
    loss = {n: json.loads((tmp_path / n / "card.json").read_text())["final_loss"] for n in ("short", "long")}
    assert loss["long"] < .8 * loss["short"]


def test_frozen_parts_stay_as_they_are_and_the_rest_moves(train, val, tmp_path):
    before = PhantomTarget(None, seed=0).module.state_dict()
    target, _ = fit(train, val, tmp_path, freeze=["features."], class_weights=True)
    moved = {name for name, weight in target.module.state_dict().items() if not torch.equal(weight, before[name])}
    assert moved == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("freeze, message", [(["feature_"], "freeze=feature_: no parameter begins so"),
                                             (["features", "classifier"], "nothing to train")])
def test_a_freeze_that_makes_no_sense_is_refused(train, val, tmp_path, freeze, message):
    with pytest.raises(BadInput, match=message):
        fit(train, val, tmp_path, freeze=freeze)


def test_too_few_images_are_refused(val, tmp_path):
    with pytest.raises(BadInput, match="4 training images"):
        fit(Phantom(n=4, seed=1), val, tmp_path)


def test_unknown_labels_count_for_nothing():
    logits, y = torch.tensor([[2., -1.], [.5, 3.]]), torch.tensor([[1., float("nan")], [0., 1.]])
    weights = torch.tensor([1., 4.])
    expected = [np.log1p(np.exp(-2)), np.log1p(np.exp(.5)), 4 * np.log1p(np.exp(-3))]
    assert masked_bce(logits, y, weights).item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert masked_bce(logits, torch.full((2, 2), float("nan"))).item() == 0


def test_rare_positives_weigh_more_within_limits():
    truth = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, np.nan, 0]] * 10, np.float32)
    assert positive_weights(truth).tolist() == pytest.approx([3, 1 / 20, 20])


@pytest.mark.parametrize("warm_up", (0, .2, 1))
def test_the_rate_rises_to_its_peak_and_falls_to_zero(warm_up):
    rates = [one_cycle(step / 100, warm_up) for step in range(101)]
    peak = int(100 * warm_up)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == 0 and (warm_up == 1 or rates[peak] == 1) and (warm_up == 0 or rates[0] == pytest.approx(.04))


@pytest.mark.parametrize("option, value", [("epochs", 0), ("epochs", 1.5), ("batch_size", 0), ("batch_size", -4),
                                           ("lr", "fast"), ("warm_up", 2), ("jitter", -1), ("weight_decay", None)])
def test_bad_numbers_are_named_and_leave_nothing(train, val, tmp_path, option, value):
    with pytest.raises(BadInput, match=f"{option}={value}: expected a"):
        fit(train, val, tmp_path, **{option: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
def test_validation_on_what_was_trained_on_is_refused(train, tmp_path):
    with pytest.raises(BadInput, match="64 images are both in the training set .* choose .*task.train.split, task.val"):
        fit(train, train, tmp_path)


@pytest.mark.fault
def test_a_diverged_training_is_told_and_leaves_no_weights(train, val, tmp_path):
    with pytest.raises(BadInput, match="the loss is (nan|inf) at step .*a smaller task.lr"):
        fit(train, val, tmp_path, lr=1e30, epochs=2)
    assert not (tmp_path / "weights.safetensors").exists()
