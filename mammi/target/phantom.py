"""The phantom's classifier: 14 findings from a 96-pixel radiograph."""
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mammi.backbone import fill, read
from mammi.errors import MissingAsset
from mammi.phantom.names import FINDINGS
from mammi.phantom.network import SmallDenseNet
from mammi.target.base import Tap, TorchTarget
from mammi.target.training import trained_on

SIZE, MEAN, SD = 96, .45, .25
WEIGHTS = Path(__file__).parents[1] / "phantom" / "weights"


class GreyInput:
    """PIL image, any mode and size -> (1, 96, 96) float: grey in [0, 1], normalised."""

    def __call__(self, image):
        image = image.convert("L")
        if image.size != (SIZE, SIZE):
            image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return (torch.from_numpy(np.array(image, np.float32))[None] / 255 - MEAN) / SD

    @property
    def range(self):
        """(lowest, highest) value that a black and a white pixel lead to."""
        return -MEAN / SD, (1 - MEAN) / SD

    def __repr__(self):
        return f"GreyInput(size={SIZE}, mean={MEAN}, sd={SD})"


class PhantomTarget(TorchTarget):
    """Small DenseNet with 14 logits; layers ``final``, ``penultimate`` (128 maps of 6 x 6) and every module by name.

    weights  name of a file in ``mammi/phantom/weights``, or a path with a folder in it; None: random weights, drawn
             from ``seed``

    Raises :class:`MissingAsset` for an absent file, :class:`BadInput` for one that does not fit the network.
    """

    def __init__(self, weights="target_seed0.safetensors", layer="final", activation="logit", reducer="mean", seed=0,
                 device="cpu"):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            module = SmallDenseNet(len(FINDINGS))
        if weights is not None:
            fill(module, read(located(weights)), located(weights))
        taps = {"final": Tap("classifier"), "penultimate": Tap("features")}
        name = "phantom_densenet" if weights is not None else "phantom_densenet (random weights)"
        super().__init__(module, GreyInput(), taps, FINDINGS, "classifier", name=name, layer=layer,
                         activation=activation, reducer=reducer, device=device)
        if weights is not None:
            self.trained_on = trained_on(located(weights))
            self.notes = ("trained on synthetic images alone: of no use for patients",)


def located(weights):
    """Path of a weights file: a bare name is among the shipped ones."""
    path = Path(weights).expanduser()
    if path.name == str(weights):
        path = WEIGHTS / path
    if not path.is_file():
        shipped = sorted(p.name for p in WEIGHTS.glob("target_*.safetensors"))
        raise MissingAsset(f"target.weights: there is no {path}. Shipped: {', '.join(shipped) or 'none'}. "
                           "Next: target.seed=0, 1 or 2 for these; target.weights=null for random ones; or train some: "
                           "python run.py task=fit_target target.weights=null")
    return path
