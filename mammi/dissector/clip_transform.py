"""How open_clip prepares an image, behind our view of it."""
from dataclasses import dataclass
from functools import cached_property

from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.transform import image_transform

from mammi.dissector.view import View, middle


@dataclass(frozen=True)
class ClipTransform(View):
    """PIL image, any mode and size -> (3, size, size) float32; its repr is part of the fingerprint.

    size         pixels on a side, or (height, width)
    mean, std    of the three channels, for pixels in [0, 1]
    interpolation, resize_mode  open_clip's: ``bicubic`` or ``bilinear``; ``shortest`` (then the middle), ``longest``
                 (then black borders) or ``squash``
    """

    size: int | tuple = 224
    mean: tuple = OPENAI_DATASET_MEAN
    std: tuple = OPENAI_DATASET_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    def __call__(self, image):
        return self._transform(self.seen(image))

    def field(self, size):
        """As :meth:`View.field`; None where it gets borders, and where it is cut to another shape than a square."""
        width, height = self.kept(size)
        side, other = (self.size, self.size) if isinstance(self.size, int) else self.size
        if self.resize_mode == "squash" or width == height and side == other:
            return super().field(size)
        return middle(size, side, side) if self.resize_mode == "shortest" and side == other else None

    @cached_property
    def _transform(self):
        return image_transform(self.size, is_train=False, mean=tuple(self.mean), std=tuple(self.std),
                               interpolation=self.interpolation, resize_mode=self.resize_mode)
