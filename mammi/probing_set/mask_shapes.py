"""What one mask is made from: a file's pixels or an outline, drawn at the size of its image."""
import numpy as np
from PIL import Image, ImageDraw

from mammi.errors import BadInput

ASPECT = 0.01  # by how much a mask may differ in aspect from its image and still be resized to it
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class MaskFile:
    """A mask in a file: the whole frame, or a part of a ``frame`` (width, height) with its corner at ``place``."""

    def __init__(self, path, place=None, frame=None):
        self.path, self.place, self.frame = path, place, frame

    def __call__(self, size):
        inside = self._read()
        if self.frame:
            (left, top), (width, height) = self.place, self.frame
            if left + inside.shape[1] > width or top + inside.shape[0] > height:
                raise BadInput(f"{self.path.name}: {inside.shape[1]} x {inside.shape[0]} pixels at ({left}, {top}) do "
                               f"not fit into a frame of {width} x {height}")
            whole = np.zeros((height, width), bool)
            whole[top:top + inside.shape[0], left:left + inside.shape[1]] = inside
            inside = whole
        height, width = inside.shape
        if (width, height) == size:
            return inside
        if abs(width * size[1] / (height * size[0]) - 1) > ASPECT:
            raise BadInput(f"{self.path.name} has {width} x {height} pixels, its image {size[0]} x {size[1]}: another "
                           "aspect, so it is the mask of another image, or one of the two was cropped")
        return np.asarray(Image.fromarray(inside.astype(np.uint8)).resize(size, Image.Resampling.NEAREST), bool)

    def _read(self):
        """(H, W) bool; colour counts as grey does, alpha never."""
        try:
            with Image.open(self.path) as image:
                image.load()
                if image.mode.startswith(("1", "L", "I", "F")) and len(image.getbands()) == 1:
                    return np.asarray(image) > 0
                return np.asarray(image.convert("RGB")).max(-1) > 0
        except BROKEN as error:
            raise BadInput(f"the mask {self.path} cannot be read: {error}") from error


class Polygon:
    """An outline of at least 3 points, filled, its border included."""

    def __init__(self, points, frame, where):
        try:
            self.points, self.frame = np.asarray(points, np.float64), frame
        except (TypeError, ValueError) as error:
            raise BadInput(f"{where}: an outline is a list of [x, y], found {str(points)[:60]}") from error
        if self.points.ndim != 2 or self.points.shape[1] != 2 or len(self.points) < 3 or not np.isfinite(
                self.points).all():
            raise BadInput(f"{where}: an outline is a list of at least 3 points [x, y], found {str(points)[:60]}")

    def __call__(self, size):
        points = self.points * (size[0] / self.frame if self.frame else 1.0)
        if points.min() < -0.5 or (points.max(0) > np.add(size, 0.5)).any():
            right, bottom = points.max(0)
            raise BadInput(f"an outline reaches ({right:g}, {bottom:g}), its image has {size[0]} x {size[1]} pixels. "
                           "Say in probing_set.masks.frame how wide it was when it was drawn")
        canvas = Image.new("1", size)
        ImageDraw.Draw(canvas).polygon([tuple(point) for point in points], fill=1, outline=1)
        return np.asarray(canvas)
