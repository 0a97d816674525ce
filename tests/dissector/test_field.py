"""Where a dissector's input lies on an image: a bright rectangle lands where its field says."""
import numpy as np
import pytest
from PIL import Image

from mammi.dissector import biomedclip, cxr_repair, mammo_clip, medclip, medklip, open_clip_model
from mammi.dissector.clip_transform import ClipTransform
from mammi.dissector.view import View

SIZES = [(400, 300), (300, 420), (320, 320)]  # width, height
EXACT = [medclip.Preprocess(), cxr_repair.Preprocess(), medklip.Preprocess(), medklip.Preprocess("full_image"),
         mammo_clip.Preprocess(size=(152, 190)), mammo_clip.Preprocess("full_image", size=(152, 190)),
         ClipTransform(), ClipTransform("full_image"), ClipTransform("full_image", size=(160, 160)),
         ClipTransform("full_image", size=(160, 200), resize_mode="squash"), ClipTransform(resize_mode="longest"),
         ClipTransform("full_image", True, resize_mode="squash")]
DISSECTORS = [(medclip.MedCLIP, medclip.Preprocess()), (cxr_repair.CxrRepair, cxr_repair.Preprocess()),
              (medklip.MedKLIP, medklip.Preprocess()), (mammo_clip.MammoCLIP, mammo_clip.Preprocess("full_image")),
              (open_clip_model.OpenClip, ClipTransform()), (biomedclip.BiomedCLIP, ClipTransform("full_image"))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preprocess", EXACT, ids=lambda p: repr(p)[:90])
def test_a_bright_rectangle_lands_where_the_field_says(preprocess, size):
    box = 150, 110, 210, 190  # left, top, right, bottom
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[box[1]:box[3], box[0]:box[2]] = 255
    x = preprocess(Image.fromarray(pixels)).numpy()[0]
    bright = x > (x.min() + x.max()) / 2
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    left, top, right, bottom = preprocess.field(size)
    height, width = x.shape
    expected = [(at - left) / (right - left) * width for at in box[::2]] + [
        (at - top) / (bottom - top) * height for at in box[1::2]]
    got = [columns[0], columns[-1] + 1, rows[0], rows[-1] + 1]
    np.testing.assert_allclose(got, expected, atol=1.01)


@pytest.mark.parametrize("preprocess, size", [
    (medclip.Preprocess("full_image"), (400, 300)), (medclip.Preprocess("full_image"), (100, 100)),
    (cxr_repair.Preprocess("full_image"), (400, 300)), (ClipTransform("full_image", resize_mode="longest"), (400, 300)),
    (ClipTransform("full_image", size=(160, 200)), (400, 300))])
def test_what_gets_borders_has_no_field(preprocess, size):
    assert preprocess.field(size) is None


def test_a_square_keeps_what_the_view_keeps():
    assert View().field((1024, 1024)) == (64, 64, 960, 960) and View("full_image").field((7, 5)) == (0, 0, 7, 5)
    for preprocess in (medclip.Preprocess("full_image"), cxr_repair.Preprocess("full_image")):
        assert preprocess.field((300, 300)) == (0, 0, 300, 300)


@pytest.mark.parametrize("kind, preprocess", DISSECTORS, ids=lambda p: getattr(p, "__name__", ""))
def test_a_dissector_has_the_field_of_its_preprocessing(kind, preprocess):
    model = object.__new__(kind)
    model.preprocess = preprocess
    assert model.field((400, 300)) == preprocess.field((400, 300)) is not None
