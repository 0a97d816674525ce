"""What weights were trained on, as the card beside them tells it."""
import json
import re
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
    weights = Path(weights).expanduser()
    path = weights.with_name("card.json") if weights.name == "weights.safetensors" else weights.with_suffix(".json")
    if not path.is_file():
        return frozenset()
    try:
        return from_card(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}, the card of {weights.name}, cannot be read ({error}): restore it; without it nobody "
                       "knows what the weights were trained on") from error
