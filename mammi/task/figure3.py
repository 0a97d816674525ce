"""MAMMI's Figure 3: which neurons a prediction rests on, what each method calls them, and where they fire."""
from typing import NamedTuple

import numpy as np
import torch

from mammi import importance
from mammi.errors import BadInput, number
from mammi.evidence import Evidence
from mammi.explainer.actmap import ActMap, strongest
from mammi.gate import verdict as gating
from mammi.overlap import seen, warnings
from mammi.task.explain_rows import Row, predicted
from mammi.task.explain_truth import Truth
from mammi.task.figure3_cases import cases_of, chosen, linear, members_of
from mammi.task.figure3_view import draw, summarise

OVERALL = 3  # neurons of the overall maps, as in WWW


def figure3(target, probing_set, concept_set, dissector, selection, methods, explainer, val, images, neurons, cache,
            batch_size, out, gate=None, overall_percentile=None):
    """Leave ``figure3.png``, ``figure3.pdf``, ``figure3.csv`` (a row per image, class and neuron) and ``metrics.json``.

    target     with ``layer=penultimate``: its units are annotated and shown
    methods    {name: method}: all annotate the layer on the same evidence
    explainer  of the neurons' heat maps
    val        thresholds are those of best F1 on it; a class is predicted from its threshold on
    images     a number: for each of so many classes, those predicted most often first, the image with its most certain
               prediction, right or wrong; or a list of ids. Of an image every predicted class is a row, up to two
    neurons    shown of each class, by Shapley value; 2 in the paper
    overall_percentile  None, as WWW has it, or of each enlarged map's pixels: what does not exceed it becomes 0 before
               the overall maps are made. The paper's code has 90 (section A.10)

    The class's map weighs the maps of its three leading neurons by their mean importance over all images with the label
    (B.2), or where no image has it over those that the class is predicted on, which a note tells; the sample's map
    those of the image by the image's own; their cosine tells whether this image is seen as its class is (WWW).
    """
    number("task.neurons", neurons, 1, whole=True)
    if overall_percentile is not None:
        number("task.overall_percentile", overall_percentile, 0, 100)
    if target.layer != "penultimate":
        raise BadInput(f"target.layer={target.layer}: the figure shows the neurons below the classes. Give "
                       "target.layer=penultimate")
    concepts = concept_set.load(cache)
    evidence = Evidence(target, probing_set, concepts, dissector, selection, cache, batch_size)
    belongs, probabilities, thresholds = predicted(target, probing_set, val, evidence)
    at = chosen(images, belongs, probabilities, probing_set.ids)
    explainer.check(target, [target.unit(target.layer, 0)])

    members, unlabelled = members_of(belongs, target.neurons("final"), probing_set)
    cases = cases_of(at, belongs, probabilities, thresholds, evidence, members)
    evidence.gather()
    verdict = gating.question(gate, None, evidence)
    gating.leave(verdict, out)
    words = {name: method(evidence) for name, method in methods.items()}
    shown = [show(case, evidence, explainer, Truth(probing_set), neurons, overall_percentile) for case in cases]

    table = table_of(cases, shown, words, probing_set).assign(gate=verdict.name)
    facts = {"cases": len(cases), "images": len(at), "map_cosine": float(np.nanmean([s.cosine for s in shown])),
             "share_of_leading": float(table.groupby("case")["share"].sum(min_count=1).mean()),
             "images_seen_in_training": seen(target, probing_set), **gating.numbers(verdict)}
    names = {"target": target.name, "probing_set": probing_set.name, "concept_set": concepts.name,
             "dissector": dissector.name, "layer": target.layer, "explainer": explainer.name}
    notes = [*warnings(target, probing_set), *probing_set.notes, *target.notes, *dissector.notes,
             *(note for found in words.values() for note in found.notes), gating.stated(verdict, dissector)]
    if not linear(target):
        notes.append("the head is not linear: importance is activation x gradient, not the exact Shapley value, and no "
                     "share of the output")
    if without := [name for name in dict.fromkeys(case.name for case in cases) if name in unlabelled]:
        notes.append(f"no image is labelled {', '.join(without)}: the importance of neurons for the class is the mean "
                     "over the images that it is predicted on")
    out.csv("figure3.csv", table)
    draw(cases, shown, words, evidence, without, out.file("figure3"))
    out.about(names=names, synthetic=probing_set.synthetic, images=len(probing_set), concepts=len(concepts),
              notes=list(dict.fromkeys(notes)))
    out.json("metrics.json", {**facts, **{f"{key}_name": name for key, name in names.items()}})
    summarise(cases, shown, words, facts, notes, probing_set.synthetic, out.path)
    return table, facts


class Shown(NamedTuple):
    """What is drawn of a case: ``grey`` (H, W) as the network sees it, ``truth`` (H, W) bool or None, the ``neurons``
    with their ``maps`` (n, H, W), the overall maps of ``sample`` and class, and their ``cosine``."""

    grey: np.ndarray
    truth: np.ndarray | None
    neurons: np.ndarray
    maps: np.ndarray
    sample: np.ndarray
    of_class: np.ndarray
    cosine: float


def show(case, evidence, explainer, truth, neurons, overall_percentile=None):
    """:class:`Shown` of one case."""
    target, layer = evidence.target, evidence.target.layer
    batch = truth.load([case.image])
    x = target.prepare(batch)
    size = batch.images[0].size
    mask, _ = truth.mask(Row(case.image, target.unit("final", case.k), case.name),
                         (truth.of(batch) or [None])[0], size, target.field(size), x.shape[-2:])
    top = importance.leading(case.phi, neurons)

    def maps(by, units):
        units = [target.unit(layer, int(k)) for k in units]
        return by(target, x.expand(len(units), *x.shape[1:]), units).cpu() if units else torch.zeros((0, *x.shape[2:]))

    def overall(values):
        leading = importance.leading(values, OVERALL)
        return importance.overall_map(strongest(maps(ActMap(), leading), overall_percentile), values[leading])

    sample, of_class = overall(case.phi), overall(case.of_class)
    return Shown(x[0].mean(0).cpu().numpy(), mask, top, maps(explainer, top).numpy(), sample, of_class,
                 importance.cosine(sample, of_class))


def table_of(cases, shown, words, images):
    """The figure's numbers: a row per case and neuron."""
    import pandas as pd

    rows = []
    for line, (case, own) in enumerate(zip(cases, shown)):
        order = np.argsort(-case.of_class, kind="stable").tolist()
        for place, k in enumerate(own.neurons.tolist(), 1):
            rows.append({"case": line, "image": images.ids[case.image], "class": case.name,
                         "probability": case.probability, "threshold": case.threshold, "neuron": k, "place": place,
                         "phi": case.phi[k], "share": case.phi[k] / case.output if case.output > 0 else np.nan,
                         "place_in_class": order.index(k) + 1,
                         **{name: "; ".join(found.concepts[k][:3]) for name, found in words.items()},
                         "map_cosine": own.cosine})
    return pd.DataFrame(rows)
