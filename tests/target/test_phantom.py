import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mammi.errors import BadInput, MissingAsset
from mammi.phantom.names import FINDINGS
from mammi.probing_set.phantom import Phantom
from mammi.target.phantom import WEIGHTS, PhantomTarget
from mammi.task.fitting import aurocs

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def images():
    return Phantom(n=3000, seed=2, boost=.5, limit=500)


@pytest.fixture(scope="module")
def target():
    return PhantomTarget()


def card(seed):
    return json.loads((WEIGHTS / f"target_seed{seed}.json").read_text())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shipped_weights_give_the_outputs_of_their_card(seed):
    golden = card(seed)["golden"]
    first_two = Phantom(n=2, seed=2, boost=.5)
    assert list(first_two.ids) == golden["ids"]
    found = PhantomTarget(f"target_seed{seed}.safetensors").read(first_two.load([0, 1]), ["final"])["final"].pooled
    np.testing.assert_allclose(found.numpy(), golden["logits"], atol=.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_finding_is_solved_and_none_is_lost(seed):
    scores = card(seed)["validation_auroc"]
    assert list(scores) == list(FINDINGS) and card(seed)["seed"] == seed
    assert min(scores.values()) >= .80 and max(scores.values()) <= .98, scores


def test_half_the_validation_images_score_as_the_card_says(target, images):
    """Standard errors of AUROC on 500 images reach .04 for the rare findings."""
    logits = target.read(images.load(range(len(images))), ["final"])["final"].pooled.numpy()
    found, expected = aurocs(logits, images.labels, FINDINGS), card(0)["validation_auroc"]
    assert len(found) >= 12
    for name, value in found.items():
        assert abs(value - expected[name]) < .10, name
    assert abs(np.mean(list(found.values())) - card(0)["validation_auroc_mean"]) < .03


def test_layers(target, images):
    readings = target.read(images.load([0, 1, 2]), ["final", "penultimate", "features.denseblock1"], maps=True)
    assert readings["final"].pooled.shape == (3, 14) and target.neurons("final") == FINDINGS
    assert readings["penultimate"].maps.shape == (3, 128, 6, 6) and readings["penultimate"].maps.min() >= 0
    assert readings["features.denseblock1"].pooled.shape == (3, 64)
    torch.testing.assert_close(readings["final"].maps.mean((2, 3)), readings["final"].pooled, atol=1e-4, rtol=1e-4)
    assert target.neurons("penultimate")[-1] == "penultimate[127]"


def test_grey_colour_and_other_sizes_are_taken(target):
    grey = Image.fromarray((np.arange(96 * 96).reshape(96, 96) % 251).astype(np.uint8))
    assert torch.equal(target.transform(grey), target.transform(grey.convert("RGB")))
    assert target.transform(grey.resize((200, 150))).shape == (1, 96, 96)
    white = target.transform(Image.new("L", (96, 96), 255))
    torch.testing.assert_close(white, torch.full((1, 96, 96), (1 - .45) / .25))


def test_random_weights_come_from_the_seed_and_leave_torchs_generator_alone():
    state = torch.get_rng_state()
    a, b, c = (PhantomTarget(None, seed=s).fingerprint("final") for s in (0, 0, 1))
    assert a == b != c and torch.equal(state, torch.get_rng_state())


def test_weights_must_fit_exactly(tmp_path):
    state = load_file(WEIGHTS / "target_seed0.safetensors")
    state["extra.weight"] = torch.zeros(1)
    del state["classifier.bias"]
    state["classifier.weight"] = state["classifier.weight"][:3].contiguous()
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(BadInput, match=r"1 missing \(classifier.bias\); 1 unexpected \(extra.weight\); "
                                       r"1 of another shape \(classifier.weight "):
        PhantomTarget(tmp_path / "odd.safetensors")


def test_a_file_that_is_none_or_nothing_is_named(tmp_path):
    with pytest.raises(MissingAsset, match="target_seed9.*Shipped: target_seed0"):
        PhantomTarget("target_seed9.safetensors")
    (tmp_path / "text.safetensors").write_text("weights")
    with pytest.raises(BadInput, match="no whole .safetensors"):
        PhantomTarget(tmp_path / "text.safetensors")
