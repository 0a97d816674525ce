"""Signs that a network does not see what it was trained on: pixels in another range, outputs that never change.

Each function raises :class:`BadInput`. They look at batches of at least eight images that differ, and let the rest
pass: a single dead unit, identical images or a dark picture are no alarm.
"""
from contextlib import contextmanager

import torch
from torch import nn

from mammi.errors import BadInput

ENOUGH = 8       # images that differ
OUTSIDE = 1e-3   # of the range: rounding
NARROW = 1 / 100  # of the range
FAR = 1000       # ratio of variances: 32 times too bright or too dark


def check_pixels(x, span, name):
    """``x`` (B, C, H, W) as prepared, ``span`` the (lowest, highest) value that 8-bit images can become, or None."""
    if not torch.isfinite(x).all():
        raise BadInput(f"{name}: a prepared image holds NaN or infinity; mend its transform")
    if span is None:
        return
    low, high = span
    least, most = (value.item() for value in x.aminmax())
    seen, wanted = f"prepared pixels span {least:.4g} to {most:.4g}", f"can only span {low:.4g} to {high:.4g}"
    if least < low - OUTSIDE * (high - low) or most > high + OUTSIDE * (high - low):
        raise BadInput(f"{name}: {seen}, but its transform {wanted}. Were pixels of 0-255 given as if they were 0-1, "
                       "or images normalised twice?")
    if most - least < NARROW * (high - low) and differ(x):
        raise BadInput(f"{name}: {seen} over {len(x)} images, but its transform {wanted}: they look all the same to "
                       "the network. Were they divided by 255 twice?")


def check_alive(pooled, x, layer, name):
    """``pooled`` (B, N) of ``layer`` for the prepared images ``x``: some unit of some image must differ."""
    if len(pooled) >= ENOUGH and bool((pooled == pooled[:1]).all()) and differ(x):
        raise BadInput(f"{name}: all {pooled.shape[1]} units of {layer} say the same of {len(x)} different images. Are "
                       "its weights zero or not loaded, or its images normalised for another network? "
                       "task=layers shows which layers change from image to image")


@contextmanager
def watched(network, x, span, name):
    """While ``network`` runs on ``x``: what enters its first trained batch normalisation must vary about as much as
    in training (the median channel within a factor of 1000 in variance), else the pixels' range is another.

    A checkpoint knows its images' range in no other way. Without such a layer nothing is watched; too little
    variation is no alarm where the images themselves span less than half of ``span``, as in :func:`check_pixels`.
    """
    first = next((module for module in network.modules() if _trained(module)), None)
    if first is None or not differ(x):
        yield
        return

    def compare(module, args):
        known = module.running_var.float()
        seen = args[0].detach().float().var((0, 2, 3), correction=0)
        ratio = (seen / known)[known > 1e-6 * known.max()].median().item()
        least, most = (value.item() for value in x.aminmax())
        bright = span is not None and most - least > (span[1] - span[0]) / 2
        if ratio > FAR or ratio < 1 / FAR and bright:
            raise BadInput(f"{name}: what reaches its first normalisation varies {ratio ** .5:.2g} times as much as in "
                           "training. Its images had another range there (0-255, 0-1, [-1024, 1024]?): choose the "
                           "target, or its mean and sd, that fit the checkpoint")

    hook = first.register_forward_pre_hook(compare)
    try:
        yield
    finally:
        hook.remove()


def differ(x):
    """Whether ``x`` holds at least eight images that are not all alike."""
    return len(x) >= ENOUGH and int((x != x[:1]).flatten(1).any(1).sum()) >= ENOUGH - 1


def _trained(module):
    if not isinstance(module, nn.BatchNorm2d) or module.running_var is None:
        return False
    return bool((module.running_var != 1).any() and module.running_var.max() > 0)
