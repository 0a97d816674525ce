import numpy as np
import pytest
import torch
from PIL import Image

from mammi.target.transform import ResizeCrop


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("mean, sd", [((.485, .456, .406), (.229, .224, .225)), ((.5,), (.25,))])
@pytest.mark.parametrize("size", [(40, 40), (61, 47)])
def test_a_pixel_becomes_what_the_formula_says(mode, mean, sd, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], len(mode)), dtype=np.uint8)
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    shown = image.convert("RGB" if len(mean) == 3 else "L")
    short = min(size)
    shown = shown.resize([side * 36 // short for side in size], Image.Resampling.BILINEAR)
    left, top = (round((side - 32) / 2) for side in shown.size)
    crop = np.asarray(shown, np.float32)[top:top + 32, left:left + 32].reshape(32, 32, -1)
    expected = ((crop / 255 - mean) / sd).astype(np.float32).transpose(2, 0, 1)
    got = ResizeCrop(36, 32, mean, sd, "BILINEAR")(image)
    assert got.is_contiguous() and torch.equal(got, torch.tensor(expected)), "to the bit"
