"""The DenseNet121 classifiers that torchxrayvision publishes for chest x-rays."""
from pathlib import Path

from torch import nn

from mammi.backbone import densenet121, drawn, fill
from mammi.errors import BadInput, MissingAsset, near
from mammi.target import pickled_module
from mammi.target.base import Tap, TorchTarget
from mammi.target.training import trained_on
from mammi.target.transform import resize_crop

LABELS = ("Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema", "Fibrosis", "Effusion",
          "Pneumonia", "Pleural thickening", "Cardiomegaly", "Nodule", "Mass", "Hernia", "Lung Lesion", "Fracture",
          "Lung Opacity", "Enlarged Cardiomediastinum")  # all outputs, in order
CHEXPERT = ("Atelectasis", "Consolidation", "Pneumothorax", "Edema", "Effusion", "Pneumonia", "Cardiomegaly",
            "Lung Lesion", "Fracture", "Lung Opacity", "Enlarged Cardiomediastinum")
# Which outputs each network was trained for, and on which collections. All images of rsna_pneumonia are NIH's.
MODELS = {"all": (LABELS, ("nih14", "padchest", "chexpert", "mimic_cxr", "openi", "rsna_pneumonia")),
          "nih": (LABELS[:14], ("nih14",)),
          "pc": ((*LABELS[:14], "Fracture"), ("padchest",)),
          "chex": (CHEXPERT, ("chexpert",)),
          "rsna": (("Pneumonia", "Lung Opacity"), ("rsna_pneumonia", "nih14")),
          "mimic_nb": (CHEXPERT, ("mimic_cxr",)),
          "mimic_ch": (CHEXPERT, ("mimic_cxr",))}
PREFIX = "densenet121-res224-"
SPLITS = ("train", "train_val", "val", "test")  # torchxrayvision drew its own: any image may have been among them
CLASSES = tuple(f"torchxrayvision.models.{name}" for name in ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition"))


class TorchXRayVision(TorchTarget):
    """Layers ``final`` (one logit for each label the network was trained for), ``penultimate`` (1024 maps, after the
    ReLU) and every module.

    model    densenet121-res224-all, -nih, -pc, -chex, -rsna, -mimic_nb or -mimic_ch
    weights  its file as published, a state dict of it, or the ``weights.safetensors`` of ``task=fit_target``. The
             published file is a whole pickled module: its tensors are read, none of its code is run
             (:mod:`mammi.target.pickled_module`)

    Grey images: shorter side to 224 (bilinear), centre crop, black -1024, white 1024. Logits are as the linear layer
    gives them, without the package's operating points; outputs that were never trained are left away.

    Raises :class:`MissingAsset` without a file, :class:`BadInput` for one that does not fit.
    """

    def __init__(self, model, weights, layer="final", activation="logit", reducer="mean", device="cpu"):
        known = [PREFIX + name for name in MODELS]
        if model not in known:
            raise BadInput(f"target.model={model}: {near(str(model), known)}")
        labels, seen = MODELS[model.removeprefix(PREFIX)]
        if weights is None or not Path(weights).expanduser().is_file():
            found = "no checkpoint given" if weights is None else f"there is no file {weights}"
            raise MissingAsset(f"target=torchxrayvision: {found}. Next: paths.target_weights=FILE, the file of {model} "
                               "from release v1 of github.com/mlmed/torchxrayvision; its address is in "
                               f"torchxrayvision.models.model_urls['{model}']")
        super().__init__(_network(weights, labels), resize_crop(224, 224, .5, 1 / 2048, "BILINEAR"),
                         {"final": Tap("classifier"), "penultimate": Tap("features", relu=True)},
                         labels, "classifier", name=f"torchxrayvision {model}", layer=layer,
                         activation=activation, reducer=reducer, device=device)
        self.trained_on = trained_on(weights) | {f"{name}/{split}" for name in seen for split in SPLITS}


def _network(path, labels):
    state = pickled_module.read(path, CLASSES)
    state.pop("op_threshs", None)  # operating points, no weights
    kept = [LABELS.index(label) for label in labels]
    for name in ("classifier.weight", "classifier.bias"):
        if name in state and len(state[name]) == len(LABELS):
            state[name] = state[name][kept]
    network = densenet121(classes=len(labels))
    network.features.conv0 = drawn(0, nn.Conv2d, 1, 64, 7, 2, 3, bias=False)
    fill(network, state, path, "classifier")
    return network
