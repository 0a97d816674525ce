"""EfficientNet-Lite0 with real ImageNet weights out of a Python package: a target on real images without a hub."""
from mammi.backbone import IMAGENET, efficientnet_lite0
from mammi.target.base import Tap, TorchTarget
from mammi.target.training import check_card, trained_on
from mammi.target.transform import ResizeCrop


class EfficientNetLite0(TorchTarget):
    """Layers ``final`` (one logit a class), ``penultimate`` (1280 maps of 7 x 7, after the ReLU6) and every module.

    weights  ``imagenet`` (with a new head, drawn from ``seed``), the ``weights.safetensors`` of ``task=fit_target``,
             or None: all random, the control
    classes  names of the outputs

    Images of any shape: shorter side to 224 (bicubic), centre crop, grey x 3, mean and deviation .5. timm's setting
    resizes to 256 first and so loses 23 % of the image; a chest has findings at its rim, so here nothing is cut from a
    square image.
    """

    def __init__(self, classes, weights=IMAGENET, layer="final", activation="logit", reducer="mean", seed=0,
                 device="cpu"):
        network = efficientnet_lite0(weights, len(classes), seed)
        super().__init__(network, ResizeCrop(224, 224, (.5,) * 3, (.5,) * 3),
                         {"final": Tap("classifier"), "penultimate": Tap("bn2")}, classes, "classifier",
                         name="efficientnet_lite0", layer=layer, activation=activation, reducer=reducer, device=device)
        if weights is None:
            self.name = "efficientnet_lite0 (random weights)"
        elif weights == IMAGENET:
            self.notes = ("the target has ImageNet weights and an untrained head: its final layer means nothing before "
                          "task=fit_target",)
        else:
            self.trained_on = trained_on(weights)
            self.notes = check_card(weights, classes, self.transform)
