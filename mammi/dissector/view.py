"""What of an image a dissector looks at."""
import io
from dataclasses import dataclass

from PIL import Image
from torchvision.transforms.functional import center_crop, resize

from mammi.errors import BadInput, near

VIEWS = ("target_crop", "full_image")
RESIZE, CROP = 256, 224


@dataclass(frozen=True)
class View:
    """PIL image, any mode and size -> RGB image. A dissector's preprocessing begins with it and derives from it, so
    that both options are in its repr and thereby in the fingerprint.

    view            ``target_crop``: what the paper's target sees, shorter side to 256 (bilinear), then the middle
                    224 x 224; or ``full_image``
    jpeg_roundtrip  compress that, as the authors of MAMMI do (quality 75)

    Raises :class:`BadInput` for other values.
    """

    view: str = "target_crop"
    jpeg_roundtrip: bool = False

    def __post_init__(self):
        if self.view not in VIEWS:
            raise BadInput(f"dissector.view={self.view}: {near(str(self.view), VIEWS)}")
        if not isinstance(self.jpeg_roundtrip, bool):
            raise BadInput(f"dissector.jpeg_roundtrip={self.jpeg_roundtrip}: expected true or false")

    def seen(self, image):
        image = image.convert("RGB")  # colour is dropped later, as in the authors' code: JPEG and resizing see it
        if self.view == "target_crop":
            image = center_crop(resize(image, RESIZE), CROP)
        if self.jpeg_roundtrip:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=75)
            image = Image.open(file)
        return image

    def field(self, size):
        """(left, top, right, bottom) in pixels of an image of ``size`` (width, height): what the view keeps of it.

        A preprocessing that crops once more says so in a ``field`` of its own, and None where it adds borders.
        """
        return middle(size, RESIZE, CROP) if self.view == "target_crop" else (0, 0, *size)

    def kept(self, size):
        """(width, height) of what :meth:`seen` gives of an image of ``size``."""
        return (CROP, CROP) if self.view == "target_crop" else tuple(size)


def middle(size, short, crop):
    """(left, top, right, bottom), in pixels of an image of ``size``, of the middle ``crop`` x ``crop`` pixels that
    torchvision cuts after the shorter side became ``short``."""
    resized = [side * short // min(size) for side in size]
    corner = [round((side - crop) / 2) for side in resized]
    scale = [side / new for side, new in zip(size, resized)]
    return (*(at * k for at, k in zip(corner, scale)), *((at + crop) * k for at, k in zip(corner, scale)))
