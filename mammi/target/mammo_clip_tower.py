"""EfficientNet-B5 of Mammo-CLIP Dissect as a target: Mammo-CLIP's image tower, the same with ImageNet weights, or a
classifier fine-tuned from either."""
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mammi import backbone
from mammi.efficientnet import B5, EfficientNet
from mammi.errors import BadInput, MissingAsset, number
from mammi.mammogram import FILE, MEAN, SD, SIZE, SOURCE, stretched
from mammi.target.any_network import class_names
from mammi.target.base import Tap, TorchTarget
from mammi.target.training import check_card, classes_of, trained_on

RANDOM = "random"
TOWER, HEAD = "image_encoder.", "classifier"
IMAGENET_HEAD = "_fc."


class MammoCLIPTower(TorchTarget):
    """Layers ``image_encoder._blocks.0`` to ``38``, ``penultimate`` (the tower's 2048 mean features), ``final``, and
    every module.

    weights  Mammo-CLIP's checkpoint or its folder (only ``image_encoder`` of it is read), the ImageNet weights of
             efficientnet_pytorch (``efficientnet-b5-*.pth``), or the ``weights.safetensors`` of ``task=fit_target``;
             every key of the tower must fit. ``random``: drawn from ``seed``, the control
    classes  names of the outputs of a linear head, for ``task=fit_target``; None: those of the card beside fine-tuned
             weights, else no head: ``final`` is then the tower's mean features, ``feature 0`` ...
    name     what rows call it
    size     (width, height) in pixels that an image is stretched to, the authors' 912 x 1520; see
             :func:`mammi.mammogram.stretched`
    tower    sizes of the network

    Raises :class:`MissingAsset` without such a file, :class:`BadInput` for one that does not fit.
    """

    def __init__(self, weights, classes=None, name="mammo_clip_tower", size=SIZE, tower=B5, layer="final",
                 activation="logit", reducer="mean", seed=0, device="cpu"):
        path, state = (None, None) if weights == RANDOM else _read(weights)
        names = class_names(classes)
        fitted = state is not None and f"{HEAD}.weight" in state
        if names is None and fitted:
            names = classes_of(path)
            if names is None:
                raise BadInput(f"target.classes: {path} has a head, and no card beside it says what its outputs are "
                               "called. Give target.classes=[...]")
        network = backbone.drawn(seed, Network, tower, len(names) if names else None)
        if state is not None:
            if names and not fitted:
                state |= {key: value for key, value in network.state_dict().items() if key.startswith(f"{HEAD}.")}
            backbone.fill(network, state, path, HEAD if names else None)
        transform = Stretched(_size(size, tower))
        outputs = names or tuple(f"feature {i}" for i in range(tower.head))
        head, taps = HEAD if names else None, {"final": Tap(HEAD), "penultimate": Tap("image_encoder")}
        super().__init__(network, transform, taps, outputs, head,
                         name=name + (" (random weights)" if state is None else ""), layer=layer, activation=activation,
                         reducer=reducer, device=device, architecture=f"padded for {tower.side} pixels")
        if fitted:
            self.trained_on, self.notes = trained_on(path), check_card(path, names, transform)
        elif names and state is not None:
            self.notes = ("the target's head was never trained: its final layer means nothing before task=fit_target",)


class Network(nn.Module):
    """(B, 3, h, w) -> (B, classes) logits, or the tower's (B, head) without ``classes``."""

    def __init__(self, tower, classes=None):
        super().__init__()
        self.image_encoder = EfficientNet(tower)
        self.classifier = nn.Linear(tower.head, classes) if classes else nn.Identity()

    def forward(self, x):
        return self.classifier(self.image_encoder(x))


@dataclass(frozen=True)
class Stretched:
    """PIL image, any mode and size -> (3, height, width) float32. Images are expected cropped to the breast."""

    size: tuple

    def __call__(self, image):
        return stretched(image.convert("RGB"), self.size)

    @property
    def range(self):
        """(lowest, highest) value that an image's darkest and brightest pixel lead to."""
        return -MEAN / SD, (1 - MEAN) / SD


def _size(size, tower):
    """(width, height) as whole numbers. A map as high as it has channels, and of another width, would be taken for one
    with channels last (:func:`mammi.target.read_out.layout`); such a size is refused."""
    width, height = w, h = tuple(number("target.size", side, 32, whole=True) for side in size)
    w, h = -(-w // 2), -(-h // 2)
    for _, _, stride, channels, _ in tower.stages:
        w, h = -(-w // stride), -(-h // stride)
        if h == channels != w:
            raise BadInput(f"target.size={[width, height]}: maps of {channels} channels would be {w} x {h} pixels, "
                           "which cannot be told from maps with channels last. Change the height by 32 pixels")
    return width, height


def _read(weights):
    """(path, {key of :class:`Network`: tensor}) of any of the three kinds of file."""
    path = Path(weights).expanduser() if weights else None
    path = path / FILE if path and path.is_dir() else path
    if path is None or not path.is_file():
        state = f"there is no file {path}" if path else \
            "no checkpoint given (paths.mammo_clip, or for ImageNet weights paths.efficientnet_b5, is not set)"
        raise MissingAsset(f"target=mammo_clip_tower, target.weights: {state}. Mammo-CLIP's is {SOURCE}; ImageNet's is "
                           "efficientnet-b5-*.pth of the releases of github.com/lukemelas/EfficientNet-PyTorch; or the "
                           "weights.safetensors of task=fit_target. Random ones: target.weights=random")
    state = backbone.read(path)
    if any(key.startswith(TOWER) for key in state):
        return path, {key: value for key, value in state.items() if key.startswith((TOWER, f"{HEAD}."))}
    return path, {f"{TOWER}{key}": value for key, value in state.items() if not key.startswith(IMAGENET_HEAD)}
