import math

import pytest
import torch

from mammi.explainer.extremal import SHARPNESS, Extremal, _bumps, smooth
from mammi.types import Reading, Readout


class Patch:
    """f(x) is the mean of one quarter's middle: what has to be seen is known."""

    name, device = "patch", torch.device("cpu")

    def forward(self, x, layers, maps=False):
        return {"a": Reading(x[:, :, 4:10, 20:26].mean((1, 2, 3))[:, None])}


@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_the_mask_finds_the_patch_and_keeps_its_area(fill):
    x = torch.zeros(1, 1, 32, 32)
    x[:, :, 4:10, 20:26] = 2.0
    mask = Extremal(area=.08, steps=150, cells=8, smooth=.05, fill=fill)(Patch(), x, [Readout("a", 0)])[0]
    assert mask[4:10, 20:26].mean() > .8 and mask[16:].mean() < .05
    assert mask.mean() == pytest.approx(.08, abs=.04) and mask.max() <= 1


def test_a_smooth_maximum_by_a_plain_loop():
    grid, rows, columns = torch.rand(1, 3, 3), _bumps(7, 3, .2), _bumps(5, 3, .2)

    def soft(values):
        e = [math.exp(SHARPNESS * v) for v in values]
        return sum(v * w for v, w in zip(values, e)) / sum(e)

    out = smooth(grid, rows, columns)
    for r in range(7):
        for c in range(5):
            wide = [soft([float(grid[0, v, u] * columns[c, u]) for u in range(3)]) for v in range(3)]
            high = soft([w * float(rows[r, v]) for v, w in enumerate(wide)])
            assert out[0, r, c].item() == pytest.approx(high, abs=1e-5)


def test_a_bump_is_whole_over_its_cell_and_fades_beyond():
    bumps = _bumps(12, 3, .1)
    assert (bumps[:4, 0] == 1).all() and (bumps[4:, 0] < 1).all() and (bumps[4:, 0].diff() < 0).all()
    assert torch.allclose(bumps, bumps.flip(0, 1))
    beyond = 4.5 / 12 - 1 / 3  # from the first cell's rim to the fifth pixel's centre
    assert bumps[4, 0].item() == pytest.approx(math.exp(-beyond ** 2 / (2 * .1 ** 2)))
