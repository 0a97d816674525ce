"""A whole study on one's own labelled images: fit a target, fit a dissector, annotate, and doubt the result.

Two controls: the target's twin with random weights, and an image's mean brightness, the cheapest shortcut there is.
Where they rank the labels as well as the target does, the study has failed and says so, whatever the words look like.
"""
import json
import logging

import numpy as np
import pandas as pd

from mammi.backbone import fill, read
from mammi.evaluation.ranking import auroc, compare
from mammi.evidence import Evidence
from mammi.files import digest
from mammi.overlap import check_apart
from mammi.run_folder import RunFolder
from mammi.target.training import after
from mammi.task.annotate import annotate
from mammi.task.fit_dissector import fit_dissector
from mammi.task.fit_target import fit_target
from mammi.task.fitting import labels_of, spoken
from mammi.task.study_view import auroc_picture, summarise

log = logging.getLogger(__name__)
WORDS = ("top_concept", "hit", "hit_lemma", "hit_synonym", "purity", "images_selected")  # of neurons.csv
FACTS = ("hit", "hit_lemma", "hit_synonym", "f1", "purity")                              # of metrics.json


def study(target, twin, dissector, train, val, probing_set, concept_set, selection, method, evaluation, fit, cache,
          batch_size, seed, out):
    """Leave ``study.csv`` (a row per label), ``auroc.png``, ``metrics.json`` and a run folder each for target and twin.

    target, twin   :class:`~mammi.target.base.TorchTarget` of one architecture; ``twin`` stays as it is, random
    dissector      :class:`~mammi.dissector.locked_text.LockedText` without weights
    train, val     probing sets with labels, ``train`` with texts: for fitting, and for the cards' numbers
    probing_set    images of other patients: annotation and all reported numbers
    fit            {"target": options of ``fit_target``, "dissector": options of ``fit_dissector``}

    Fitted weights lie in the cache under all they were computed from; a second run only reads them. AUROC is over
    labels with at least 10 positives and negatives, see :func:`mammi.evaluation.ranking.compare`.
    """
    check_apart(train, probing_set, ("training set", "probing set"), ("task.train.split", "probing_set.split"))
    inputs = {"weights": target.fingerprint("final"), "classes": target.classes, "fit": fit["target"]}
    path, card = _fitted(cache, "target", inputs, train, val, seed, out, lambda there: fit_target(
        target, train, val, there, seed=seed, **fit["target"]))
    fill(target.module, read(path), path)
    target.trained_on = after(train, target.trained_on)
    target.notes = (f"the target was fine-tuned on {train.name}, {len(train)} images",)
    out.json("target_card.json", card)

    card = fitted_dissector(dissector, train, val, fit["dissector"], cache, seed, out)
    dissector.notes = tuple(note for note in train.notes if note not in probing_set.notes)
    out.json("dissector_card.json", card)

    facts, words = {}, []
    for name, model in (("target", target), ("twin", twin)):
        there = RunFolder(out.path / name, f"{out.name}: {name}", out.choices, out.overrides, out.seed)
        _, metrics = annotate(model, probing_set, concept_set, dissector, selection, method, evaluation, cache,
                              batch_size, there)
        neurons = pd.read_csv(there.file("neurons.csv"))
        words.append(neurons.set_index("name")[[c for c in WORDS if c in neurons]].add_suffix(f"_{name}"))
        facts |= {f"{key.replace(fact, f'{fact}_{name}', 1)}": metrics.get(key) for fact in FACTS
                  for key in (fact, f"{fact}_low", f"{fact}_high")}
    scores = _scores(target, twin, probing_set, dissector, selection, cache, batch_size)
    scores["brightness"] = _shortcut(train, probing_set, target.classes, batch_size)
    table, ranks = compare(scores, labels_of(probing_set, target.classes), target.classes, probing_set.patients, seed,
                           controls=("twin", "brightness"))
    table = table.join(pd.concat(words, axis=1), on="label")
    facts = {"images": len(probing_set), "patients": len(set(probing_set.patients)), **ranks, **facts}

    out.csv("study.csv", table)
    auroc_picture(table, facts, probing_set.name, out.file("auroc.png"))
    notes = [*probing_set.notes, *target.notes, *dissector.notes]
    out.about(names={"target": target.name, "twin": twin.name, "probing_set": probing_set.name,
                     "dissector": dissector.name}, synthetic=probing_set.synthetic, train=len(train), val=len(val),
              notes=notes)
    out.json("metrics.json", facts)
    summarise(table, facts, notes, out.path)
    return table, facts


def fitted_dissector(dissector, train, val, options, cache, seed, out):
    """Fit ``dissector`` with ``options`` of ``fit_dissector``, or take what an earlier run fitted; returns its card."""
    inputs = {"weights": dissector.fingerprint, "fit": options}
    path, card = _fitted(cache, "dissector", inputs, train, val, seed, out, lambda there: fit_dissector(
        dissector, train, val, there, seed=seed, **options))
    dissector.module.fill(read(path), path)
    dissector.withheld, dissector.notes = tuple(card["withheld"]), ()
    return card


def _fitted(cache, kind, inputs, train, val, seed, out, compute):
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


def _scores(target, twin, images, dissector, selection, cache, batch_size):
    """{"target", "twin": (P, L) logits, "dissector": (P, L) cosines with the label names in the set's template}."""
    one, other = (Evidence(model, images, None, dissector, selection, cache, batch_size) for model in (target, twin))
    queries = [f"{images.template} {spoken(name)}".strip() for name in target.classes]
    return {"target": one.read(["final"])["final"], "twin": other.read(["final"])["final"],
            "dissector": one.image_embeddings() @ one.text_embeddings(queries).T}


def _shortcut(train, images, classes, batch_size):
    """(P, L): an image's mean grey value, up or down as the label goes with it in ``train``."""
    ours, theirs = (np.array([np.asarray(image.convert("L")).mean() for at in range(0, len(some), batch_size)
                              for image in some.load(range(at, min(at + batch_size, len(some)))).images])
                    for some in (images, train))
    signs = []
    for column in labels_of(train, classes).T:
        known = ~np.isnan(column)
        signs.append(-1 if auroc(theirs[known], column[known] == 1) < .5 else 1)  # without positives: as it is
    return ours[:, None] * np.array(signs)
