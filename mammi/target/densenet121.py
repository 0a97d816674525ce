"""The paper's target: DenseNet121 fine-tuned on NIH ChestX-ray14."""
from pathlib import Path

from mammi.backbone import densenet121
from mammi.errors import BadInput, MissingAsset
from mammi.target.base import Tap, TorchTarget
from mammi.target.transform import ResizeCrop


class DenseNet121(TorchTarget):
    """Layers ``final`` (one logit a class), ``penultimate`` (1024 maps, after the ReLU) and every module.

    weights  checkpoint with backbone and head, e.g. the NIH-fine-tuned one of medical_mae; every key is accounted for,
             so an encoder without its head is refused instead of being annotated with a random one
    classes  names of the outputs, in the order of the checkpoint's head

    Images as medical_mae trains on them: shorter side to 256 (bilinear), centre crop 224, mean .5056, deviation .252.

    Raises :class:`MissingAsset` without a checkpoint, :class:`BadInput` for one that does not fit.
    """

    def __init__(self, classes, weights, layer="final", activation="logit", reducer="mean", device="cpu"):
        if weights is None or not Path(weights).expanduser().is_file():
            found = "no checkpoint given" if weights is None else f"there is no file {weights}"
            raise MissingAsset(
                f"target=densenet121_nih14: {found}. Next: paths.target_weights=FILE, the DenseNet-121 fine-tuned on "
                "NIH ChestX-ray14 (X-rays 0.3M, MoCo v2, mAUC 80.6) from the table in the README of "
                "github.com/lambert-x/medical_mae; the pretrained encoder beside it has no classes")
        try:
            network = densenet121(weights, len(classes))
        except BadInput as error:
            if "classifier." in str(error):
                raise BadInput(f"{error}. Is it the pretrained encoder? The fine-tuned checkpoint has a head of "
                               f"{len(classes)} classes") from error
            raise
        super().__init__(network, ResizeCrop(256, 224, (.5056,) * 3, (.252,) * 3, "BILINEAR"),
                         {"final": Tap("classifier"), "penultimate": Tap("features", relu=True)}, classes, "classifier",
                         name="densenet121", layer=layer, activation=activation, reducer=reducer, device=device)
