"""Dissectors of the paper that nobody has written here yet: their rows end with that reason and no number."""
from mammi.errors import MissingAsset


class NotHere:
    """Raises :class:`MissingAsset`. ``name`` is the option, ``model`` what it would load."""

    def __init__(self, name, model):
        raise MissingAsset(f"dissector={name} is not here yet: a loader of {model} has still to be written. Next: "
                           "another dissector (ls conf/dissector), or your own (mammi/dissector/base.py)")
