"""The paper's second target: ResNet50 fine-tuned on NIH ChestX-ray14."""
from mammi.backbone import resnet50
from mammi.target import medical_mae
from mammi.target.base import Tap, TorchTarget
from mammi.target.training import check_card


class ResNet50(TorchTarget):
    """Layers ``final`` (one logit a class), ``layer4`` to ``layer1`` (2048, 1024, 512, 256 maps), ``penultimate``
    (``layer4``) and every module.

    weights       checkpoint with backbone and head, e.g. an NIH-fine-tuned one of medical_mae; every key is accounted
                  for, so an encoder without its head is refused
    classes       names of the outputs, in the order of the checkpoint's head
    resize, crop  of the images, see :func:`mammi.target.medical_mae.images`

    Raises :class:`MissingAsset` without a checkpoint, :class:`BadInput` for one that does not fit.
    """

    def __init__(self, classes, weights, layer="final", activation="logit", reducer="mean", resize=256, crop=224,
                 device="cpu"):
        weights = medical_mae.checkpoint(weights, "resnet50_nih14", "ResNet-50 fine-tuned on NIH ChestX-ray14 "
                                         "(ImageNet, MoCo v2)")
        super().__init__(resnet50(weights, len(classes)), medical_mae.images(resize, crop),
                         {"final": Tap("fc"), "penultimate": Tap("layer4")}, classes, "fc",
                         name="resnet50", layer=layer, activation=activation, reducer=reducer, device=device)
        self.trained_on = medical_mae.seen(weights)
        self.notes = check_card(weights, self.classes, self.transform)
