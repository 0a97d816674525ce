"""Finished annotations as layers of a comparison."""
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mammi.compare.check import check_depths, check_ids, check_same
from mammi.compare.layers import Layer
from mammi.errors import BadInput
from mammi.finished import read
from mammi.report import GATE, read_object, verdicts
from mammi.types import NOT_CHECKED

APART = ("device", "batch_size", "root", "memo")  # keys of a config's groups that no number depends on
SAME = {"dissector": "one dissector must have looked at all: another gives other words to the same images",
        "concept_set": "the words to choose from must be the same",
        "probing_set": "all models must have been read on the same images, with one template",
        "method": "scores of different measures, or of other constants, are on different scales"}
REDUCER = "target.reducer"


class Read(NamedTuple):
    """What :func:`from_runs` found: layers, image ids, whether images are synthetic, {group: name}, notes, and what the
    gate said in these runs."""

    layers: list
    ids: tuple
    synthetic: bool
    names: dict
    notes: tuple
    gate: str


def from_runs(runs, concepts):
    """:class:`Read` of finished runs of ``method=clip_dissect``.

    runs      folders, a model each; or {model: folders}, a layer each, from the image to the output
    concepts  :class:`mammi.types.Concepts` with categories, of which every word of the runs must be one

    Raises :class:`BadInput` where they are of different images, words, constants or dissectors, or of another method.
    """
    import pandas as pd

    groups = _models(runs)
    found, gates, ids, keys, abouts, place = [], [], {}, {}, {}, {word: j for j, word in enumerate(concepts.words)}
    for model, folders in groups.items():
        for depth, folder in enumerate(folders):
            run, about = read(folder), read_object(Path(folder) / "run.json")
            gates.append({GATE: NOT_CHECKED} | run.metrics)
            _check_method(about, run.config, folder)
            table = pd.read_csv(Path(folder) / "images.csv", dtype=str, keep_default_na=False)
            own, name = tuple(table["id"]), f"{model} ({folder})"
            check_ids(own, str(folder))
            ids[name], abouts[str(folder)] = own, (about, run.config)
            keys[name] = tuple(table["key"]) if "key" in table else None  # runs before there were keys lack them
            found.append(_layer(run.neurons, model, about["names"]["layer"], depth, place, folder))
    check_same(ids, keys)
    _check_groups(abouts)
    _check_reducers({folder: config[REDUCER] for folder, (_, config) in abouts.items() if REDUCER in config})
    check_depths({model: [layer.name for layer in found if layer.model == model] for model in groups})
    about = next(iter(abouts.values()))[0]
    notes = [f"{name}: its images.csv has no keys, so its images are taken for those of the others by their names alone"
             for name, own in keys.items() if own is None]
    notes += list(dict.fromkeys(note for other, _ in abouts.values() for note in other.get("notes", ())))
    names = {key: about["names"][key] for key in ("probing_set", "concept_set", "dissector")}
    return Read(found, next(iter(ids.values())), about["synthetic"], names, tuple(notes), verdicts(gates))


def _models(runs):
    if isinstance(runs, Mapping):
        return {str(model): [folders] if isinstance(folders, str) else list(folders) for model, folders in runs.items()}
    names = {}
    for folder in [runs] if isinstance(runs, str) else runs:
        name = base = read(folder).metrics.get("target_name", Path(folder).name)
        n = 1
        while name in names:
            n += 1
            name = f"{base} {n}"
        names[name] = [folder]
    return names


def _layer(neurons, model, name, depth, place, folder):
    alive = neurons[neurons["words"].map(len) > 0]
    if not len(alive):
        raise BadInput(f"{folder}: no neuron has a word, all are dead")
    tops = [words[0] for words in alive["words"]]
    if lacking := [word for word in dict.fromkeys(tops) if word not in place]:
        raise BadInput(f"{folder}: {len(lacking)} of its words are in no category of the concept set here "
                       f"({', '.join(lacking[:3])}). Give the concept_set of the runs, with categories")
    return Layer(model, name, depth, alive["neuron"].to_numpy(), len(neurons),
                 np.array([place[word] for word in tops]), alive["score"].to_numpy(float))


def _check_method(about, config, folder):
    method = about.get("choices", {}).get("method")
    measure = config.get("method.similarity", "soft_wpmi")
    if method != "clip_dissect" or measure != "soft_wpmi":
        raise BadInput(f"{folder} is of method={method}" + f" with {measure}" * (method == "clip_dissect")
                       + ": models are compared by method=clip_dissect with soft_wpmi. Run it with that")


def _check_groups(abouts):
    (first, (ours, config)), *others = abouts.items()
    for folder, (about, other) in others:
        for group, why in SAME.items():
            here, there = ({key: value for key, value in one.items() if key.startswith(f"{group}.")
                            and key.split(".")[-1] not in APART} for one in (config, other))
            differs = sorted(key for key in here | there if here.get(key) != there.get(key))
            names = [one["names"].get(group) for one in (ours, about)]
            if differs or names[0] != names[1]:
                what = f"{differs[0]} is {here.get(differs[0])} and {there.get(differs[0])}" if differs else \
                    f"{group} is {names[0]} and {names[1]}"
                raise BadInput(f"{first} and {folder} cannot be compared: {what}; {why}")


def _check_reducers(reducers):
    """``reducers`` {folder: target.reducer}, of the runs that kept it."""
    if len(set(reducers.values())) > 1:
        raise BadInput(f"{REDUCER} differs: {reducers}. A mean over space and a maximum are different units; annotate "
                       "all models with the same")
