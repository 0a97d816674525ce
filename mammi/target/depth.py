"""Layers of a target in the order in which an image passes through them."""
import torch
from PIL import Image
from torch import nn

from mammi.errors import BadInput
from mammi.target.base import TorchTarget


def blocks(target):
    """Names of a network's blocks, the deepest last: what stands in a Sequential or ModuleList and is itself made of
    several parts, the outermost of them (residual, dense, inverted-bottleneck, transformer blocks).

    A target that is no torch network has its one layer. Raises :class:`BadInput` where a network has no such block.
    """
    if not isinstance(target, TorchTarget):
        return (target.layer,)
    found = list(_outermost(target.module, ""))
    order = _order(target)
    found = sorted((name for name in found if name in order), key=order.get)
    if not found:
        raise BadInput(f"task.layers=all: {target.name} has no blocks that could be found. Name its layers, "
                       "task.layers=[...]; task=layers lists them")
    return tuple(found)


def in_order(target, layers):
    """``layers`` sorted by when they have run, for a torch network; :class:`BadInput` for one it does not have."""
    if not isinstance(target, TorchTarget):
        if unknown := [layer for layer in layers if layer != target.layer]:
            raise BadInput(f"task.layers: {target.name} has no layer {unknown[0]}; its one layer is {target.layer}")
        return tuple(layers)
    order, last = _order(target), len(dict(target.module.named_modules()))
    # The whole network and a tap that takes a module's input stand where that module does.
    return tuple(sorted(layers, key=lambda layer: order.get(target.tap(layer).module, last)))


def _outermost(module, name):
    for child, part in module.named_children():
        path = f"{name}.{child}" if name else child
        inside = type(module) in (nn.Sequential, nn.ModuleList)
        if inside and type(part) is not nn.ModuleList and _parts(part) > 1 and not _chain(part):
            yield path
        else:
            yield from _outermost(part, path)


def _parts(module):
    return sum(1 for _ in module.children())


def _chain(module):
    """Whether ``module`` is only a row of blocks: a stage, to be looked into."""
    return type(module) is nn.Sequential and any(_parts(part) > 1 for part in module.children())


@torch.no_grad()
def _order(target):
    """{module: when it was done, for the first time}, from one image."""
    done = {}

    def note(name):
        def hook(*_):  # must return nothing: what a hook returns takes the output's place
            done.setdefault(name, len(done))

        return hook

    hooks = [module.register_forward_hook(note(name))
             for name, module in target.module.named_modules() if name]
    try:
        target.module(target.transform(Image.new("L", (256, 256)))[None].to(target.device))
    finally:
        for hook in hooks:
            hook.remove()
    return done
