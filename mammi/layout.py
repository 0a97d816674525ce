"""How a layer's output is to be understood: maps with the channels first or last, tokens, plain units."""
from math import isqrt
from typing import NamedTuple


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
    from two equal ones is the channels. Where images are not square (Mammo-CLIP's tower), a map that is as high as it
    has channels, and of another width, would be taken for channels last by mistake; no shipped target has such a layer
    at its own size. ``prefix`` tokens are taken for absent where the tokens without them make no
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


def maps_of(output, form):
    """(B, N, h, w) of an output of that :class:`Layout`, or None where it has no maps."""
    if form.kind == "maps":
        return output
    if form.kind == "maps, channels last":
        return output.permute(0, 3, 1, 2)
    if form.kind == "tokens" and form.side:
        return output[:, form.extra:].transpose(1, 2).unflatten(2, form.side)
    return None


def _square(n):
    return isqrt(n) ** 2 == n
