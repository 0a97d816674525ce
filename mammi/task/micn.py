"""Med-MICN in one page: classes -> features -> concept labels -> concepts, rules, prediction -> do they agree?

A network that explains itself in concepts, fuzzy rules and saliency (NeurIPS 2024), with concept labels from our
dissector, and beside it what it must be measured against.
"""
import copy
import json

import numpy as np

from mammi.errors import BadInput, number
from mammi.evidence import Evidence
from mammi.gate import verdict as gating
from mammi.micn.published import plan
from mammi.micn.rules import by_class, global_rules, local_rules, right_by_labels
from mammi.overlap import check_apart, warnings
from mammi.probing_set.base import spread
from mammi.task.fitted import fit_dissector_in
from mammi.task.micn_data import check_labels, chosen_words, concept_labels, three_sets
from mammi.task.micn_explain import explanations, lines
from mammi.task.micn_judge import alignment, concept_table, facts_of, table_of_models
from mammi.task.micn_models import OURS, Problem, compared
from mammi.task.micn_run import met_in_run, words_of_run
from mammi.task.micn_view import draw, summarise
from mammi.types import Concepts


def micn(target, probing_set, concept_set, dissector, selection, method, explainer, cache, batch_size, seed, out, *,
         gate=None, train=None, val=None, shared_patients="error", classes=None, words=None, run=None, experts=None,
         experts_image=None, threshold="quantile", threshold_value=None, on_leak="report", fit=None, mode="fixed",
         layer=None, finetune=False, head=None, training=None, lambda1=.1, lambda2=.1, seeds=3, baselines=True,
         explained=64, shown=6):
    """Train Med-MICN on ``layer`` of ``target`` with ``seeds`` seeds and leave in ``out`` (a run folder):

    metrics.json       accuracy, macro F1, AUROC (mean and sd over seeds, 95 % interval over patients and seeds);
                       concepts, rules, alignment, the cross-check with MAMMI's neurons
    models.csv         the same numbers of all that it is compared with; concepts.csv a row a concept
    rules_global.csv, rules_classes.csv, rules_local.jsonl, alignment.png, alignment/: of the first seed

    gate.csv           what the dissector was asked before; golden.json, see :mod:`mammi.gate.verdict`

    train, val         sets to learn from; without them train, val and test are splits of ``probing_set``
    classes            see :func:`mammi.micn.classes.classes_of`
    words, run, experts  where concepts and their labels come from: :mod:`mammi.task.micn_data`
    fit                None, or {"train", "val": sets with sentences, "options"}: fit the dissector first, once
    mode, finetune, head, training  see :func:`mammi.micn.published.plan`
    layer              None: ``penultimate``, with mode=paper ``final`` of a backbone with ImageNet's 1000 outputs
    explained, shown   test images whose saliency is measured, and drawn
    """
    for name, value, low in (("seeds", seeds, 1), ("explained", explained, 0), ("shown", shown, 0)):
        number(f"task.{name}", value, low, whole=True)
    for name, value in (("lambda1", lambda1), ("lambda2", lambda2)):
        number(f"task.{name}", value, 0)
    options, recipe, notes = plan(mode, finetune, head, training, target.name)
    target = backbone(target, layer, mode == "paper", probing_set, explainer if explained else None)
    sets, classes = three_sets(train, val, probing_set, classes, shared_patients)
    words, source = chosen_words(concept_set, cache, words, run, experts, sets["train"])
    given = check_labels(sets, words, experts, experts_image, threshold, threshold_value, on_leak)
    neurons = None
    if run is not None:
        neurons = words_of_run(run, target, target.layer)
        notes += met_in_run(run, sets)
    if fit:
        check_apart(fit["train"], sets["test"].images, ("dissector's training set", "test set"),
                    ("task.fit.train", "probing_set"))
        out.json("dissector_card.json", fit_dissector_in(dissector, fit["options"], fit["train"], fit["val"],
                                                         probing_set, cache, seed, out))
        notes.append(f"the dissector was fitted on {fit['train'].name}, {len(fit['train'])} images")

    y = {part: split.y for part, split in sets.items()}
    concepts = Concepts("words", tuple(words), source=source)
    evidence = {part: Evidence(target, split.images, concepts, dissector, selection, cache, batch_size)
                for part, split in sets.items()}
    found = concept_labels(evidence, words, source, threshold, threshold_value, experts, given, y, classes, on_leak)
    verdict = gating.question(gate, None, evidence["test"]) if found.rows else gating.not_asked("experts labelled")
    gating.leave(verdict, out)
    notes.append(gating.stated(verdict, dissector))
    features = {part: np.asarray(one.read([target.layer])[target.layer]) for part, one in evidence.items()}
    problem = Problem(target, target.layer, y, found.labels, features, options, recipe, (lambda1, lambda2),
                      mode == "paper", {part: split.images for part, split in sets.items()} if finetune else None)

    if neurons is None:  # here, before a backbone is trained along: both are of the one that was given
        neurons = first_words(method(evidence["train"]))
    if finetune:
        notes.append(f"MAMMI's neurons, their words and activations, are of {target.name} before it was trained along")
    every = range(seed, seed + seeds)
    scores, about = {}, {OURS: "fused"}
    ours = [problem.micn(one) for one in every]
    if baselines:
        scores, about = compared(problem, ours, found, every)
    ours[0].restored()  # what was trained end to end since then shares its backbone
    scores[OURS] = np.stack([one.scores for one in ours])
    rules = [local_rules(one.reasoning) for one in ours]
    test = sets["test"]
    table, facts = table_of_models(scores, about, test.y, test.images.patients, seed)
    facts |= facts_of(ours, rules, test.y, found, test.images.patients, seed)

    images = explanations(evidence["test"], ours[0], rules[0], found.words, explainer, explained) if explained else []
    facts |= alignment(images, test.images.patients, seed)
    concepts = concept_table(found, ours, neurons, features)
    facts |= {"neurons_named": len(neurons), "neurons_auroc": _mean(concepts["auroc_neurons"]),
              "neurons_concepts": int(concepts["auroc_neurons"].notna().sum()),
              "concepts_auroc": _mean(concepts["auroc"])}
    whole = global_rules(rules[0], test.y, found.labels["test"], classes, found.words)
    facts |= {"rules": len(whole), **right_by_labels(whole),
              "seconds_training": float(np.mean([one.seconds for one in ours])),
              "epochs": float(np.mean([one.epochs for one in ours])), "concepts": len(found.words), "seeds": seeds,
              "leaking": len(found.leaks), "dropped": len(found.dropped), "classes": len(classes)}
    facts |= {f"images_{part}": len(split.y) for part, split in sets.items()} | gating.numbers(verdict)

    for name, frame in (("models", table), ("concepts", concepts), ("rules_global", whole),
                        ("rules_classes", by_class(whole))):
        out.csv(f"{name}.csv", frame)
    out.text("rules_local.jsonl", "".join(json.dumps(line) + "\n" for line in lines(
        test, ours[0], rules[0], classes, found.words)))
    drawn = [images[i] for i in spread(len(images), shown)] if images and shown else []
    for n, some in enumerate([drawn, *([one] for one in drawn)] if drawn else []):
        name = f"alignment/{n - 1}.png" if n else "alignment.png"
        draw(some, test, ours[0], rules[0], classes, found.words, explainer.name, out.file(name))
    notes += [*found.notes, *_notes(sets, classes, found), *warnings(target, test.images), *target.notes,
              *dissector.notes]
    names = {"target": target.name, "probing_set": test.images.name, "dissector": dissector.name, "layer": target.layer}
    out.about(names=names, synthetic=test.images.synthetic, classes=classes, words=found.words, leaks=found.leaks,
              dropped=found.dropped, notes=notes, mode=mode, finetune=finetune, head=options, training=recipe._asdict())
    out.json("metrics.json", facts)
    summarise(names, table, facts, whole, notes, test.images.synthetic, out.path)
    return table, facts


def backbone(target, layer, paper, images, explainer):
    """``target`` read at ``layer``: its ``penultimate`` one, ``final`` of one without a head; as published its outputs
    for ImageNet's classes. Raises :class:`BadInput` where ``explainer`` needs maps that the layer has not."""
    target = copy.copy(target)
    outputs = "penultimate" not in target.taps or paper and len(target.neurons("final")) == 1000
    target.layer, target.activation = layer or ("final" if outputs else "penultimate"), "logit"
    one = target.read(images.load([0]), [target.layer], maps=True)[target.layer]
    if explainer is not None and explainer.maps and one.maps is None:
        raise BadInput(f"explainer={explainer.name} needs maps, and {target.layer} of {target.name} has none. Next: "
                       "task.layer=..., one that has some (task=layers lists them), another explainer, or "
                       "task.explained=0 for no saliency")
    return target


def first_words(annotations):
    """{neuron: its first word} of those that have any."""
    return {i: words[0] for i, words in enumerate(annotations.concepts) if words}


def _notes(sets, classes, found):
    if found.rows:
        yield ("concept labels and the words of MAMMI's neurons come from the same dissector: that they agree is no "
               "proof that either is right")
    for part, split in sets.items():
        yield f"{part}: " + ", ".join(f"{(split.y == j).sum()} {name}" for j, name in enumerate(classes))
    yield from dict.fromkeys(note for split in sets.values() for note in split.images.notes)


def _mean(column):
    return float(column.astype(float).mean()) if column.notna().any() else None
