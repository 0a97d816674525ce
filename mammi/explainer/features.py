"""Feature maps of a frozen network at several sizes, F_0 = x to F_L: what a decoder of explanation masks sees.

B images, (C, H, W) a prepared image.
"""
from collections import defaultdict
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.nn.functional import interpolate

from mammi.errors import BadInput
from mammi.layout import layout, maps_of

LEVELS = 5   # token maps that are taken of a transformer whose maps all have one size
OPEN = 4     # a module whose output is so many times smaller than its input holds several sizes


class Output(NamedTuple):
    """What one module returned in a forward pass: its number in order, and the sizes of its maps."""

    order: int
    channels: int
    side: int
    reduces: float


class FeatureTap:
    """Reads F_0 ... F_L of a network while it runs.

    module    the torch network
    names     L names of its modules, the largest maps first
    channels  L + 1 numbers of channels, F_0 = x first
    tokens    True where all maps have one size (a ViT): F_l is resized (nearest) to 1 / 2^l of the image
    prefix    a transformer's tokens that are no patches; None: unknown
    """

    def __init__(self, module, names, channels, tokens=False, prefix=None):
        self.names, self.channels, self.tokens, self.prefix = tuple(names), tuple(channels), tokens, prefix
        modules = dict(module.named_modules())
        if lost := [name for name in self.names if name not in modules]:
            raise BadInput(f"{type(module).__name__} has no module {lost[0]}, whose maps the decoder was fitted on")
        self._modules = {name: modules[name] for name in self.names}

    @torch.no_grad()
    def read(self, subject, x, layers, maps=False):
        """(readings of ``layers``, [F_0 ... F_L]) in one pass over prepared ``x``; no gradient, nothing shared."""
        with hooked(self._modules) as kept:
            readings = subject.forward(x, layers, maps)
        return readings, [x, *(self._maps(kept, name, level, x) for level, name in enumerate(self.names, 1))]

    def _maps(self, kept, name, level, x):
        maps = maps_of(kept[name], layout(kept[name].shape, self.prefix))
        if not self.tokens:
            return maps
        return interpolate(maps, tuple(max(side >> level, 1) for side in x.shape[-2:]), mode="nearest")


def find(subject, x, layer):
    """The :class:`FeatureTap` of ``subject``, found by running prepared ``x`` (B, C, H, W) through it.

    Of each size of map the last output of a stage is taken. A stage is a module that returns maps and lies in no
    other stage; a module that makes its maps four times smaller or more (a whole encoder) is none, its parts are.
    That finds, at 224 pixels:
    DenseNet      relu0 112, denseblock1 56, denseblock2 28, denseblock3 14, norm5 7 (before the last ReLU)
    ResNet        the stem's ReLU 112, layer1 56 ... layer4 7
    EfficientNet  the last block of 112, 56, 28, 14, and the last normalisation, 7
    ViT           one size only: five blocks, evenly over the depth

    Raises :class:`BadInput` where there are no maps of at least two pixels a side.
    """
    module, prefix = subject.module, getattr(subject, "prefix", None)
    outputs = _outputs(subject, x, layer, prefix)
    named = _last_of_each_size(outputs)
    tokens = len(named) < 2
    if tokens:
        named = _evenly(_repeated(module, outputs))
    if not named:
        raise BadInput(f"explainer=nemt: {subject.name} has no spatial features: no module of it returns maps of two "
                       "sizes, or tokens of a square of patches. explainer=rise needs none")
    return FeatureTap(module, named, (x.shape[1], *(outputs[name].channels for name in named)), tokens, prefix)


def _outputs(subject, x, layer, prefix):
    """{module's name: :class:`Output`} of those that return maps, where each ran last."""
    found = {}

    def keep(name, _module, args, output):
        found.pop(name, None)
        if (maps := _as_maps(output, len(x), prefix)) is not None and min(maps.shape[2:]) > 1:
            first = next((arg for arg in args if torch.is_tensor(arg)), None)
            before = _as_maps(first, len(x), prefix)
            reduces = before.shape[2] / maps.shape[2] if before is not None else 1
            found[name] = Output(len(order), maps.shape[1], maps.shape[2], reduces)
            order.append(name)

    order = []
    hooks = [part.register_forward_hook(lambda m, args, output, name=name: keep(name, m, args, output))
             for name, part in subject.module.named_modules() if name]
    try:
        with torch.no_grad():
            subject.forward(x, [layer])
    finally:
        for hook in hooks:
            hook.remove()
    parents = {above for name in found for above in _ancestors(name)}
    return {name: output if name in parents else output._replace(reduces=1) for name, output in found.items()}


def _as_maps(output, images, prefix):
    form = layout(output.shape, prefix) if torch.is_tensor(output) and output.ndim and len(output) == images else None
    return maps_of(output, form) if form else None


def _last_of_each_size(outputs):
    """Names of the last stage of each size, largest first."""
    last = {}
    for name, output in sorted(outputs.items(), key=lambda item: item[1].order):
        above = _ancestors(name)
        if output.reduces < OPEN and not any(a in outputs and outputs[a].reduces < OPEN for a in above):
            last[output.side] = name
    return [last[side] for side in sorted(last, reverse=True)]


def _ancestors(name):
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _repeated(module, outputs):
    """The largest group of sisters of one class that return maps, in the order in which they ran."""
    groups = defaultdict(list)
    modules = dict(module.named_modules())
    for name in sorted(outputs, key=lambda n: outputs[n].order):
        groups[name.rpartition(".")[0], type(modules[name])].append(name)
    return max(groups.values(), key=len, default=[])


def _evenly(names):
    """``LEVELS`` of ``names``, the last of each of as many equal parts; all where there are fewer."""
    n = min(LEVELS, len(names))
    return [names[(i + 1) * len(names) // n - 1] for i in range(n)]


@contextmanager
def hooked(modules):
    """A dict that holds, by name, a copy of what each of ``modules`` returns while the block runs."""
    kept = {}

    def keep(name, output):
        kept[name] = output.detach().clone()  # a later module may work in place

    hooks = [module.register_forward_hook(lambda m, args, output, name=name: keep(name, output))
             for name, module in modules.items()]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
