"""The layer's own map of a unit: the free baseline of every explainer, and the paper's heat map (section A.10)."""
import torch
from torch.nn.functional import interpolate

from mammi.errors import BadInput
from mammi.explainer.base import Explainer


class ActMap(Explainer):
    """A unit's map after ReLU, enlarged to the image (bilinear); of a class its class activation map."""

    name, maps = "actmap", True

    @torch.no_grad()
    def __call__(self, subject, x, readouts):
        readings = subject.forward(x, list(dict.fromkeys(readout.layer for readout in readouts)), maps=True)
        for layer, reading in readings.items():
            if reading.maps is None:
                raise BadInput(f"explainer={self.name}: layer {layer} of {subject.name} has no spatial map. Choose a "
                               "layer that has one (task=layers lists them), or explainer=rise, which needs none")
        maps = torch.stack([readings[readout.layer].maps[i, readout.index] for i, readout in enumerate(readouts)])
        return interpolate(maps.float().relu()[:, None], x.shape[-2:], mode="bilinear")[:, 0]
