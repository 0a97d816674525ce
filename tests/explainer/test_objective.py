"""One step of each loss, computed again in float64 from its parts."""
import numpy as np
import pytest
import torch

from mammi.errors import BadInput
from mammi.explainer.decoder import Decoder
from mammi.explainer.features import find
from mammi.explainer.objective import LOSSES, Objective, rules
from mammi.explainer.smoothing import random_kernel, smooth
from mammi.explainer.strength import Strength
from tests.explainer.small_subject import Small, images

X = images()
LABELS = torch.tensor([0, 2, 1, 1])


def objective(mode, loss, subject=None, layer="final", weight=2.0, generator=1, occlusion="mean"):
    subject = subject or Small()
    rule = rules(mode, loss, occlusion, side=16, kernel=3)
    strength = Strength("sigmoid", [0, 2]) if mode == "fixed" and not rule.embeds else None
    return Objective(subject, find(subject, X, layer), layer, strength, rule, weight,
                     torch.Generator().manual_seed(generator))


def decoder(step):
    torch.manual_seed(7)
    return Decoder(step.tap.channels, 2 if step.strength else 1, 16).eval()


def again(step, net, mode, layer="final"):
    """(m, unit drawn, answer of x, of x m, of x (1 - m)), as the step should have made them."""
    subject, generator = step.subject, torch.Generator().manual_seed(1)
    with torch.no_grad():
        z = subject.forward(X, ["final"])["final"].pooled[:, [0, 2]].sigmoid()
        drawn = (torch.multinomial(z + 1e-3, 1, generator=generator)[:, 0] if step.strength
                 else torch.zeros(4, dtype=torch.long))
        first = subject.module.first(X)
        mask = net([X, first, subject.module.second(first)], drawn)
        m = smooth(mask, random_kernel(3, generator), "circular" if mode == "paper" else "replicate")
        answers = [subject.forward(image, [layer], True)[layer] for image in (X, X * m[:, None], X * (1 - m[:, None]))]
    return m.double(), drawn, answers


def test_the_default_is_the_one_sided_loss_of_the_own_unit():
    step = objective("fixed", None)
    net = decoder(step)
    m, drawn, (before, after, _) = again(step, net, "fixed")
    units = np.array([0, 2])[drawn]
    z, z_m = (1 / (1 + np.exp(-r.pooled.double().numpy()[range(4), units])) for r in (before, after))
    w = z > .5
    plain = 1 - m.mean().item() + 2 * (1 - sum(w * np.maximum(0, z - z_m) ** 2) / w.sum())
    assert step(net, X).item() == pytest.approx(plain, abs=2e-6)


def test_the_own_loss_deletes_by_images_on_which_the_unit_is_silent(monkeypatch):
    assert rules().occlusion == "swap" and rules(loss="t").occlusion == rules("paper").occlusion == "mean"
    step, seen = objective("fixed", None, occlusion=None), []
    monkeypatch.setattr("mammi.explainer.losses.base_of", lambda x, *rest: seen.append(rest) or torch.zeros_like(x))
    step(decoder(step), X)
    occlusion, _, silent = seen[0]
    z = step.subject.forward(X, ["final"])["final"].pooled[:, [0, 2]].sigmoid()
    drawn = torch.multinomial(z + 1e-3, 1, generator=torch.Generator().manual_seed(1))[:, 0]
    assert occlusion == "swap"
    assert silent.tolist() == [[bool(z[j, drawn[i]] < .5) for j in range(4)] for i in range(4)]


@pytest.mark.parametrize("loss", ["t", "t_inverse", "t_contrastive"])
@pytest.mark.parametrize("mode", ["fixed", "paper"])
def test_losses_with_a_target(mode, loss):
    step = objective(mode, loss)
    net = decoder(step)
    m, drawn, answers = again(step, net, mode)
    if mode == "fixed":
        p, p_m, p_rest = (r.pooled.double()[range(4), torch.tensor([0, 2])[drawn]].sigmoid() for r in answers)
        near, far = ((p_m - p) ** 2).mean().item(), ((p_rest - p) ** 2).mean().item()
    else:  # softmax, and a B x B matrix of every image with every label
        p, p_m, p_rest = (r.pooled.double().softmax(1) for r in answers)
        near, far = (np.mean([(q[i, c] - p[i, c]).item() ** 2 for i in range(4) for c in LABELS])
                     for q in (p_m, p_rest))
    a = m.mean().item()
    plain = {"t": a + 2 * near, "t_inverse": 1 - a + 2 * (1 - near), "t_contrastive": a + near - far}[loss]
    assert step(net, X, LABELS).item() == pytest.approx(plain, abs=2e-6)


@pytest.mark.parametrize("loss", ["u", "u_contrastive"])
@pytest.mark.parametrize("mode", ["fixed", "paper"])
def test_losses_of_the_embedding(mode, loss):
    """Mode fixed compares the pooled layer, mode paper the rows of its maps."""
    step = objective(mode, loss, layer="penultimate")
    net = decoder(step)
    m, _, answers = again(step, net, mode, "penultimate")
    h, h_m, h_rest = ((r.pooled if mode == "fixed" else r.maps.flatten(0, 2)).double().numpy() for r in answers)

    def distance(u, v):
        cosines = [a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-8) for a, b in zip(u, v)]
        return (1 - np.mean(cosines)) / 2

    near, far, a = distance(h, h_m), distance(h_m, h_rest), m.mean().item()
    plain = 4 * near + a / 2 if loss == "u" else a / 2 + 4 * near - far * (near + 1e-6) + 1e-6
    assert step(net, X).item() == pytest.approx(plain, abs=5e-6)


def gradients(step, labels=None):
    net = decoder(step)
    step(net, X, labels).backward()
    return torch.cat([p.grad.flatten() for p in net.parameters()])


@pytest.mark.parametrize("loss", LOSSES["fixed"])
def test_a_step_moves_the_decoder_and_not_the_network(loss):
    step = objective("fixed", loss)
    step.subject.module.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in step.subject.module.state_dict().items()}
    grad = gradients(step)
    assert torch.isfinite(grad).all() and grad.abs().sum() > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in step.subject.module.state_dict().items())


def test_labels_lead_mode_paper_alone():
    """Any permutation of a batch's labels is the same to it: each image is held to all. Mode fixed asks for none."""
    one, permuted, other = (gradients(objective("paper", "t_inverse"), labels)
                            for labels in (LABELS, LABELS.flip(0), LABELS * 0))
    torch.testing.assert_close(one, permuted)
    assert not torch.allclose(one, other)
    assert torch.equal(gradients(objective("fixed", "own"), LABELS), gradients(objective("fixed", "own"), LABELS * 0))


def test_units_are_drawn_by_how_strongly_they_answer():
    step = objective("fixed", "own")
    z = torch.tensor([[.9, .1], [0, 1.]]).repeat(2000, 1)
    share = step.draw(z).view(-1, 2).float().mean(0)
    assert share.tolist() == pytest.approx([.1, .999], abs=.02)


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [
    ({"mode": "papers"}, "task.mode=papers: expected fixed or paper"),
    ({"loss": "owm"}, "task.loss=owm .*Did you mean own"),
    ({"mode": "paper", "loss": "own"}, "own is not the authors'.*task.mode=fixed"),
    ({"occlusion": "black"}, "task.occlusion=black"),
    ({"kernel": 4}, "task.kernel=4: expected an odd number of pixels, at most the image's 224"),
    ({"kernel": 225}, "task.kernel=225"), ({"kernel": "7"}, "task.kernel=7")])
def test_bad_options_are_named(options, words):
    with pytest.raises(BadInput, match=words):
        rules(**options)
