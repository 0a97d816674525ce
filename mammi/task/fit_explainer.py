"""Train a decoder of explanation masks (NEMt) on a frozen target's features."""
import logging
import math
import shlex
from contextlib import contextmanager

import numpy as np
import torch

from mammi.errors import BadInput, number
from mammi.explainer.decoder import Decoder
from mammi.explainer.decoder_file import save
from mammi.explainer.features import find
from mammi.explainer.nemt import Nemt, fingerprint_of
from mammi.explainer.objective import Objective, rules
from mammi.overlap import check_apart
from mammi.progress import track
from mammi.run_folder import versions
from mammi.task import fit_explainer_units as read_outs
from mammi.task.fit_explainer_view import empty, measure, picture, print_measured
from mammi.task.fitting import Inputs, about, check_enough, check_options, finite, shuffled

log = logging.getLogger(__name__)
DEPENDS = ("python", "torch", "torchvision", "numpy", "timm")


def fit_explainer(target, train, val, out, *, epochs, batch_size, accumulate=1, lr=1.0, weight_decay=.01, mode="fixed",
                  loss=None, units=None, read=None, weight=2.0, width=256, partition=1, kernel=None, occlusion=None,
                  seed=0):
    """Fit a decoder to ``target``; leave ``weights.safetensors`` and ``card.json`` in ``out``.

    target       a :class:`~mammi.explainer.base.Subject` with ``layer``, ``neurons`` and ``fingerprint``; it stays as
                 it is, in evaluation mode. ``target.layer`` is the layer that is explained
    train, val   probing sets without a common patient; labels are used in mode paper alone
    accumulate   batches whose gradients make one step of Prodigy (Mishchenko and Defazio, 2024), which finds its own
                 rate: ``lr`` multiplies it
    mode         ``fixed``, or ``paper``: the authors' code with its errors, see :class:`mammi.explainer.nemt.Nemt`
    loss         one of :data:`mammi.explainer.objective.LOSSES`; None: ``own``, in mode paper ``t_inverse``
    units        names or numbers of the layer's units that get a channel each; None: all that fire
    read         how a unit's answer becomes z in [0, 1], see :class:`mammi.explainer.strength.Strength`; None: sigmoid
                 of the final layer, quantiles of any other
    weight       of the drop against the area (loss own)
    width, partition  see :class:`mammi.explainer.decoder.Decoder`
    kernel       pixels of the smoothing kernel; None: 21 of 224
    occlusion    what is seen where a mask is 0: see :func:`mammi.explainer.losses.base_of`
    Returns the card. Raises :class:`BadInput` before the work where an option, a set or a unit cannot be used.
    """
    check_options(epochs, lr, batch_size, weight_decay, 0, 0)
    for name, value in (("accumulate", accumulate), ("width", width), ("partition", partition)):
        number(f"task.{name}", value, 1, whole=True)
    number("task.weight", weight, 0)
    check_sets(train, val, batch_size)
    layer, fingerprint = target.layer, fingerprint_of(target, target.layer)
    x = target.prepare(train.load([0]))
    rule = rules(mode, loss, occlusion, kernel, min(x.shape[-2:]))
    tap = find(target, x, layer)
    asked = read_outs.check(target, layer, units, rule)
    positions, targets = read_outs.targets_of(train, target, rule, layer, seed)

    torch.manual_seed(seed)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    with frozen(target.module):
        images, strength, notes = Inputs(target, train, batch_size), None, []
        if mode == "fixed" and not rule.embeds:
            strength, positions, notes = read_outs.strength_of(target, layer, images, asked, units is not None, read)
            asked = strength.units.tolist()
        check_enough(len(positions), batch_size, " with a class" if targets is not None else " in which a unit fires")
        for note in notes:
            log.warning(note)
        shape = {"skips": tap.channels, "channels": len(asked) if strength else 1, "width": width,
                 "partition": partition}
        decoder = Decoder(**shape).to(target.device)
        objective = Objective(target, tap, layer, strength, rule, weight, generator)
        steps, per_epoch = list(shuffled(len(positions), batch_size, epochs, rng)), len(positions) // batch_size
        losses = train_decoder(decoder, objective, images, positions, targets, steps, per_epoch, accumulate, lr,
                               weight_decay, decay=mode == "fixed")
    names = target.neurons(layer)
    card = {"target": target.name, "fingerprint": fingerprint, "layer": layer, "units": asked,
            "unit_names": [names[i] for i in asked], "rules": rule._asdict(),
            "features": {"names": tap.names, "channels": tap.channels, "tokens": tap.tokens}, "decoder": shape,
            "parameters": sum(p.numel() for p in decoder.parameters()), "notes": notes,
            "options": {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate, "lr": lr,
                        "weight_decay": weight_decay, "read": strength.read if strength else None, "weight": weight},
            "seed": seed, "command": shlex.join(["python", "run.py", *out.overrides]),
            "train": about(train), "images_used": len(positions),
            "loss_by_epoch": [float(np.mean(losses[i:i + per_epoch])) for i in range(0, len(losses), per_epoch)],
            "versions": {name: version for name, version in versions().items() if name in DEPENDS}}
    save(decoder, out.file("weights.safetensors"), card)
    nemt = Nemt(out.file("weights.safetensors"), seed)  # what is measured is what is kept
    shown, found = measure(nemt, target, val, strength, batch_size)
    card |= {"validation": about(val), **found, "notes": notes + empty(found.get("units_on_validation", ()))}
    save(nemt.decoder, out.file("weights.safetensors"), card)  # the same, with what was found
    out.json("card.json", card)
    picture(shown, nemt, target, val, out.file("examples.png"))
    print_measured(card, out.file("weights.safetensors"))
    return card


def check_sets(train, val, batch_size):
    """Raise :class:`BadInput` unless both sets have images enough, and no image or patient in common."""
    if not len(val):
        raise BadInput(f"{val.name} has no images to validate on: choose another task.val.split or task.val.limit")
    check_apart(train, val, ("training set", "validation set"), ("task.train.split", "task.val.split"))
    check_enough(len(train), batch_size)


def train_decoder(decoder, objective, images, positions, targets, steps, per_epoch, accumulate, lr, weight_decay,
                  decay=True):
    """Losses of all ``steps``, each a batch of indices into ``positions`` (and ``targets``, where there are any).

    decay  True lets the rate fall to zero along a cosine. The authors' code builds that schedule and forgets to use it.
    """
    from prodigyopt import Prodigy

    optimizer = Prodigy(decoder.parameters(), lr=lr, weight_decay=weight_decay, safeguard_warmup=True)
    losses = []
    decoder.train()
    for at in track(steps, "training"):
        own = None if targets is None else torch.from_numpy(targets[at]).to(objective.subject.device)
        loss = objective(decoder, images[positions[at]], own)
        losses.append(finite(loss.item(), len(losses)))
        (loss / accumulate).backward()
        done = len(losses) % per_epoch
        if done % accumulate == 0 or done == 0:  # an epoch's last step takes what is left
            if decay:
                optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * (len(losses) - 1) / len(steps))) / 2
            optimizer.step()
            optimizer.zero_grad()
        if done == 0:
            log.info("epoch %d of %d: loss %.4f", len(losses) // per_epoch, len(steps) // per_epoch,
                     np.mean(losses[-per_epoch:]))
    return losses


@contextmanager
def frozen(module):
    """``module`` in evaluation mode and without gradients of its parameters, as before when the block ends."""
    wanted, mode = [p.requires_grad for p in module.parameters()], module.training
    module.eval().requires_grad_(False)
    try:
        yield
    finally:
        module.train(mode)
        for parameter, grad in zip(module.parameters(), wanted):
            parameter.requires_grad_(grad)
