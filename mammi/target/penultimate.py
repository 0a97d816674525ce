"""Where a network of any architecture keeps its head and the last layer below it, found by running one input."""
from typing import NamedTuple

import torch
from torch import nn

from mammi.errors import BadInput, near
from mammi.layout import layout, maps_of

CLOSE = 1e-5  # of the largest value of the head's input


class Tap(NamedTuple):
    """Where a layer is read: what leaves ``module``, through a ReLU or not; or, flattened, what goes into it."""

    module: str
    relu: bool = False
    input: bool = False


class Found(NamedTuple):
    """``head`` the module that makes the outputs, or None; ``linear``: it is linear, and its output the network's.

    ``taps`` are ``final`` and, where there is a head, ``penultimate``; ``classes`` the number of outputs.
    """

    head: str | None
    linear: bool
    taps: dict[str, Tap]
    classes: int


def find(network, x, head=None, prefix=None):
    """:class:`Found` of ``network``, for prepared inputs ``x`` (B, C, H, W), none constant, B at least 1.

    More than one, and unlike each other, make sure that two layers are not taken for equal which are so by chance.

    head    name of the head, where it is known; else the linear module whose output is the network's, the last one
            that ran, or what a network of timm declares (the first, where it averages two)
    prefix  of a transformer's tokens, see :func:`mammi.target.read_out.layout`

    ``penultimate`` is the last module whose maps, averaged over space (after a ReLU or as they are), are what goes
    into the head: then class activation maps are exact. Where no module is (a class token; a layer between the
    average and the head), it is the head's own input, without maps.
    """
    modules = dict(network.named_modules())
    if head is not None and head not in modules:
        raise BadInput(f"target.head={head}: there is no such module. {near(str(head), filter(None, modules))}")
    inputs, outputs, means, declared = {}, {}, {}, _declared(network, modules)

    def keep(name, module, args, output):
        if torch.is_tensor(output) and (isinstance(module, nn.Linear) or name in (head, declared)):
            inputs[name] = args[0].detach().flatten(1).clone()
            outputs[name] = output.detach().clone()
        form = layout(output.shape, prefix) if torch.is_tensor(output) and len(output) == len(x) else None
        maps = maps_of(output.detach(), form) if form else None
        if maps is not None and maps.shape[2] * maps.shape[3] > 1:
            means.pop(name, None)  # to the end: it ran once more
            means[name] = maps.mean((2, 3)), maps.relu().mean((2, 3))

    hooks = [module.register_forward_hook(lambda m, args, output, name=name: keep(name, m, args, output))
             for name, module in modules.items()]
    try:
        with torch.no_grad():
            result = network(x)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        raise BadInput(f"the network {type(network).__name__} cannot take an image of shape {tuple(x.shape[1:])} "
                       f"(channels, height, width): {str(error).partition(chr(10))[0][:200]}. Choose target.size and "
                       "as many numbers for target.mean and target.sd as it has channels") from error
    finally:
        for hook in hooks:
            hook.remove()
    if not torch.is_tensor(result) or result.ndim != 2:
        shape = tuple(result.shape) if torch.is_tensor(result) else type(result).__name__
        raise BadInput(f"the network returns {shape} for {len(x)} images; expected a row each, a number a class")
    if head is not None and head not in inputs:
        raise BadInput(f"target.head={head}: that module never ran; choose one that does")
    makes = [name for name, output in outputs.items() if output.shape == result.shape and torch.equal(output, result)]
    head = head or next(reversed(makes), None) or (declared if declared in inputs else None)
    taps = {"final": Tap("")}
    if head is not None:
        taps["penultimate"] = _below(head, inputs[head], means)
    return Found(head, head in makes and isinstance(modules[head], nn.Linear), taps, result.shape[1])


def _declared(network, modules):
    ask = getattr(network, "get_classifier", None)
    said = ask() if callable(ask) else None
    said = said[0] if isinstance(said, (tuple, list)) else said
    if said is None or isinstance(said, nn.Identity):
        return None
    return next((name for name, module in modules.items() if module is said and name), None)


def _below(head, pooled, means):
    limit = CLOSE * pooled.abs().max()
    for name, mean in reversed(means.items()):
        for relu in (False, True):
            if limit > 0 and mean[relu].shape == pooled.shape and (mean[relu] - pooled).abs().max() <= limit:
                return Tap(name, relu)
    return Tap(head, input=True)
