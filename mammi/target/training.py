"""What weights were trained on, as the card beside them tells it."""
import json
import re
from contextlib import contextmanager
from pathlib import Path

from mammi.errors import BadInput
from mammi.overlap import KEY

PHANTOM = re.compile(r"phantom-(\d+)-\d+")  # an image id; the world is in it


def after(images, before=frozenset()):
    """What weights have seen once they were trained on ``images``: names ``dataset/split``, and content keys of
    12 characters; ``before`` is what they had seen already."""
    names = {f"{images.dataset}/{split}" for split in images.splits if images.dataset and split}
    return frozenset(before) | names | {key[:KEY] for key in images.keys}


def to_card(trained_on):
    """The JSON-able form that :func:`from_card` reads: names, and keys as one string (13 bytes an image)."""
    return {"names": sorted(n for n in trained_on if "/" in n),
            "keys": " ".join(sorted(n for n in trained_on if "/" not in n))}


def from_card(card):
    """The frozenset that :func:`after` gave, out of a card of ``task=fit_target``; empty where ``card`` is none.

    The shipped cards are older and tell the first training image alone: its id names the phantom's world.
    """
    if not isinstance(card, dict):
        return frozenset()
    if told := card.get("trained_on"):
        return frozenset(told["names"]) | frozenset(told["keys"].split())
    train = card.get("train")
    world = PHANTOM.fullmatch(str(train.get("first"))) if isinstance(train, dict) else None
    return frozenset({f"phantom/seed {world[1]}"} if world else ())


def trained_on(weights):
    """What the weights file ``weights`` has seen, by ``card.json`` beside ``weights.safetensors`` or ``<stem>.json``
    beside any other; empty where there is no card.

    Raises :class:`BadInput` for a card that cannot be read.
    """
    with _whole(weights):
        return from_card(_card(weights))


def classes_of(weights):
    """The classes that the card beside ``weights`` names, in the order of their outputs; None where it names none."""
    with _whole(weights):
        found = _card(weights).get("classes")
    strings = isinstance(found, list) and all(isinstance(name, str) for name in found)
    return tuple(found) if strings and found else None


def check_card(weights, classes, transform):
    """Notes where the card beside ``weights`` tells of images prepared otherwise than by ``transform``.

    Raises :class:`BadInput` where one of ``classes`` stands at another place in the card: every neuron would be judged
    by another's name. Names that are not in the card are a renaming.
    """
    fitted = classes_of(weights) or ()
    for place, (name, was) in enumerate(zip(classes, fitted)):
        if name != was and name in fitted:
            raise BadInput(f"target.classes: output {place} of {weights} was fitted as {was}, here it is called "
                           f"{name}. In the order of the outputs: 'target.classes=[{', '.join(fitted)}]'")
    was = _card(weights).get("transform", repr(transform))
    return () if was == repr(transform) else (f"the target was fitted on images prepared as {was}, here they are "
                                              f"prepared as {transform!r}: its answers may be others than in its card",)


def _beside(weights):
    weights = Path(weights).expanduser()
    return weights.with_name("card.json") if weights.name == "weights.safetensors" else weights.with_suffix(".json")


def _card(weights):
    path = _beside(weights)
    card = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return card if isinstance(card, dict) else {}


@contextmanager
def _whole(weights):
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{_beside(weights)}, the card of {Path(weights).name}, cannot be read ({error}): restore it; "
                       "without it nobody knows what the weights were trained on") from error
