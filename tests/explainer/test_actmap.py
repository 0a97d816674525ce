import pytest
import torch

from mammi.errors import BadInput
from mammi.explainer.actmap import ActMap
from mammi.types import Reading, Readout

MAPS = torch.tensor([[[[-1.0, 0.0], [0.0, 2.0]]], [[[4.0, 0.0], [0.0, 0.0]]]])  # 2 images, 1 unit, 2 x 2


class Maps:
    name = "maps"

    def __init__(self, maps):
        self.maps = maps

    def forward(self, x, layers, maps=False):
        return {layer: Reading(torch.zeros(len(x), 1), self.maps) for layer in layers}


def test_the_unit_s_map_is_enlarged_without_what_is_negative():
    out = ActMap()(Maps(MAPS), torch.zeros(2, 1, 2, 2), [Readout("a", 0)] * 2)
    assert torch.equal(out, MAPS[:, 0].relu())
    large = ActMap()(Maps(MAPS), torch.zeros(2, 1, 8, 8), [Readout("a", 0)] * 2)
    assert large.shape == (2, 8, 8) and large.min() == 0 and large[0, 7, 7] == 2 and large[1, 0, 0] == 4


def test_a_layer_without_maps_is_told():
    with pytest.raises(BadInput, match="no spatial map"):
        ActMap()(Maps(None), torch.zeros(1, 1, 2, 2), [Readout("a", 0)])
