import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from mammi.errors import BadInput, MissingAsset
from mammi.explainer.actmap import ActMap
from mammi.explainer.decoder import Decoder
from mammi.explainer.decoder_file import save
from mammi.explainer.features import find
from mammi.explainer.nemt import Nemt
from mammi.explainer.objective import rules
from mammi.explainer.smoothing import box, random_kernel, smooth
from mammi.probing_set.phantom import Phantom
from mammi.target.phantom import PhantomTarget
from mammi.types import Readout
from tests.explainer.small_subject import Small, images

UNITS, NAMES = [2, 0], ["c", "a"]
C, A = Readout("final", 2, "c"), Readout("final", 0, "a")


def written(path, subject, mode="fixed", loss=None, channels=2, **change):
    """A decoder of units c and a, drawn from a seed."""
    tap = find(subject, images(), "final")
    torch.manual_seed(3)
    decoder = Decoder(tap.channels, channels, 16)
    card = {"target": subject.name, "fingerprint": subject.fingerprint("final"), "layer": "final", "units": UNITS,
            "unit_names": NAMES, "rules": rules(mode, loss, kernel=3, side=16)._asdict(),
            "features": {"names": tap.names, "channels": tap.channels, "tokens": False},
            "decoder": {"skips": tap.channels, "channels": channels, "width": 16, "partition": 1}, **change}
    save(decoder, path, card)
    return path


@pytest.fixture
def subject():
    return Small()


def plain(nemt, subject, x, channel, kernel, padding="replicate"):
    """m of each image, one after the other, from the parts."""
    with torch.no_grad():
        first = subject.module.first(x)
        masks = [nemt.decoder([x[i:i + 1], first[i:i + 1], subject.module.second(first)[i:i + 1]],
                              torch.tensor([channel[i]])) for i in range(len(x))]
        return torch.cat([smooth(mask, kernel, padding) for mask in masks])


def test_an_explanation_is_what_is_deleted_of_the_unit_s_own_channel(subject, tmp_path):
    nemt, x = Nemt(written(tmp_path / "w.safetensors", subject)), images(3)
    E = nemt(subject, x, [A, C, A])
    assert E.shape == (3, 16, 16) and E.dtype == torch.float32 and not E.requires_grad
    assert torch.isfinite(E).all() and 0 <= E.min() and E.max() <= 1
    torch.testing.assert_close(E, 1 - plain(nemt, subject, x, [1, 0, 1], box(3)))
    assert not torch.allclose(E, nemt(subject, x, [C, C, C]))


def test_an_explanation_of_a_preserving_loss_is_the_mask(subject, tmp_path):
    nemt, x = Nemt(written(tmp_path / "w.safetensors", subject, loss="t")), images(2)
    torch.testing.assert_close(nemt(subject, x, [A, C]), plain(nemt, subject, x, [1, 0], box(3)))


def test_explanations_are_the_same_at_each_call_and_in_any_batch(subject, tmp_path):
    for mode, loss, channels in (("fixed", None, 2), ("paper", None, 1)):
        nemt, x = Nemt(written(tmp_path / f"{mode}.safetensors", subject, mode, loss, channels)), images(3)
        E = nemt(subject, x, [A, C, A])
        assert torch.equal(E, nemt(subject, x, [A, C, A]))
        torch.testing.assert_close(E[1:2], nemt(subject, x[1:2], [C]))


def test_mode_paper_has_one_mask_for_all_and_a_kernel_of_noise_that_wraps_around(subject, tmp_path):
    path, x = written(tmp_path / "w.safetensors", subject, "paper", channels=1), images(2)
    nemt = Nemt(path, seed=4)
    E = nemt(subject, x, [A, A])
    assert torch.equal(E, nemt(subject, x, [C, C])) and not torch.equal(E, Nemt(path, seed=5)(subject, x, [A, A]))
    kernel = random_kernel(3, torch.Generator().manual_seed(4))
    torch.testing.assert_close(E, 1 - plain(nemt, subject, x, [0, 0], kernel, "circular"))


def test_a_network_is_left_as_it_was(subject, tmp_path):
    before = {name: tensor.clone() for name, tensor in subject.module.state_dict().items()}
    Nemt(written(tmp_path / "w.safetensors", subject))(subject, images(2), [A, C])
    assert all(torch.equal(tensor, before[name]) for name, tensor in subject.module.state_dict().items())
    assert not subject.module.training and not any(m._forward_hooks for m in subject.module.modules())


def test_the_shipped_decoder_explains_the_shipped_target_s_classes():
    target, nemt = PhantomTarget(), Nemt("nemt_final_seed0.safetensors")
    batch = Phantom(n=4, seed=2, boost=1).load(range(4))
    readouts = [target.unit("final", i) for i in (0, 1, 7, 13)]
    nemt.check(target, readouts)
    E = nemt(target, target.prepare(batch), readouts)
    assert E.shape == (4, 96, 96) and E.flatten(1).amax(1).min() > .1 and nemt.gradients is False
    assert nemt.card["unit_names"] == list(target.classes)
    assert "Pneumonia" in nemt.notes[0] and "Infiltration" not in nemt.notes[0] and "as good as empty" in nemt.notes[0]


@pytest.mark.fault
def test_a_decoder_of_another_target_is_refused(subject, tmp_path):
    nemt = Nemt(written(tmp_path / "w.safetensors", subject))
    nemt(subject, images(1), [A])
    with pytest.raises(BadInput, match="w.safetensors was fitted on layer final of small with other weights.*"
                                       "task=fit_explainer"):
        nemt.check(Small(seed=1), [A])
    with pytest.raises(BadInput, match="other weights"):
        Nemt("nemt_final_seed0.safetensors").check(PhantomTarget("target_seed1.safetensors"), [])


@pytest.mark.fault
@pytest.mark.parametrize("readout", [Readout("final", 1, "b"), Readout("penultimate", 0, "penultimate[0]")])
def test_a_read_out_without_a_channel_is_refused(subject, tmp_path, readout):
    nemt = Nemt(written(tmp_path / "w.safetensors", subject))
    words = rf"no channel for {readout.name[:4]}.* of layer {readout.layer}. Of layer final it has: c, a.*fit_explainer"
    with pytest.raises(BadInput, match=words):
        nemt.check(subject, [readout])
    with pytest.raises(BadInput, match=words):
        nemt(subject, images(1), [readout])


@pytest.mark.fault
def test_images_of_other_channels_are_refused(subject, tmp_path):
    with pytest.raises(BadInput, match=r"images of 1 channels, got \(1, 3, 16, 16\)"):
        Nemt(written(tmp_path / "w.safetensors", subject))(subject, images(1).expand(1, 3, 16, 16), [A])


@pytest.mark.fault
def test_a_subject_that_cannot_be_told_from_others_is_refused(subject, tmp_path):
    nemt = Nemt(written(tmp_path / "w.safetensors", subject))
    subject.fingerprint = None
    with pytest.raises(BadInput, match="small has no torch network with a fingerprint.*explainer=rise"):
        nemt.check(subject, [A])


@pytest.mark.fault
@pytest.mark.parametrize("name", [None, "nemt_final_seed9.safetensors", "no/such.safetensors"])
def test_an_absent_file_is_named_with_what_is_shipped(name):
    with pytest.raises(MissingAsset, match="Shipped: nemt_final_seed0.safetensors.*task=fit_explainer"):
        Nemt(name)


@pytest.mark.fault
def test_a_file_that_is_none_or_not_whole_is_refused(subject, tmp_path):
    path = written(tmp_path / "w.safetensors", subject)
    state = load_file(path)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match="is no safetensors file"):
        Nemt(cut)
    save_file(state, tmp_path / "bare.safetensors")
    with pytest.raises(BadInput, match="no card that tells target"):
        Nemt(tmp_path / "bare.safetensors")
    state.pop("head.weight")
    save_file(state, tmp_path / "less.safetensors", {"card": json.dumps(Nemt(path).card)})
    with pytest.raises(BadInput, match="does not fit its card"):
        Nemt(tmp_path / "less.safetensors")


def test_the_shipped_decoder_points_at_findings_better_than_chance_and_than_the_activation_map():
    """Means over classes of relevance mass / mean mask area, of up to 12 synthetic validation images each."""
    target, nemt, images = PhantomTarget(), Nemt("nemt_final_seed0.safetensors"), Phantom(n=300, seed=2, boost=1)
    with torch.no_grad():
        logits = target.module(target.prepare(images.load(range(300))))
    gains = {"nemt": [], "actmap": []}
    for c in range(14):
        positions = [i for i in range(300) if images.labels[i, c] == 1 and logits[i, c] > 0][:12]
        if len(positions) < 6:
            continue
        batch = images.load(positions, masks=True)
        x, readouts = target.prepare(batch), [target.unit("final", c)] * len(positions)
        masks = torch.from_numpy(batch.masks[:, c])
        for name, explainer in (("nemt", nemt), ("actmap", ActMap())):
            with torch.no_grad():
                E = explainer(target, x, readouts)
            mass = ((E * masks).sum((1, 2)) / E.sum((1, 2))).mean()
            gains[name].append((mass / masks.float().mean()).item())
    mean = {name: sum(values) / len(values) for name, values in gains.items()}
    assert len(gains["nemt"]) >= 9 and mean["nemt"] > 3 and mean["nemt"] > mean["actmap"], mean
