"""What is explained: which read-out on which image."""
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from mammi import finished
from mammi.errors import BadInput, near, number
from mammi.evaluation.ranking import best_threshold
from mammi.evidence import Evidence
from mammi.explainer.concept import LAYER as CONCEPT
from mammi.explainer.concept import check_open
from mammi.gate import verdict as gating
from mammi.image_text import prompts
from mammi.overlap import check_apart
from mammi.report import read_object
from mammi.task.performance import known, truth_of
from mammi.types import NOT_CHECKED, Concepts, Readout, Verdict

ANNOTATED, WORD = "annotated:", "concept:"


class Row(NamedTuple):
    """One explanation: ``image`` a position in the set, ``readout``, and the ``concept`` that its truth is named by."""

    image: int
    readout: Readout
    concept: str


def choose_rows(units, evidence, truth, val, limit, per_unit, choose):
    """([:class:`Row`], notes) for the options of :func:`mammi.task.explain.explain`.

    Raises :class:`BadInput` for a unit that is not there, that never fires, and where nothing is left to explain.
    """
    number("task.limit", limit, 1, whole=True)
    number("task.per_unit", per_unit, 1, whole=True)
    if choose not in ("any", "outlined"):
        raise BadInput(f"task.choose={choose}: expected any or outlined")
    only = truth if choose == "outlined" else None
    if isinstance(units, str) and units in ("predicted", "labels"):
        rows, notes = _of_images(*_classes(units, evidence, val), evidence, limit, only), []
    elif isinstance(units, str) and units.startswith(ANNOTATED):
        rows, notes = _annotated(units.removeprefix(ANNOTATED), evidence, per_unit, only)
    elif isinstance(units, str):
        raise BadInput(f"task.units={units}: expected predicted, labels, annotated:FOLDER, or a list such as "
                       f"'task.units=[0,1]' or '[{WORD}effusion]'")
    else:
        rows, notes = _listed(list(units), evidence, per_unit, only), []
    if not rows:
        why = " on which its truth is drawn" if only else ""
        raise BadInput(f"task.units={units}: no image{why} is left to explain. Give more images (probing_set.limit), "
                       "other units, or task.choose=any")
    return rows, notes


def _classes(units, evidence, val):
    """(P, C) bool: which classes are explained on which image."""
    target, images = evidence.target, evidence.images
    classes = target.neurons("final")
    if units == "labels":
        return truth_of(images, classes, "probing_set") == 1, classes
    return predicted(target, images, val, evidence)[0], classes


def predicted(target, images, val, evidence):
    """((P, C) bool, (P, C) probabilities, C thresholds): what the target says of ``images``; a class counts from the
    probability on that gives the highest F1 on ``val``, never where ``val`` has no positive."""
    if val.dataset != images.dataset:
        raise BadInput(f"task.val={val.name} is no part of {images.dataset}: thresholds must come from images like "
                       "those explained. Next: probing_set@task.val=OPTION task.val.split=val; or task.units=labels")
    check_apart(val, images, ("validation set", "probing set"), ("task.val.split", "probing_set.split"))
    classes = target.neurons("final")
    truth = truth_of(val, classes, "task.val")
    scores, ours = (expit(Evidence(target, some, None, None, None, evidence.cache, evidence.batch_size)
                          .read(["final"])["final"].astype(float)) for some in (val, images))
    thresholds = np.array([best_threshold(*known(scores[:, k], truth[:, k])) for k in range(len(classes))])
    return ours >= np.where(np.isnan(thresholds), np.inf, thresholds), ours, thresholds


def _of_images(belongs, classes, evidence, limit, only):
    """Rows of up to ``limit`` images, evenly spread over those with something to explain."""
    target = evidence.target
    found = {}
    for image, k in np.argwhere(belongs):
        found.setdefault(int(image), []).append(Row(int(image), target.unit("final", int(k)), classes[k]))
    if only:
        drawn = only.drawn_on(only.outlined(found))
        found = {i: [row for row in found[i] if only.names(row.concept) & drawn[i]] for i in drawn}
    left = [own for own in found.values() if own]
    picked = np.unique(np.linspace(0, len(left) - 1, min(limit, len(left))).round().astype(int)) if left else []
    return [row for i in picked for row in left[i]]


def _listed(units, evidence, per_unit, only):
    words = words_of(units)
    if words and len(words) < len(units):
        raise BadInput(f"task.units={units}: concepts and units of the target are two runs, since two models answer")
    if words:
        if evidence.dissector is None:
            raise BadInput(f"task.units={units}: a concept is the cosine of image and word by a dissector. Next: "
                           "dissector@task.dissector=phantom_nce, or another option of conf/dissector")
        check_open(evidence.dissector)
        scores = evidence.similarity(prompts(words, evidence.images.template))[:, :]
        readouts = [Readout(CONCEPT, i, word) for i, word in enumerate(words)]
        return _highest(readouts, words, np.asarray(scores), evidence, per_unit, only)
    target = evidence.target
    names, scores = target.neurons(target.layer), evidence.read([target.layer])[target.layer]
    numbers = [_number(unit, names, target) for unit in units]
    for k in numbers:
        if scores[:, k].min() == scores[:, k].max() or target.layer != "final" and scores[:, k].max() <= 0:
            raise BadInput(f"unit {names[k]} never fires: it is {scores[:, k].max():g} at most on {len(scores)} "
                           "images, so there is nothing to explain. Choose another (task=layers, neurons.csv of a run)")
    return _highest([target.unit(target.layer, k) for k in numbers], [names[k] for k in numbers], scores[:, numbers],
                    evidence, per_unit, only)


def words_of(units):
    """The words of the ``concept:WORD`` among ``units``, a list or a string."""
    return [unit.removeprefix(WORD).strip() for unit in units if str(unit).startswith(WORD)]


def verdict_on(gate, units, evidence):
    """The :class:`mammi.types.Verdict` on the dissector whose words ``units`` are: of ``concept:WORD`` by ``gate``,
    which may refuse; of a finished run's neurons that which the run had; of anything else nobody asks."""
    if isinstance(units, str) and units.startswith(ANNOTATED):
        folder = units.removeprefix(ANNOTATED)
        found = read_object(finished.read(folder).folder / "run.json").get("gate") or {}
        return Verdict(found.get("verdict", NOT_CHECKED), f"as {folder} has it: {found.get('says', 'nothing')}")
    if not (words := words_of(units)):
        return gating.not_asked("no word of a dissector is explained")
    asked = Evidence(evidence.target, evidence.images, Concepts("task.units", tuple(dict.fromkeys(words))),
                     evidence.dissector, None, evidence.cache, evidence.batch_size)
    return gating.question(gate, None, asked)


def _number(unit, names, target):
    if isinstance(unit, int) and not isinstance(unit, bool) and 0 <= unit < len(names):
        return unit
    lower = [name.lower() for name in names]
    if isinstance(unit, str) and unit.lower() in lower:
        return lower.index(unit.lower())
    raise BadInput(f"task.units: {target.name} / {target.layer} has no unit {unit}; it has 0 to {len(names) - 1}. "
                   f"{near(str(unit), names)}")


def _highest(readouts, concepts, scores, evidence, per_unit, only):
    """Rows of the ``per_unit`` images of each read-out's highest score, ties by position; ``scores`` (P, readouts)."""
    candidates = np.arange(len(evidence.images))
    drawn = only.drawn_on(only.outlined(candidates)) if only else {}
    rows = []
    for k, (readout, concept) in enumerate(zip(readouts, concepts)):
        mine = np.array([i for i in drawn if only.names(concept) & drawn[i]], int) if only else candidates
        best = mine[np.argsort(-scores[mine, k], kind="stable")][:per_unit]
        rows += [Row(int(i), readout, concept) for i in best]
    return rows


def _annotated(folder, evidence, per_unit, only):
    """The named neurons of a finished run on their representative images, highest activation first."""
    target, images = evidence.target, evidence.images
    run = finished.read(folder)
    about = read_object(run.folder / "run.json")
    names, theirs = about.get("names", {}), about.get("target_fingerprint")
    for what, mine in (("layer", target.layer), ("target", target.name)):
        if names.get(what) != mine:
            raise BadInput(f"task.units=annotated:{folder}: its {what} is {names.get(what)}, "
                           f"here it is {mine}. Give the options that the run had (its reproduce.sh), such as "
                           f"target.layer={names.get('layer')}")
    if theirs not in (None, target.fingerprint(target.layer)):
        raise BadInput(f"task.units=annotated:{folder}: it named the neurons of a {target.name} with other weights, "
                       "transform or reducer than this one's, so its words do not belong to these neurons. Give the "
                       "target's options that the run had (its reproduce.sh), such as target.weights and seed")
    shown = pd.read_csv(run.folder / "contributions.csv", dtype={"image": str})
    at = {name: i for i, name in enumerate(images.ids)}
    if len(shown) and not shown["image"].isin(at).any():
        raise BadInput(f"task.units=annotated:{folder}: none of its representative images is in {images.name}. Give "
                       "the probing set that the run had")
    scores, rows = evidence.read([target.layer])[target.layer], []
    for neuron, own in shown.groupby("neuron", sort=True):
        mine = np.array([at[image] for image in own["image"] if image in at], int)
        mine = mine[np.argsort(-scores[mine, neuron], kind="stable")]
        word, readout = own["concept"].iloc[0], target.unit(target.layer, int(neuron))
        if only:
            drawn = only.drawn_on(only.outlined(mine))
            mine = [i for i in mine if only.names(word) & drawn.get(int(i), set())]
        rows += [Row(int(i), readout, word) for i in mine[:per_unit]]
    without = len(run.neurons) - len({row.readout.index for row in rows})
    told = f"{without} of {len(run.neurons)} neurons of {folder} have no word or no image to show: left out"
    older = f"{folder} does not say of which weights its neurons are: only the target's name and layer were compared"
    return rows, [told] * bool(without) + [older] * (theirs is None)
