"""What every explainer offers: where in its input a model sees what it answers.

B images, (C, H, W) a prepared image.
"""
from abc import ABC, abstractmethod
from typing import Protocol

import torch

from mammi.errors import BadInput


class Subject(Protocol):
    """What is explained. Every :class:`~mammi.target.base.TorchTarget` is one; so is a dissector's fit to a concept.

    name    what rows and logs call it
    module  the torch network, in evaluation mode
    device  where it computes
    """

    name: str
    module: torch.nn.Module
    device: torch.device

    def prepare(self, batch) -> torch.Tensor:
        """(B, C, H, W) on the device, from a batch's raw images; 0 is a pixel of the training images' mean."""

    def forward(self, x, layers, maps=False) -> dict:
        """{layer: :class:`~mammi.types.Reading`} of prepared ``x``, differentiable."""

    def field(self, size) -> tuple:
        """(left, top, right, bottom) in pixels of an image of ``size`` (width, height): what ``prepare`` keeps."""


class Explainer(ABC):
    """Attributions of one read-out (a unit, a class, a concept, a regression output) over the pixels of an image.

    name       what rows and logs call it
    gradients  True where the subject must be differentiable
    maps       True where the read-out's layer must have spatial maps
    single_pass  True where an explanation takes one pass of the model, or one and back
    """

    name: str
    gradients: bool = False
    maps: bool = False
    single_pass: bool = False

    @abstractmethod
    def __call__(self, subject, x, readouts) -> torch.Tensor:
        """(B, H, W) float32, at least 0 and finite, in the frame of ``x``: how much each pixel speaks for the read-out.

        subject   a :class:`Subject`
        x         (B, C, H, W) prepared images
        readouts  B :class:`~mammi.types.Readout`, one an image

        The same call gives the same attributions. Raises :class:`BadInput` where the subject lacks what it needs.
        """

    def check(self, subject, readouts):
        """Raise :class:`BadInput` unless ``subject`` offers what this explainer needs of it, before the work."""
        if not hasattr(subject, "forward"):
            needs = "gradients, and" if self.gradients else "a network that prepared images can be given to, and"
            raise BadInput(f"explainer={self.name} needs {needs} {subject.name} has none; only explainer=actmap "
                           "explains units that are read off maps")

    def with_uncertainty(self, subject, x, readouts):
        """(attributions, (B, H, W) of how uncertain each is, or None where the explainer does not say)."""
        return self(subject, x, readouts), None


def read(subject, x, readouts):
    """(B,) values of the read-outs, one an image, differentiable."""
    layers = list(dict.fromkeys(readout.layer for readout in readouts))
    readings = subject.forward(x, layers)
    return torch.stack([readings[readout.layer].pooled[i, readout.index] for i, readout in enumerate(readouts)])


def without_offset(maps):
    """(B, H, W) less each map's own minimum: scores that no pixel can lower say nothing of where it matters."""
    return maps - maps.amin((1, 2), keepdim=True)


def of_sign(attributions, sign):
    """(B, H, W) at least 0 from (B, C, H, W) signed attributions, summed over channels.

    sign  ``absolute``, as NEMt's comparisons have it, or ``positive``: only what speaks for the read-out
    """
    total = attributions.detach().sum(1).float()
    return total.abs() if sign == "absolute" else total.relu()


def check_sign(sign):
    """``sign`` of :func:`of_sign`, or :class:`BadInput`."""
    if sign not in ("absolute", "positive"):
        raise BadInput(f"explainer.sign={sign}: expected absolute or positive")
    return sign
