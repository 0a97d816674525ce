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
    """

    name: str
    gradients: bool = False
    maps: bool = False

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
            raise BadInput(f"explainer={self.name}: {subject.name} has no network that prepared images could be given "
                           "to; only explainer=actmap explains units that are read off maps")


def read(subject, x, readouts):
    """(B,) values of the read-outs, one an image, differentiable."""
    layers = list(dict.fromkeys(readout.layer for readout in readouts))
    readings = subject.forward(x, layers)
    return torch.stack([readings[readout.layer].pooled[i, readout.index] for i, readout in enumerate(readouts)])
