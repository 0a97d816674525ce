"""What a network's images go through."""
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from mammi.errors import BadInput, near, number


@dataclass(frozen=True)
class ResizeCrop:
    """PIL image -> (C, crop, crop) float32: shorter side to ``resize``, centre crop, [0, 1], (x - mean) / sd.

    mean, sd  C numbers each, in units of pixels in [0, 1]; three for a colour network (a grey image is shown three
              times), one for a grey network (a colour image is shown in grey)
    filter    a name of ``PIL.Image.Resampling``

    Sides and corners are rounded as torchvision rounds them. Its repr holds all settings and is part of a target's
    fingerprint. ``range`` is what 8-bit images can become.
    """

    resize: int
    crop: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    filter: str = "BICUBIC"

    def __call__(self, image):
        colour = len(self.mean) == 3 and image.mode != "L"  # grey shown three times is resized once
        image = image.convert("RGB" if colour else "L")
        size, (left, top) = self._place(image.size)
        if size != image.size:
            image = image.resize(size, Image.Resampling[self.filter])
        image = image.crop((left, top, left + self.crop, top + self.crop))
        # Only 256 values are normalised; a pixel looks its own up. That takes a tenth of the time on all pixels.
        values = ((np.arange(256, dtype=np.float32)[:, None] / 255 - self.mean) / self.sd).astype(np.float32)
        pixels = np.asarray(image).reshape(self.crop, self.crop, -1)
        return torch.from_numpy(np.stack([values[:, c][pixels[..., c * colour]] for c in range(len(self.mean))]))

    def field(self, size):
        """(left, top, right, bottom) of the crop, in pixels of an image of ``size`` (width, height)."""
        resized, corner = self._place(size)
        left, top = (at * side / new for at, side, new in zip(corner, size, resized))
        right, bottom = ((at + self.crop) * side / new for at, side, new in zip(corner, size, resized))
        return left, top, right, bottom

    def _place(self, size):
        """The size of an image of ``size`` after it was resized, and the corner of the crop in it."""
        short = min(size)
        resized = tuple(side * self.resize // short for side in size)
        return resized, tuple(round((side - self.crop) / 2) for side in resized)

    def __repr__(self):
        return (f"ResizeCrop 2(resize={self.resize}, crop={self.crop}, mean={self.mean}, sd={self.sd}, "
                f"filter={self.filter!r})")

    @property
    def range(self):
        """(lowest, highest) value that a black and a white pixel lead to, over the channels."""
        return (min(-mean / sd for mean, sd in zip(self.mean, self.sd)),
                max((1 - mean) / sd for mean, sd in zip(self.mean, self.sd)))


def resize_crop(resize, crop, mean, sd, filter="BICUBIC"):
    """A :class:`ResizeCrop` of options as a user types them; :class:`BadInput` names the one that cannot be.

    ``mean`` and ``sd`` of pixels in [0, 1]: numbers of 0-255 would leave every image almost the same dark grey.
    """
    number("target.crop", crop, 1, whole=True)
    number("target.resize", resize, crop, whole=True)
    mean, sd = ((value,) if isinstance(value, (int, float)) else tuple(value) for value in (mean, sd))
    if len(mean) != len(sd) or len(mean) not in (1, 3):
        raise BadInput(f"target.mean={list(mean)} and target.sd={list(sd)}: expected one number each, or three")
    for name, values, low in (("mean", mean, 0), ("sd", sd, 1e-6)):
        for value in values:
            if not isinstance(value, (int, float)) or not low <= value <= 1:
                raise BadInput(f"target.{name}={value}: expected of pixels in [0, 1], at least {low} and at most 1. "
                               "Numbers of 0-255 are to be divided by 255")
    filters = [resampling.name for resampling in Image.Resampling]
    if str(filter).upper() not in filters:
        raise BadInput(f"target.filter={filter}: {near(str(filter).upper(), filters)}")
    return ResizeCrop(resize, crop, mean, sd, str(filter).upper())


def images_of(own, channels=3, size=None, crop_pct=None, mean=None, sd=None, filter=None):
    """:class:`ResizeCrop` by a network's ``own`` settings {size, resize, mean, sd, filter}, but for those given.

    channels  1: grey, with the means of the network's own mean and sd, where those are of three channels
    crop_pct  ``size`` / shorter side before the crop
    """
    if channels not in (1, 3):
        raise BadInput(f"target.channels={channels}: expected 1 (grey) or 3")
    crop = own["size"] if size is None else number("target.size", size, 1, whole=True)
    share = own["size"] / own["resize"] if crop_pct is None else number("target.crop_pct", crop_pct, .1, 1)
    resize = own["resize"] if crop_pct is None and crop == own["size"] else int(crop / share + 1e-6)
    mean, sd = (given if given is not None else _grey(own[name]) if channels == 1 else own[name]
                for name, given in (("mean", mean), ("sd", sd)))
    transform = resize_crop(resize, crop, mean, sd, filter or own["filter"])
    if len(transform.mean) != channels:
        raise BadInput(f"target.mean={list(transform.mean)} for target.channels={channels}: expected as many numbers")
    return transform


def _grey(values):
    return (sum(values) / len(values),)
