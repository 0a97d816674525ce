"""Train a target, or fine-tune a pretrained one, on the labels of a probing set."""
import logging
import math
import shlex

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import binary_cross_entropy_with_logits

from mammi.errors import BadInput, near
from mammi.files import replacing
from mammi.overlap import check_apart
from mammi.progress import track
from mammi.run_folder import versions
from mammi.target.training import after, to_card
from mammi.task.fitting import (
    Inputs,
    about,
    augmented,
    aurocs,
    check_enough,
    check_options,
    finite,
    labels_of,
    print_scores,
    shuffled,
)

log = logging.getLogger(__name__)
DEPENDS = ("python", "torch", "torchvision", "numpy", "timm")


def fit_target(target, train, val, out, *, epochs, lr, batch_size, weight_decay=.02, warm_up=.2, jitter=.1,
               class_weights=False, freeze=(), half=False, seed=0):
    """Fit ``target.module`` to the labels of ``train``; leave ``weights.safetensors`` and ``card.json`` in ``out``.

    target         a :class:`~mammi.target.base.TorchTarget`, random or pretrained; its classes name the labels
    train, val     probing sets with those labels and without a common patient; NaN labels count for nothing
    lr             peak of a one-cycle schedule that rises for the share ``warm_up`` of all steps; AdamW
    jitter         brightness: each prepared image is scaled by 1 +- jitter and shifted by up to 0.6 jitter. No flips:
                   left and right matter
    class_weights  weigh positives by negatives / positives (at most 20)
    freeze         prefixes of parameter names that stay as they are, their normalisation statistics too
    half           save in 16 bits; the card's numbers are of the saved weights
    Returns the validation AUROC {class: value}, of classes with at least 10 positives and 10 negatives.
    """
    check_options(epochs, lr, batch_size, weight_decay, warm_up, jitter)
    check_apart(train, val, ("training set", "validation set"), ("task.train.split", "task.val.split"))
    check_enough(len(train), batch_size)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    truth, val_truth = labels_of(train, target.classes), labels_of(val, target.classes)
    images, val_images = Inputs(target, train, batch_size), Inputs(target, val, batch_size)
    trained = freeze_prefixes(target.module, freeze)
    weights = positive_weights(truth).to(target.device) if class_weights else None
    per_epoch = len(train) // batch_size
    optimizer = torch.optim.AdamW(trained, lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: one_cycle(step / (epochs * per_epoch), warm_up))

    losses = []
    for positions in track(list(shuffled(len(train), batch_size, epochs, rng)), "training"):
        x, y = augmented(images[positions], jitter, rng), torch.from_numpy(truth[positions]).to(target.device)
        set_mode(target.module, freeze)
        loss = masked_bce(target.module(x), y, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(finite(loss.item(), len(losses)))
        if len(losses) % per_epoch == 0:
            log.info("epoch %d of %d: loss %.4f", len(losses) // per_epoch, epochs, np.mean(losses[-per_epoch:]))
    target.module.eval()

    save(target.module, out.file("weights.safetensors"), half)
    target.module.load_state_dict(load_file(out.file("weights.safetensors")))
    target.trained_on = after(train, target.trained_on)
    logits = predict(target, val_images)
    scores = aurocs(logits, val_truth, target.classes)
    options = {"epochs": epochs, "lr": lr, "batch_size": batch_size, "weight_decay": weight_decay, "warm_up": warm_up,
               "jitter": jitter, "class_weights": class_weights, "freeze": list(freeze), "half": half}
    out.json("card.json", {
        "target": target.name, "seed": seed, "command": shlex.join(["python", "run.py", *out.overrides]),
        "classes": target.classes, "transform": repr(target.transform),
        "train": about(train), "validation": about(val), "options": options,
        "final_loss": float(np.mean(losses[-50:])), "validation_auroc": scores,
        "validation_auroc_mean": float(np.mean(list(scores.values()))) if scores else None,
        "golden": {"ids": val.ids[:2], "logits": logits[:2].tolist()},
        "versions": {name: version for name, version in versions().items() if name in DEPENDS},
        "trained_on": to_card(target.trained_on)})
    print_scores(scores, val_truth, target.classes, out.file("weights.safetensors"))
    return scores


def freeze_prefixes(module, prefixes):
    """The parameters to train; those whose names begin with one of ``prefixes`` are not."""
    names = [name for name, _ in module.named_parameters()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            raise BadInput(f"freeze={prefix}: no parameter begins so. {near(prefix, names)}")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not name.startswith(tuple(prefixes)))
    trained = [p for p in module.parameters() if p.requires_grad]
    if not trained:
        raise BadInput(f"freeze={list(prefixes)} leaves nothing to train")
    return trained


def set_mode(module, freeze):
    """Training mode, but for modules whose names begin with a frozen prefix."""
    module.train()
    for name, part in module.named_modules():
        if freeze and (name + ".").startswith(tuple(freeze)):
            part.eval()


def one_cycle(done, warm_up):
    """Share of the peak learning rate when the share ``done`` of training is over: cosine rise from 1/25, cosine fall
    to zero (Smith and Topin, 2019)."""
    if done < warm_up:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / warm_up)) / 2
    return (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2 if done < 1 else 0.0


def masked_bce(logits, y, weights=None):
    """Mean binary cross-entropy over the known (not NaN) labels of a batch."""
    known = ~y.isnan()
    losses = binary_cross_entropy_with_logits(logits, y.nan_to_num(), pos_weight=weights, reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def positive_weights(truth):
    """(classes,) negatives / positives, between 1/20 and 20."""
    positives, negatives = np.nansum(truth == 1, 0), np.nansum(truth == 0, 0)
    return torch.from_numpy((negatives / np.maximum(positives, 1)).clip(1 / 20, 20)).float()


@torch.no_grad()
def predict(target, inputs):
    """(P, classes) float32 logits."""
    return np.concatenate([target.module(inputs[block]).float().cpu().numpy() for block in inputs.blocks()])


def save(module, path, half):
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    if half:
        state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    with replacing(path) as part:
        save_file(state, part)
