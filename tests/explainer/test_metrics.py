"""Metrics on hand arrays, and against quantus."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammi.explainer import metrics

A = np.array([[0.0, 1.0], [2.0, 5.0]])
S = np.array([[False, False], [True, True]])
POSITIVE = arrays(np.float64, (5, 6), elements=st.floats(0, 100, allow_subnormal=False))


def test_hand_arrays():
    assert metrics.mass(A, S) == 7 / 8 and metrics.rank(A, S) == 1 and metrics.pointing(A, S) == 1
    assert metrics.mass(A, ~S) == 1 / 8 and metrics.rank(A, ~S) == 0 and metrics.pointing(A, ~S) == 0
    flat, one = np.ones((4, 5)), np.zeros((4, 5))
    one[2, 3] = 7
    assert metrics.mass(flat, flat > 0) == 1 and metrics.entropy(flat) == pytest.approx(np.log(20))
    assert metrics.gini(flat) == pytest.approx(0) and metrics.gini(one) == pytest.approx(19 / 20, abs=1e-5)
    assert metrics.entropy(one) == 0 and metrics.pointing(flat, one > 0) == 1 / 20


def test_a_uniform_map_has_the_mask_s_area():
    mask = np.zeros((10, 10), bool)
    mask[:3, :4] = True
    assert metrics.mass(np.ones((10, 10)), mask) == pytest.approx(mask.mean())


@pytest.mark.parametrize("metric", [metrics.mass, metrics.rank, metrics.pointing])
def test_what_is_not_defined_is_nan(metric):
    assert np.isnan(metric(A, np.zeros((2, 2), bool))) and np.isnan(metric(np.zeros((2, 2)), S))
    assert np.isnan(metrics.entropy(np.zeros((2, 2)))) and np.isnan(metrics.gini(np.zeros((2, 2))))


@given(POSITIVE, st.floats(.01, 50))
def test_scale_changes_nothing_and_ranges_hold(a, scale):
    mask = np.arange(30).reshape(5, 6) % 3 == 0
    for name in ("mass", "rank", "pointing"):
        value, scaled = (getattr(metrics, name)(x, mask) for x in (a, a * scale))
        assert np.isnan(value) or 0 <= value <= 1
        assert name != "mass" or value == pytest.approx(scaled, nan_ok=True)
    assert not metrics.entropy(a) > np.log(30) + 1e-9 and not metrics.gini(a) > 29 / 30 + 1e-9


def f(images):
    """A made-up model: a weighted sum and something that is not linear."""
    weights = np.linspace(-1, 2, images[0].size).reshape(images[0].shape)
    return np.array([(x * weights).sum() + abs(x).max() for x in images])


def test_drop_is_the_share_that_goes():
    def total(images):
        return images.sum((1, 2, 3))

    x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    assert metrics.drop(total, x, x[0], .25) == pytest.approx(.4)
    assert metrics.drop(total, x, x[0], .5) == pytest.approx(.7)
    assert metrics.drop(total, x, -x[0], .25) == pytest.approx(.1)
    assert np.isnan(metrics.drop(total, -x, x[0], .5)), "an empty image with a higher output has nothing to lose"
    assert metrics.drop(total, x, x[0], .25, fill=2.0) == pytest.approx(1)  # 10 to 8, and 8 is what is left of nothing


def test_faithfulness_by_a_plain_loop():
    rng = np.random.default_rng(0)
    x, a = rng.standard_normal((2, 6, 8)), rng.random((6, 8))
    pixels = sorted(((a[r, c], r, c) for r in range(6) for c in range(8)), key=lambda p: -p[0])
    sums, drops = [], []
    for start in range(0, 48, 8):
        part, without = pixels[start:start + 8], x.copy()
        for _, r, c in part:
            without[:, r, c] = .3
        sums.append(sum(p[0] for p in part))
        drops.append(f(x[None])[0] - f(without[None])[0])
    assert metrics.faithfulness(f, x, a, blocks=6, fill=.3) == pytest.approx(np.corrcoef(sums, drops)[0, 1])
    assert np.isnan(metrics.faithfulness(lambda images: np.ones(len(images)), x, a, blocks=6))


class TestAgainstQuantus:
    rng = np.random.default_rng(1)
    a = rng.random((3, 1, 12, 12))
    x = rng.standard_normal((3, 1, 12, 12)).astype(np.float32)
    s = rng.random((3, 1, 12, 12)) < .3

    @staticmethod
    def quantus():
        return pytest.importorskip("quantus", exc_type=ImportError)

    def score(self, name, **more):
        import torch

        class Model(torch.nn.Module):
            def forward(self, x):
                weights = torch.linspace(-1, 2, 144).reshape(1, 1, 12, 12).to(x)
                return torch.stack([(x * weights).sum((1, 2, 3)) + x.abs().amax((1, 2, 3))] * 2, 1)

        metric = getattr(self.quantus(), name)(disable_warnings=True, **more)
        return metric(model=Model().eval(), x_batch=self.x, y_batch=np.zeros(3, int), a_batch=self.a, s_batch=self.s,
                      device="cpu", softmax=False)

    @pytest.mark.parametrize("name, own", [("RelevanceMassAccuracy", metrics.mass),
                                           ("RelevanceRankAccuracy", metrics.rank), ("PointingGame", metrics.pointing)])
    def test_with_a_mask(self, name, own):
        wanted = [float(v) for v in self.score(name)]
        assert [own(a[0], s[0]) for a, s in zip(self.a, self.s)] == pytest.approx(wanted, abs=1e-6)

    @pytest.mark.parametrize("name, own", [("Complexity", metrics.entropy), ("Sparseness", metrics.gini)])
    def test_without(self, name, own):
        assert [own(a[0]) for a in self.a] == pytest.approx([float(v) for v in self.score(name)], abs=1e-5)

    def test_faithfulness(self):
        wanted = self.score("FaithfulnessEstimate", features_in_step=12, perturb_baseline="black")
        own = [metrics.faithfulness(f, x.astype(float), a[0], 12, x.min()) for x, a in zip(self.x, self.a)]
        assert own == pytest.approx([float(v) for v in wanted], abs=1e-4)
