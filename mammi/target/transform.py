"""What a CNN's images go through."""
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image


@dataclass(frozen=True)
class ResizeCrop:
    """PIL image -> (3, crop, crop) float32: shorter side to ``resize``, centre crop, [0, 1], normalised; grey x 3.

    Its repr holds all settings and is part of a target's fingerprint. ``filter`` is a name of ``PIL.Image.Resampling``.
    """

    resize: int
    crop: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    filter: str = "BICUBIC"

    def __call__(self, image):
        image = image.convert("RGB")
        short = min(image.size)
        if short != self.resize:
            size = [max(self.resize, round(side * self.resize / short)) for side in image.size]
            image = image.resize(size, Image.Resampling[self.filter])
        left, top = ((side - self.crop) // 2 for side in image.size)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        x = (np.asarray(image, np.float32) / 255 - self.mean) / self.sd
        return torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1).contiguous()
