"""Weights that are fitted within a run, kept in the cache under all that they were computed from."""
import json
import logging

from mammi.backbone import fill, read
from mammi.files import digest
from mammi.run_folder import RunFolder
from mammi.target.training import after
from mammi.task.fit_dissector import fit_dissector
from mammi.task.fit_target import fit_target

log = logging.getLogger(__name__)


def fit_in(target, options, train, val, cache, seed, out):
    """Give ``target`` the weights of ``fit_target`` with ``options``; returns their card."""
    inputs = {"weights": target.fingerprint("final"), "classes": target.classes, "fit": options}
    path, card = fitted(cache, "target", inputs, train, val, seed, out, lambda there: fit_target(
        target, train, val, there, seed=seed, **options))
    fill(target.module, read(path), path)
    target.trained_on = after(train, target.trained_on)
    target.notes = (f"the target was fine-tuned on {train.name}, {len(train)} images",)
    return card


def fit_dissector_in(dissector, options, train, val, probing_set, cache, seed, out):
    """Give the locked-text ``dissector`` the weights of ``fit_dissector`` with ``options``; returns their card.

    probing_set  what it will look at: notes of ``train`` that hold there too are not repeated
    """
    inputs = {"weights": dissector.fingerprint, "fit": options}
    path, card = fitted(cache, "dissector", inputs, train, val, seed, out, lambda there: fit_dissector(
        dissector, train, val, there, seed=seed, **options))
    dissector.module.fill(read(path), path)
    dissector.withheld, dissector.card = tuple(card["withheld"]), card  # with golden embeddings, for the gate
    dissector.notes = tuple(note for note in train.notes if note not in probing_set.notes)
    return card


def fitted(cache, kind, inputs, train, val, seed, out, compute):
    """(path of the weights, card) of an earlier run with the same inputs, else computed.

    The card is written last, so a folder that has it is whole; an interrupted fit begins again.
    """
    about = [[s.keys, s.label_names, s.labels, s.texts, s.template] for s in (train, val)]
    key = digest(f"study {kind} 2", inputs, *(part for parts in about for part in parts), seed)
    there = RunFolder(cache.root / "models" / key, f"{out.name}: {kind}", out.choices, out.overrides, out.seed)
    card = there.path / "card.json"
    if card.is_file():
        log.info("%s: fitted before, weights in %s", kind, there.path)
    else:
        compute(there)
    return there.path / "weights.safetensors", json.loads(card.read_text())
