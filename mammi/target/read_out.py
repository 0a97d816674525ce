"""From what a layer returns to one number per unit and image, and to a map of each unit."""
import torch

from mammi.errors import BadInput
from mammi.layout import layout, maps_of
from mammi.types import Reading

REDUCERS = ("mean", "max", "cls", "none")


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
