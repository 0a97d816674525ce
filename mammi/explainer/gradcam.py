"""Grad-CAM (Selvaraju et al., ICCV 2017): a layer's maps, weighed by how the read-out changes with each."""
from torch.nn.functional import interpolate

from mammi.errors import BadInput
from mammi.explainer.base import Explainer


class GradCam(Explainer):
    """ReLU(sum_k w_k A_k), w_k the mean over space of d f / d A_k; enlarged to the image (bilinear).

    layer  whose maps A are weighed. None: ``penultimate`` for a read-out of ``final``, else the read-out's own layer,
           where the result is the unit's activation map; give an earlier one to see more of a hidden unit. A concept is
           refused: a dissector's layers are not reached
    """

    name, gradients, maps, single_pass = "gradcam", True, True, True

    def __init__(self, layer=None):
        self.layer = layer

    def check(self, subject, readouts):
        super().check(subject, readouts)
        if not hasattr(subject, "gradients"):
            raise BadInput(f"explainer={self.name} looks into the layers of a network, and those of {subject.name} are "
                           "not reached; choose explainer=integrated_gradients, rise or relax")

    def __call__(self, subject, x, readouts):
        layer = self.layer or {"final": "penultimate"}.get(readouts[0].layer, readouts[0].layer)
        maps, gradients = subject.gradients(x, readouts, layer)
        if maps.ndim != 4:
            raise BadInput(f"explainer={self.name}: layer {layer} of {subject.name} has no spatial map. Choose one "
                           "that has (explainer.layer; task=layers lists them), or explainer=integrated_gradients")
        weights = gradients.mean((2, 3), keepdim=True)
        return interpolate((weights * maps).sum(1, keepdim=True).relu().float(), x.shape[-2:], mode="bilinear")[:, 0]
