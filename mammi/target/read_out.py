"""From what a layer returns to one number per unit and image, and to a map of each unit."""
from math import isqrt
from typing import NamedTuple

import torch

from mammi.errors import BadInput
from mammi.types import Reading

REDUCERS = ("mean", "max", "cls", "none")


class Layout(NamedTuple):
    """How a layer's output is to be understood.

    kind   ``units`` (B, N); ``maps`` (B, N, h, w); ``maps, channels last`` (B, h, w, N); ``tokens`` (B, T, N)
    side   (h, w) of the maps, or None
    extra  tokens in front of the patches: class and register tokens; None: not known whether there are any
    """

    kind: str
    side: tuple[int, int] | None = None
    extra: int | None = None


def layout(shape, prefix=None):
    """The :class:`Layout` of an output of ``shape``, or None if it cannot be read.

    Transformers of the Swin family keep channels last. Images are square here, hence maps are: the axis that differs
    from two equal ones is the channels. ``prefix`` tokens are taken for absent where the tokens without them make no
    square but all of them do (a ViT's patch embedding, before the class token joins).
    """
    if len(shape) == 2:
        return Layout("units")
    if len(shape) == 4:
        _, a, b, c = shape
        return Layout("maps, channels last", (a, b)) if a == b != c else Layout("maps", (b, c))
    if len(shape) == 3:
        if prefix is None:
            return Layout("tokens")
        tokens = shape[1]
        extra = prefix if tokens >= prefix and (_square(tokens - prefix) or not _square(tokens)) else 0
        side = isqrt(tokens - extra)
        return Layout("tokens", (side, side) if side and _square(tokens - extra) else None, extra)
    return None


def read_out(output, reducer="mean", prefix=None, images=None):
    """:class:`Reading` of a layer's ``output``: (B, N) numbers, and (B, N, h, w) maps where it has any.

    reducer  ``mean`` or ``max`` over maps or patch tokens, ``cls`` token 0, ``none`` flattens
    prefix   number of tokens that are no patches, see :func:`layout`; None: unknown, then all tokens count
    images   B, if known: an output of other many rows (windows, heads) is refused
    """
    if not torch.is_tensor(output):
        raise BadInput(f"it returns {type(output).__name__}; choose one that returns a tensor")
    form = layout(output.shape, prefix)
    if images is not None and (not output.ndim or len(output) != images):
        raise BadInput(f"it returns {tuple(output.shape)} for {images} images, not one row an image; choose a layer "
                       "around it")
    if form is None and reducer != "none":
        raise BadInput(f"target.reducer={reducer} does not fit its shape {tuple(output.shape)}: cls is for tokens "
                       "(B, T, N), mean and max for tokens and maps (B, N, h, w), none for any")
    maps = maps_of(output, form) if form else None
    if reducer == "none" or form.kind == "units":
        return Reading(output.flatten(1), maps)
    if form.kind == "tokens":
        if reducer == "cls" and form.extra == 0:
            raise BadInput(f"target.reducer=cls: its tokens {tuple(output.shape)} have no class token; choose mean or "
                           "max")
        patches = output[:, form.extra or 0:]
        return Reading({"mean": patches.mean, "max": patches.amax}.get(reducer, lambda _: output[:, 0])(1), maps)
    if reducer == "cls":
        raise BadInput(f"target.reducer=cls does not fit its shape {tuple(output.shape)}: cls is for tokens (B, T, N), "
                       "mean and max for tokens and maps (B, N, h, w)")
    return Reading({"mean": maps.mean, "max": maps.amax}[reducer]((2, 3)), maps)


def maps_of(output, form):
    """(B, N, h, w) of an output of that :class:`Layout`, or None where it has no maps."""
    if form.kind == "maps":
        return output
    if form.kind == "maps, channels last":
        return output.permute(0, 3, 1, 2)
    if form.kind == "tokens" and form.side:
        return output[:, form.extra:].transpose(1, 2).unflatten(2, form.side)
    return None


def spoken(shape, reducer="mean", prefix=None):
    """How an output of ``shape`` is read, in words, for a table of layers."""
    form = layout(shape, prefix)
    if form and form.kind == "units":
        return "as it is"
    if reducer == "none":
        return "flattened"
    if form is None:
        return ""
    if reducer == "cls":
        return "class token" if form.kind == "tokens" and form.extra != 0 else ""
    where = f"{form.side[0]} x {form.side[1]}" if form.side else f"{shape[1] - (form.extra or 0)} tokens"
    kind = " patches" * (form.kind == "tokens" and form.side is not None)
    return f"{reducer} of {where}{kind}"


def _square(n):
    return isqrt(n) ** 2 == n
