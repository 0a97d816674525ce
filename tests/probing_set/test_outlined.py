"""Which images somebody drew on: without that, nobody knows whether an image without a mask has nothing to show."""
import numpy as np
import pytest
from PIL import Image

from mammi.probing_set.boxes import BoxTable
from mammi.probing_set.image_folder import ImageFolder
from mammi.probing_set.masks import MaskFiles
from mammi.probing_set.phantom import Phantom

BOXES = BoxTable("boxes.csv", image="image", label="label", x="x", y="y", w="w", h="h")
MASKS = MaskFiles({"lung": "masks/{stem}.png"})


@pytest.fixture
def folder(tmp_path):
    """Three images: a has a box, b and c have masks, c's is empty."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i, name in enumerate("abc"):
        Image.new("L", (6, 6), i).save(tmp_path / "images" / f"{name}.png")
    for name, grey in (("b", 255), ("c", 0)):
        Image.new("L", (6, 6), grey).save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "boxes.csv").write_text("image,label,x,y,w,h\na.png,Mass,1,1,2,2\n")
    return tmp_path


@pytest.mark.parametrize("readers, outlined", [
    ({}, None), ({"boxes": BOXES}, [True, False, False]), ({"masks": MASKS}, [False, True, True]),
    ({"boxes": BOXES, "masks": MASKS}, [False, True, True])])
def test_only_what_the_files_speak_of(folder, readers, outlined):
    images = ImageFolder(folder, images="images", **readers)
    assert (None if images.outlined is None else images.outlined.tolist()) == outlined
    assert outlined is None or images.outlined.shape == (len(images),) and images.outlined.dtype == np.bool_


def test_of_a_phantom_everything_is_known():
    assert Phantom(n=2).outlined is None
