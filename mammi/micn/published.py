"""How the published code trains, by backbone, and what ``mode`` and the options of a run make of it.

Repository xll0328/NeurIPS24-Med_MICN (MIT); its numbers, none of its code.
"""
from typing import NamedTuple

from mammi.errors import BadInput, near
from mammi.micn.train import Recipe

MODES = ("fixed", "paper")
HEAD = {"e": 8, "width": 128, "hidden": 64, "dropout": 0.0, "temperature": 1.0, "t_norm": "product", "detach": False}
CACHED_LR = 5e-3  # on features that are computed once
BUGS = (
    "temperature 100: every concept is relevant to every rule, and no gradient says otherwise",
    "a sigmoid before the cross-entropy",
    "the epoch is chosen on the test images, by an exact match of outputs above .5 (published as Med-MICN's accuracy; "
    "here accuracy_exact)",
    "the training images come in a fixed order",
    "dropout and batch statistics stay on while the epoch is chosen (the numbers here are then taken with both off)",
    "the features are the backbone's outputs for ImageNet's classes, where it has them, and are not standardised")


class Setting(NamedTuple):
    """lr of AdamW; width of the concept encoder; hidden width of the fusion (None: as many as features); dropout."""

    lr: float
    width: int
    hidden: int | None
    dropout: float = 0.0


# The hidden width with DINOv2 is not published: that of DenseNet169 is taken. vgg16 stands in the code, VGG19 in the
# README.
BACKBONES = {"resnet50": Setting(5e-5, 10, None), "vgg19": Setting(5e-6, 10, None),
             "densenet169": Setting(1e-4, 128, 64), "vit_small_patch14_dinov2": Setting(1e-6, 256, 64, .1)}


def setting(name):
    """The :class:`Setting` of a target by its name, or None."""
    return next((found for known, found in BACKBONES.items() if name.split(" ")[0].split(".")[0] == known), None)


def plan(mode, finetune, head, training, name):
    """(options of :class:`~mammi.micn.model.MedMICN`, :class:`Recipe`, notes) of a run.

    head, training  options that were given; None in them, or their absence: what ``mode`` says
    name            the target's
    """
    if mode not in MODES:
        raise BadInput(f"task.mode={mode}: {near(str(mode), MODES)}")
    if not isinstance(finetune, bool):
        raise BadInput(f"task.finetune={finetune}: expected true or false")
    paper, known, notes = mode == "paper", setting(name), []
    for what, given, allowed in (("head", head, HEAD), ("training", training, Recipe._fields[:5])):
        for key in given or {}:
            if key not in allowed:
                raise BadInput(f"task.{what}.{key}: there is no such option. {near(key, allowed)}")
    defaults, lr = dict(HEAD), CACHED_LR if not finetune else known.lr if known else 1e-4
    if paper:
        taken = known or BACKBONES["densenet169"]
        defaults |= {"temperature": 100.0, "t_norm": "godel", "width": taken.width,
                     "hidden": taken.hidden, "dropout": taken.dropout}
        lr = lr if not finetune else taken.lr
        notes += ["mode=paper, as the published code: " + "; ".join(BUGS)]
        if not known:
            notes.append(f"nothing is published for {name}: widths and rate are those of DenseNet169")
        if not finetune:
            notes.append("the published backbones are trained with the head; here the features are fixed, and the rate "
                         f"is {lr:g} (task.finetune=true: as published)")
    options = defaults | {key: value for key, value in (head or {}).items() if value is not None}
    recipe = Recipe(lr=lr, patience=None if paper else 10, shuffle=not paper, eval=not paper)
    given = {key: value for key, value in (training or {}).items() if value is not None}
    return options, recipe._replace(**given).checked(), notes
