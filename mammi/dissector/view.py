"""What of an image a dissector looks at."""
import io
from dataclasses import dataclass

from PIL import Image
from torchvision.transforms.functional import center_crop, resize

from mammi.errors import BadInput, near

VIEWS = ("target_crop", "full_image")
CROP = 224


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
            image = center_crop(resize(image, 256), CROP)
        if self.jpeg_roundtrip:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=75)
            image = Image.open(file)
        return image
