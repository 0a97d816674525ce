"""Files of tensors -> networks: every key must have a place, and every place a key of its shape."""
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file

from mammi.errors import BadInput, MissingAsset


def locate(option, *wanted):
    """Paths of the files that ``dissector=option`` needs.

    wanted  for each file (the key that a user types, the path given or None, the file's name inside a folder, what it
            must be)

    Raises one :class:`MissingAsset` for all that are absent.
    """
    found, lacking = [], []
    for key, given, name, what in wanted:
        path = Path(given).expanduser() if given else None
        file = next((f for f in (path, path / name) if f.is_file()), None) if path else None
        if file:
            found.append(file)
            continue
        reason = "has no " + name if path and path.is_dir() else "is not there"
        state = f"is {path}, which {reason}" if path else "is not set"
        lacking.append(f"{key} {state}: it must be {what}. Next: {key}=FILE, or the folder that holds it.")
    if lacking:
        raise MissingAsset(f"dissector={option}: " + " ".join(lacking))
    return found


def read(path, source, wrappers=()):
    """{key: tensor} of a ``.safetensors`` file or of one that torch saved; no code in the file is run.

    source    what the file must be, for errors
    wrappers  names under which a file may keep its tensors; the first that is there counts

    Raises :class:`BadInput` for a file that is broken, holds something else, or numbers that are not finite.
    """
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0][:150]
        raise BadInput(f"dissector.weights: {path} cannot be read as tensors ({reason}). It must be {source}; where a "
                       "download was cut short, fetch it again") from error
    if isinstance(state, dict):
        state = next((state[name] for name in wrappers if name in state), state)
    if not isinstance(state, dict) or not all(torch.is_tensor(value) for value in state.values()):
        raise BadInput(f"dissector.weights: {path} is no {{name: tensor}}. It must be {source}")
    if broken := [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise BadInput(f"dissector.weights: {path} holds NaN or infinity in {len(broken)} tensors ({broken[0]}): a "
                       f"training that diverged, or numbers too large for 16 bits. It must be {source}")
    return state


def compare(state, wanted, prefix="", ignorable=()):
    """{kind: keys} of what does not fit between ``state`` and ``wanted``, {key: tensor} both.

    prefix     put before the keys that are named
    ignorable  endings of keys that either may have or lack
    """
    has, needs = ({key for key in one if not key.endswith(tuple(ignorable))} for one in (state, wanted))
    problems = {"missing": needs - has, "unexpected": has - needs,
                "of another shape": {key for key in needs & has if state[key].shape != wanted[key].shape}}
    return {kind: [prefix + key for key in keys] for kind, keys in problems.items()}


def must_fit(problems, path, what, source):
    """Raise :class:`BadInput` if any kind of ``problems`` has keys; it names three of each."""
    said = [f"{len(keys)} {kind} ({', '.join(sorted(keys)[:3])}{', ...' if len(keys) > 3 else ''})"
            for kind, keys in problems.items() if keys]
    if said:
        raise BadInput(f"dissector.weights: {path} is not {what}: {'; '.join(said)}. It must be {source}")


def fill(network, state, path, what, source, ignorable=()):
    """``network`` in evaluation mode with the tensors of ``state``, each in the network's own precision.

    Raises :class:`BadInput` unless keys and shapes are the same, see :func:`compare`.
    """
    wanted = network.state_dict()
    must_fit(compare(state, wanted, ignorable=ignorable), path, what, source)
    network.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)
    return network.eval()


def transformer(kind, config, state, prefix=""):
    """(a transformers network in float32 and evaluation mode, what does not fit), from the keys below ``prefix``.

    The library's own loader fills it, for it knows how keys were renamed over the years. ``position_ids``, constants
    that it has stopped to store, may be there or not.
    """
    own = {key.removeprefix(prefix): value for key, value in state.items()
           if key.startswith(prefix) and not key.endswith("position_ids")}
    with _quiet():
        network, info = kind.from_pretrained(None, config=config, state_dict=own, output_loading_info=True,
                                             ignore_mismatched_sizes=True, dtype=torch.float32)
    kinds = {"missing": info["missing_keys"], "unexpected": info["unexpected_keys"],
             "of another shape": [key for key, *_ in info["mismatched_keys"]]}
    return network.eval(), {kind: [prefix + key for key in keys] for kind, keys in kinds.items()}


@contextmanager
def _quiet():
    """Neither loading bar nor report of transformers: what does not fit is said in one error of ours."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
