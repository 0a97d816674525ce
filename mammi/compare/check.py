"""What must be the same before models are compared."""
from collections import Counter
from collections.abc import Mapping, Sequence

from mammi.errors import BadInput, near

SHOWN = 3


def check_ids(ids, name):
    """Raise :class:`BadInput` where an image is there twice: its vote would count twice, in one model's top images or
    the other's."""
    twice = [image for image, n in Counter(ids).items() if n > 1]
    if twice:
        raise BadInput(f"{name}: {len(twice)} image ids are there more than once ({_some(twice)}). Tables with a row "
                       "per finding (VinDr-Mammo) must be joined to a row per image: probing_set=vindr_mammo does it, "
                       "and so does image_folder with its image_column")


def check_same(ids, keys=None):
    """Raise :class:`BadInput` unless all of {model: image ids} are the same images, in whatever order.

    keys  {model: content keys, as many as ids, or None where they are not known}: images of equal names may show
          other things. They are compared where two models have them
    """
    (first, ours), *others = ids.items()
    for name, theirs in others:
        if set(ours) != set(theirs):
            both = len(set(ours) & set(theirs))
            raise BadInput(f"{first} was read on {len(ours)} images and {name} on {len(theirs)}, {both} of them the "
                           "same: best images of different lists cannot be compared. Annotate all models "
                           "with one probing_set (and one probing_set.split and limit)")
    known = [(name, dict(zip(ids[name], own))) for name, own in (keys or {}).items() if own is not None]
    for name, theirs in known[1:]:
        other, ours = known[0]
        if differs := [image for image, key in ours.items() if theirs[image] != key]:
            raise BadInput(f"{other} and {name} were read on images of the same names, but {len(differs)} of "
                           f"{len(ours)} show other things ({_some(differs)}): their keys in images.csv differ. "
                           "Annotate all models with one probing_set, of the same files and settings")


def check_reference(reference, models):
    """The name of the reference model: the first without one; :class:`BadInput` for one that is not compared."""
    if len(models) < 2:
        raise BadInput(f"task=compare needs two models or more, got {', '.join(models) or 'none'}. Next: "
                       "+target@task.models.NAME=OPTION for each (NAME is yours, OPTION as in target=OPTION), or "
                       "task.runs=[FOLDER, FOLDER]; experiment=chest_dissect shows it")
    if reference is None:
        return next(iter(models))
    if reference not in models:
        raise BadInput(f"task.reference={reference}: no model is called that. {near(str(reference), models)}")
    return reference


def align(layers, models, all_of, sort):
    """{model: its layers}, as many for each, from the image to the output: those at one place are compared.

    layers  ``all``, a list of names that every model has, or {model: names} for networks whose layers have other names
    models  names
    all_of, sort  functions (model) -> names, (model, names) -> names; they raise :class:`BadInput` for unknown ones
    """
    if isinstance(layers, Mapping):
        if set(layers) != set(models):
            raise BadInput(f"task.layers names {_some(layers)}, the models are {_some(models)}: give each its layers")
        found = {model: sort(model, _list(layers[model])) for model in models}
    elif layers == "all":
        found = {model: tuple(all_of(model)) for model in models}
        first = next(iter(models))
        for model in models:
            if alone := sorted(set(found[first]) ^ set(found[model])):
                owner = first if alone[0] in found[first] else model
                raise BadInput(f"layer {alone[0]} is in {owner} alone ({first} and {model} have {len(found[first])} "
                               f"and {len(found[model])} blocks). Compare those at the same depth: "
                               f"task.layers={{{first}: [...], {model}: [...]}}")
    else:
        found = {}
        for model in models:
            try:
                found[model] = sort(model, _list(layers))
            except BadInput as error:
                others = [other for other in found if other != model]
                where = f" ({_some(others)} has it)" if others else ""
                raise BadInput(f"task.layers: {model} lacks one of them{where}: {error} For networks of other names: "
                               "task.layers={MODEL: [...], MODEL: [...]}") from error
    check_depths(found)
    return found


def check_depths(layers):
    """Raise :class:`BadInput` unless the models of {model: layers} have as many, in one order where names agree."""
    (first, ours), *others = layers.items()
    if not ours:
        raise BadInput("task.layers is empty: all, or names of layers (task=layers lists them)")
    for name, theirs in others:
        if len(theirs) != len(ours):
            alone = [f"{layer} of {name}" for layer in theirs if layer not in ours]
            alone += [f"{layer} of {first}" for layer in ours if layer not in theirs]
            raise BadInput(f"{first} has {len(ours)} layers, {name} {len(theirs)}; {_some(alone)} has nothing to be "
                           "compared with. Give each model as many")
        if set(ours) == set(theirs) and tuple(ours) != tuple(theirs):
            raise BadInput(f"the layers of {first} and {name} are the same in another order: {_some(ours)} and "
                           f"{_some(theirs)}. Give them from the image to the output")


def _list(layers):
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        raise BadInput(f"task.layers={layers}: expected all, a list of layers, or {{model: [layers]}}")
    if len(set(layers)) != len(layers):
        raise BadInput(f"task.layers={list(layers)}: a layer is there twice")
    return tuple(str(layer) for layer in layers)


def _some(names):
    names = list(names)
    return ", ".join(map(str, names[:SHOWN])) + ", ..." * (len(names) > SHOWN)
