"""The paper's target: DenseNet121 fine-tuned on NIH ChestX-ray14."""
from mammi.backbone import densenet121
from mammi.target import medical_mae
from mammi.target.base import Tap, TorchTarget
from mammi.target.training import check_card


class DenseNet121(TorchTarget):
    """Layers ``final`` (one logit a class), ``penultimate`` (1024 maps, after the ReLU) and every module.

    weights       checkpoint with backbone and head, e.g. the NIH-fine-tuned one of medical_mae; every key is accounted
                  for, so an encoder without its head is refused instead of being annotated with a random one
    classes       names of the outputs, in the order of the checkpoint's head
    resize, crop  of the images, see :func:`mammi.target.medical_mae.images`

    Raises :class:`MissingAsset` without a checkpoint, :class:`BadInput` for one that does not fit.
    """

    def __init__(self, classes, weights, layer="final", activation="logit", reducer="mean", resize=256, crop=224,
                 device="cpu"):
        weights = medical_mae.checkpoint(weights, "densenet121_nih14", "DenseNet-121 fine-tuned on NIH ChestX-ray14 "
                                         "(X-rays 0.3M, MoCo v2, mAUC 80.6)")
        super().__init__(densenet121(weights, len(classes)), medical_mae.images(resize, crop),
                         {"final": Tap("classifier"), "penultimate": Tap("features", relu=True)}, classes, "classifier",
                         name="densenet121", layer=layer, activation=activation, reducer=reducer, device=device)
        self.trained_on = medical_mae.seen(weights)
        self.notes = check_card(weights, self.classes, self.transform)
