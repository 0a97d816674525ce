"""The layer's own map of a unit: the free baseline of every explainer, and the paper's heat map (section A.10)."""
import torch
from torch.nn.functional import interpolate

from mammi.errors import BadInput, number
from mammi.explainer.base import Explainer


class ActMap(Explainer):
    """A unit's map after ReLU, enlarged to the image (bilinear); of a class its class activation map.

    percentile  None, or of the map's cells: what does not exceed it becomes 0. The paper's figure has 70. It takes the
                map before the ReLU, where a percentile below 0 makes what is cut brighter than what is kept; here the
                ReLU comes first
    """

    name, maps, single_pass = "actmap", True, True

    def __init__(self, percentile=None):
        self.percentile = None if percentile is None else number("explainer.percentile", percentile, 0, 100)

    def check(self, subject, readouts):
        if not hasattr(subject, "read"):
            super().check(subject, readouts)

    @torch.no_grad()
    def __call__(self, subject, x, readouts):
        readings = subject.forward(x, list(dict.fromkeys(readout.layer for readout in readouts)), maps=True)
        for layer, reading in readings.items():
            if reading.maps is None:
                raise BadInput(f"explainer={self.name}: layer {layer} of {subject.name} has no spatial map. Choose a "
                               "layer that has one (task=layers lists them), or explainer=rise, which needs none")
        maps = torch.stack([readings[readout.layer].maps[i, readout.index] for i, readout in enumerate(readouts)])
        return enlarged(strongest(maps.float().relu(), self.percentile), x.shape[-2:])


def strongest(maps, percentile):
    """(B, h, w) with 0 for what does not exceed each map's ``percentile``; as they are where that is None."""
    if percentile is None:
        return maps
    least = torch.quantile(maps.flatten(1), percentile / 100, dim=1)[:, None, None]
    return torch.where(maps > least, maps, 0)


def enlarged(maps, size):
    """(B, H, W) of (B, h, w), bilinear."""
    return interpolate(maps[:, None], size, mode="bilinear")[:, 0]
