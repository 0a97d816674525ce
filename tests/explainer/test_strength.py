import numpy as np
import pytest
import torch

from mammi.errors import BadInput
from mammi.explainer.strength import Strength, limits

VALUES = torch.tensor([[0., -1., 5.], [1., 2., 5.], [2., 0., 5.], [3., 0., 5.], [4., 0., 5.]])


def test_sigmoid_and_softmax_of_the_units_asked_for():
    z = Strength("sigmoid", [2, 0])(VALUES)
    np.testing.assert_allclose(z, 1 / (1 + np.exp(-VALUES.numpy()[:, [2, 0]])), rtol=1e-6)
    p = np.exp(VALUES.numpy())
    np.testing.assert_allclose(Strength("softmax", [1])(VALUES)[:, 0], p[:, 1] / p.sum(1), rtol=1e-5)


def test_softmax_of_one_output_is_the_second_of_two_classes():
    logits = torch.tensor([[.5], [-2.]])
    two = torch.cat([torch.zeros(2, 1), logits], 1).softmax(1)[:, 1:]
    torch.testing.assert_close(Strength("softmax", [0])(logits), two)


def test_quantiles_clip_between_the_20_and_the_95_percent():
    low, high = limits(VALUES)
    np.testing.assert_allclose(low, np.quantile(VALUES.numpy(), .2, axis=0))
    np.testing.assert_allclose(high[0], np.quantile(VALUES.numpy()[:, 0], .95))
    z = Strength("quantiles", [0], low[:1], high[:1])(VALUES)[:, 0]
    np.testing.assert_allclose(z, np.clip((np.arange(5) - low[0].item()) / (high[0] - low[0]).item(), 0, 1), rtol=1e-6)


def test_a_unit_that_is_silent_on_most_images_still_fires():
    rare = torch.zeros(100, 1)
    rare[7] = 3
    low, high = limits(rare)
    assert (low.item(), high.item()) == (0, 3)


def test_a_constant_unit_has_no_span():
    low, high = limits(VALUES)
    assert low[2] == high[2] == 5


@pytest.mark.fault
def test_an_unknown_way_to_read_is_named():
    with pytest.raises(BadInput, match="task.read=sigmoids: Did you mean sigmoid"):
        Strength("sigmoids", [0])
