"""Whether images were met before: by a target's training, or by another set of the same run."""
from mammi.errors import BadInput

KEY = 12  # characters of a content key that are kept of a training image


def seen(target, images):
    """How many of ``images`` the target's weights have learned from; None where nothing is known of their training.

    An image counts by its content, or by the name of its split (``dataset/split``), whatever the copy.
    """
    if not target.trained_on:
        return None
    names = [f"{images.dataset}/{split}" if images.dataset and split else None for split in images.splits]
    return sum(key[:KEY] in target.trained_on or name in target.trained_on
               for key, name in zip(images.keys, names or [None] * len(images)))


def warnings(target, images):
    """A note where the target has seen some of ``images``, else none."""
    if not (n := seen(target, images)):
        return ()
    names = ", ".join(sorted(name for name in target.trained_on if "/" in name))
    return (f"{n} of {len(images)} images of {images.name} were training images of {target.name}"
            f"{f' or are of what it was trained on ({names})' if names else ''}: what it answers there it has learned "
            "by heart, and it may answer new patients otherwise. For unseen images choose another split or set",)


def check_apart(one, other, roles, options):
    """Raise :class:`BadInput` where two sets share images or patients: numbers on the one would be worth nothing.

    roles, options  of ``one`` and of ``other``: what they are for, and what to type for another choice

    Patients of two named collections are different people whatever they are called, and so are images of equal names
    whose patients nobody knows: 1.png of the one folder is not 1.png of the other.
    """
    compared = [("images", one.keys, other.keys)]
    if not (one.dataset and other.dataset and one.dataset != other.dataset):
        compared.append(("patients", *([patient for patient, image in zip(images.patients, images.ids)
                                        if patient != image] for images in (one, other))))
    for what, ours, theirs in compared:
        if shared := set(ours) & set(theirs):
            raise BadInput(f"{len(shared)} {what} are both in the {roles[0]} {one.name} and in the {roles[1]} "
                           f"{other.name}; choose other splits ({options[0]}, {options[1]})")
