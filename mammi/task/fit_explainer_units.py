"""Which read-outs a decoder is fitted to: the units with a channel, and how strongly each answers."""
import numpy as np
import torch

from mammi.errors import BadInput, near
from mammi.explainer.losses import FIRES
from mammi.explainer.strength import Strength, limits
from mammi.progress import track
from mammi.task.fitting import labels_of


def check(target, layer, units, rule):
    """Numbers of ``units`` (names or numbers; None: all) of ``layer``; :class:`BadInput` for one that is not there."""
    names = target.neurons(layer)
    if rule.mode == "paper" and not rule.embeds and layer != "final":
        raise BadInput(f"task.mode=paper with a loss T reads classes: target.layer=final, got {layer}. Units of other "
                       "layers: task.mode=fixed")
    if units is None:
        return list(range(len(names)))
    if rule.embeds or rule.mode == "paper":
        raise BadInput(f"task.units={list(units)}: task.loss={rule.loss} with task.mode={rule.mode} fits one mask for "
                       "all read-outs; leave task.units=null, or take task.mode=fixed task.loss=own")
    if not len(units) or len(set(units)) != len(units):
        raise BadInput(f"task.units={list(units)}: expected different units, at least one")
    if len(units) > len(names):
        raise BadInput(f"task.units has {len(units)} units, layer {layer} of {target.name} only {len(names)}")
    return [_number(unit, names, layer, target.name) for unit in units]


def _number(unit, names, layer, name):
    if isinstance(unit, int) and not isinstance(unit, bool):
        if not 0 <= unit < len(names):
            raise BadInput(f"task.units: layer {layer} of {name} has units 0 to {len(names) - 1}, not {unit}")
        return unit
    if unit not in names:
        raise BadInput(f"task.units: layer {layer} of {name} has no unit {unit!r}. {near(str(unit), names)}")
    return names.index(unit)


def targets_of(images, target, rule, layer, seed):
    """(positions, targets): in mode paper with a loss T the images with a class, and the class of each; else all, None.

    Of several classes one is drawn. Where the network has one output, it is everybody's.
    """
    everybody = np.arange(len(images))
    if rule.mode != "paper" or rule.embeds:
        return everybody, None
    if len(target.neurons(layer)) == 1:
        return everybody, np.zeros(len(images), int)
    labels = np.nan_to_num(labels_of(images, target.neurons(layer)))
    positions = np.flatnonzero(labels.any(1))
    rng = np.random.default_rng(seed)
    return positions, np.array([rng.choice(np.flatnonzero(labels[i])) for i in positions], int)


@torch.no_grad()
def strength_of(target, layer, images, units, named, read=None):
    """(:class:`Strength` of those of ``units`` that fire in ``images``, positions of images in which any does, notes).

    An image in which nothing fires has nothing to delete: it would only teach empty masks.

    images  :class:`mammi.task.fitting.Inputs`
    named   True where the user named the units: then one that never fires is refused
    """
    read = read or ("sigmoid" if layer == "final" else "quantiles")
    blocks = track(images.blocks(), f"{layer} of {target.name}", images.batch_size, len(images.images))
    values = torch.cat([target.forward(images[block], [layer])[layer].pooled.float().cpu() for block in blocks])
    units = torch.tensor(units)
    low, high = (limit[units] for limit in limits(values)) if read == "quantiles" else (None, None)
    firing = Strength(read, units, low, high)(values).nan_to_num() > FIRES  # a constant unit: 0 / 0
    fires = firing.any(0)
    names = target.neurons(layer)
    silent = [names[i] for i in units[~fires].tolist()]
    told = f"{len(silent)} of {len(units)} units never fire (z > {FIRES}) in {len(values)} training images: " \
           f"{', '.join(silent[:10])}{', ...' if len(silent) > 10 else ''}"
    if silent and (named or not fires.any()):
        raise BadInput(f"task.units: {told}. A decoder would learn nothing of them: leave them out, give more images, "
                       "or another task.read")
    kept = [limit[fires] if limit is not None else None for limit in (low, high)]
    positions = torch.nonzero(firing.any(1))[:, 0].numpy()
    return Strength(read, units[fires], *kept), positions, [f"{told}; they have no channel"] if silent else []
