import pytest
import torch

from mammi.explainer.base import read
from mammi.explainer.random_masks import random_masks
from mammi.explainer.relax import Relax
from mammi.explainer.rise import Rise
from mammi.types import Reading, Readout
from tests.explainer.small import case


def masks(n=20, cells=3, keep=.5, size=(16, 16), seed=0, block=7):
    return torch.cat(list(random_masks(n, cells, keep, size, seed, block)))


def test_they_are_the_same_in_blocks_of_any_size_and_others_by_seed():
    assert torch.equal(masks(block=1), masks(block=100)) and not torch.equal(masks(), masks(seed=1))
    assert masks(size=(10, 13), cells=4).shape == (20, 10, 13)


@pytest.mark.parametrize("keep", [0, .3, 1])
def test_each_pixel_is_shown_as_often_as_asked(keep):
    many = masks(2000, keep=keep)
    assert 0 <= many.min() and many.max() <= 1
    torch.testing.assert_close(many.mean(0), torch.full((16, 16), float(keep)), rtol=0, atol=.06)


def test_rise_by_a_plain_loop():
    target, x, readouts = case()
    out, shown = Rise(masks=20, cells=3, batch_size=6)(target, x, readouts), masks()
    for i in range(len(x)):
        values = [read(target, x[i:i + 1] * m, readouts[i:i + 1]).item() for m in shown]
        for row, column in ((0, 0), (7, 9), (15, 3)):
            weights = shown[:, row, column].tolist()
            score = sum(v * w for v, w in zip(values, weights)) / sum(weights)
            least = min(sum(v * w for v, w in zip(values, shown[:, r, c].tolist())) / float(shown[:, r, c].sum())
                        for r in range(16) for c in range(16))
            assert out[i, row, column].item() == pytest.approx(score - least, abs=1e-5)


def test_an_offset_of_the_output_leaves_rise_as_it_is():
    class Shifted:
        name, device = "shifted", torch.device("cpu")
        offset = 0.0

        def forward(self, x, layers, maps=False):
            return {"a": Reading(x[:, :, :4].mean((1, 2, 3))[:, None] + self.offset)}

    one, other = Shifted(), Shifted()
    other.offset = 50.0
    x = torch.rand(1, 1, 16, 16)
    a, b = (Rise(masks=40)(subject, x, [Readout("a", 0)]) for subject in (one, other))
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert a[0, :4].mean() > 1.5 * a[0, 8:].mean(), "the rows that count"


def test_relax_by_a_plain_loop():
    target, x, readouts = case()
    out, uncertain = Relax(masks=20, cells=3, batch_size=6).with_uncertainty(target, x, readouts)
    shown = masks().double()

    @torch.no_grad()
    def features(images):
        return target.forward(images, ["penultimate"])["penultimate"].pooled.double()

    whole = features(x[1:2])[0]
    s = []
    for m in shown.float():
        part = features(x[1:2] * m)[0]
        s.append(float(whole @ part / (whole.norm() * part.norm())))
    s = torch.tensor(s)[:, None, None].double()
    importance = (s * shown).sum(0) / shown.sum(0)
    variance = (shown * (s - importance) ** 2).sum(0) / shown.sum(0)
    torch.testing.assert_close(out[1].double(), importance - importance.min(), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(uncertain[1].double(), variance, rtol=1e-3, atol=1e-6)


def test_relax_asks_the_embedding_not_the_read_out_and_can_leave_out_what_is_uncertain():
    target, x, readouts = case()
    out, uncertain = Relax(masks=20, cells=3).with_uncertainty(target, x, readouts)
    assert torch.equal(out, Relax(masks=20, cells=3)(target, x, readouts[::-1]))
    kept = Relax(masks=20, cells=3, certain=True)(target, x, readouts)
    unsure = uncertain >= uncertain.mean((1, 2), keepdim=True)
    assert (kept[unsure] == 0).all() and torch.equal(kept[~unsure], out[~unsure])
