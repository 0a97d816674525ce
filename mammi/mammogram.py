"""How Mammo-CLIP's image tower is shown a mammogram."""
import numpy as np
import torch
from PIL import Image

MEAN, SD = .3089279, .25053555408335154
SIZE = (912, 1520)  # width, height
FILE = "b5-model-best-epoch-7.tar"
SOURCE = f"{FILE}, the EfficientNet-B5 checkpoint that the README of github.com/batmanlab/Mammo-CLIP links to"


def stretched(image, size):
    """RGB PIL image -> (3, height, width) float32: stretched to ``size`` (width, height; mean of the pixels that fall
    together where it shrinks, bilinear where it grows), its own darkest and brightest value become 0 and 1, and it is
    normalised. An image of one value is all 0 before that.
    """
    shrinks = image.width >= size[0] and image.height >= size[1]
    image = image.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
    x = np.asarray(image, np.float32)
    x = x - x.min()
    x = (x / max(x.max(), 1) - np.float32(MEAN)) / np.float32(SD)
    return torch.from_numpy(x.transpose(2, 0, 1).copy())
