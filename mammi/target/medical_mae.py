"""What the networks fine-tuned on NIH ChestX-ray14 by medical_mae share: their images, their training, their file."""
from pathlib import Path

from mammi.errors import MissingAsset
from mammi.target.training import trained_on
from mammi.target.transform import resize_crop

TRAINED_ON = frozenset({"nih14/train", "nih14/train_val"})  # the official training list, by either of its names
MEAN, SD = .5056, .252


def images(resize, crop):
    """As medical_mae trains: shorter side to 256 (bilinear), centre crop 224, one mean and deviation for all."""
    return resize_crop(resize, crop, (MEAN,) * 3, (SD,) * 3, "BILINEAR")


def checkpoint(weights, option, row):
    """``weights`` if it is a file; :class:`MissingAsset` says where ``row`` of medical_mae's table is to be had."""
    if weights is None or not Path(weights).expanduser().is_file():
        found = "no checkpoint given" if weights is None else f"there is no file {weights}"
        raise MissingAsset(
            f"target={option}: {found}. Next: paths.target_weights=FILE, the {row} from the table in the README of "
            "github.com/lambert-x/medical_mae; the pretrained encoder beside it has no classes")
    return weights


def seen(weights):
    """What the checkpoint was trained on: NIH ChestX-ray14, and what a card beside it tells."""
    return TRAINED_ON | trained_on(weights)
