"""What targets of any architecture share: classes, checkpoint, head and read-outs are found, not written down."""
from pathlib import Path

import torch
from torch import nn

from mammi.backbone import fill, read, without_prefix
from mammi.errors import BadInput, MissingAsset
from mammi.target import training
from mammi.target.base import TorchTarget
from mammi.target.penultimate import find
from mammi.text_files import lines, read_text


class AnyNetwork(TorchTarget):
    """A network that ``create`` builds, filled with a checkpoint.

    create      callable: number of classes or None (as many as the architecture comes with) -> module
    transform   of its images; a ``.crop`` x ``.crop`` input of its channels is run once to find head and penultimate
    weights     checkpoint in which every key must fit; None: the weights ``create`` gave, and ``drawn`` says in every
                row what those are
    classes     names of the outputs, or a text file with one a line; None: those in the card of ``task=fit_target``
                beside the checkpoint, else ``class 0``, ``class 1`` ..., as many as the checkpoint's head has
                (``output 0`` ... of a network without a head)
    head        name of the module that makes the outputs; None: found
    new_head    True leaves the checkpoint's head away and keeps a random one, for ``task=fit_target``
    prefix      number of tokens that are no patches; None: as :func:`prefix_of` finds
    trained_on  names ``dataset/split`` of what the checkpoint has seen; the card beside it adds to them

    Layers: ``final``, ``penultimate`` (the last maps, where their mean is what the head sees; else the head's input)
    and every module.

    Raises :class:`MissingAsset` without a checkpoint, :class:`BadInput` for one that does not fit.
    """

    def __init__(self, create, transform, weights, classes=None, head=None, new_head=False, trained_on=(), *, name,
                 drawn="random weights", prefix=None, architecture=None, layer="final", activation="logit",
                 reducer="mean", device="cpu"):
        names = class_names(classes)
        if names is None and weights is not None and not new_head:
            names = training.classes_of(weights)
        if new_head and names is None:
            raise BadInput("target.new_head=true: a new head needs names for its outputs; give target.classes=[...]")
        network = create(len(names) if names else None).eval()
        side, channels = transform.crop, len(transform.mean)
        x = unlike(channels, side)
        prefix = prefix_of(network) if prefix is None else prefix
        found, state = find(network, x, head, prefix), None
        if weights is not None:
            state = without_prefix(read(checkpoint(weights)), network.state_dict())
            width = _width(state, found.head)
            if names is None and width and width != found.classes and not new_head:
                network = create(width).eval()
                found = found._replace(classes=width)
        names = names or tuple(f"{'class' if found.head else 'output'} {i}" for i in range(found.classes))
        if len(names) != found.classes:
            raise BadInput(f"target.classes has {len(names)} names, but the network {found.classes} outputs")
        if state is not None:
            if new_head:
                state = {key: tensor for key, tensor in state.items() if not _of(key, found.head)}
                state |= {key: tensor for key, tensor in network.state_dict().items() if _of(key, found.head)}
            fill(network, state, weights, found.head)
        name += "" if weights is not None else f" ({drawn})"
        super().__init__(network, transform, found.taps, names, found.head if found.linear else None, name=name,
                         layer=layer, activation=activation, reducer=reducer, device=device, prefix=prefix,
                         architecture=architecture)
        if weights is not None:
            self.trained_on = frozenset(trained_on) | training.trained_on(weights)
            self.notes = training.check_card(weights, names, transform) if not new_head else (
                "the target's head was never trained: its final layer means nothing before task=fit_target",)


def unlike(channels, side):
    """(2, channels, side, side) noise, dark and bright."""
    noise = torch.randn(channels, side, side, generator=torch.Generator().manual_seed(0))
    return torch.stack([noise - 2, noise + 2])


def prefix_of(network):
    """Number of tokens that are no patches, where a vision transformer says so: timm's do, torchvision's have one."""
    if (told := getattr(network, "num_prefix_tokens", None)) is not None:
        return told
    return 1 if isinstance(getattr(network, "class_token", None), nn.Parameter) else None


def checkpoint(weights):
    """``weights`` if it is a file, else :class:`MissingAsset`."""
    if not Path(weights).expanduser().is_file():
        raise MissingAsset(f"target.weights: there is no file {weights}. Next: target.weights=FILE, a .safetensors or "
                           "torch checkpoint of this network, or target.weights=null for a network without one")
    return weights


def needed(weights, files, where):
    """The file of a network that is meant with its published weights alone: ``weights``, or one of ``files`` in it.

    where  they are to be had, for the :class:`MissingAsset` without them
    """
    if weights is not None and (folder := Path(weights).expanduser()).is_dir():
        weights = next((folder / name for name in files if (folder / name).is_file()), None)
    if weights is None:
        raise MissingAsset(f"this target needs its published weights, {' or '.join(files)} ({where}): give "
                           "paths.target_weights=FILE, or a folder that holds it. With random ones: target=torchvision "
                           "or target=timm, and target.weights=null")
    return checkpoint(weights)


def class_names(classes):
    """Names out of a list or a text file of one a line; None for None."""
    if classes is None:
        return None
    if isinstance(classes, (str, Path)):
        classes = [line for line in lines(read_text(classes)) if line.strip()]
    names = tuple(str(name).strip() for name in classes)
    if not names or len(set(names)) != len(names) or not all(names):
        raise BadInput(f"target.classes: expected different names, in the order of the outputs; got {list(names)}")
    return names


def first_conv(network, channels):
    """``network`` with its first convolution replaced by a new one that takes ``channels``, if it takes another number.

    Its weights are drawn anew: for a checkpoint that was trained so.
    """
    name, conv = next(((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d)), (None, None))
    if conv is None:
        raise BadInput(f"target.channels={channels}: {type(network).__name__} has no convolution to take them")
    if conv.in_channels != channels:
        options = {key: getattr(conv, key) for key in ("kernel_size", "stride", "padding", "dilation", "padding_mode")}
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last,
                nn.Conv2d(channels, conv.out_channels, bias=conv.bias is not None, **options))
    return network


def _width(state, head):
    weight = state.get(f"{head}.weight")
    return len(weight) if weight is not None and weight.ndim else None


def _of(key, head):
    return head is not None and key.startswith(f"{head}.")
