"""MAMMI's Figure 3: which neurons a prediction rests on, what each method calls them, and where they fire."""
from typing import NamedTuple

import numpy as np

from mammi import importance
from mammi.errors import BadInput, near, number
from mammi.evidence import Evidence
from mammi.explainer.actmap import ActMap
from mammi.gate import verdict as gating
from mammi.overlap import seen, warnings
from mammi.task.explain_rows import Row, predicted
from mammi.task.explain_truth import Truth
from mammi.task.figure3_view import draw, summarise

OVERALL = 3  # neurons of the overall maps, as in WWW


class Case(NamedTuple):
    """One row of the figure: an image and one class predicted on it.

    image, name, k      position in the set, class and its number
    probability, threshold
    phi                 (K,) importance of the neurons for this image, ``of_class`` (K,) its mean over the class
    output              the class's logit less its bias: what exact Shapley values add up to
    """

    image: int
    name: str
    k: int
    probability: float
    threshold: float
    phi: np.ndarray
    of_class: np.ndarray
    output: float


def figure3(target, probing_set, concept_set, dissector, selection, methods, explainer, val, images, neurons, cache,
            batch_size, out, gate=None):
    """Leave ``figure3.png``, ``figure3.pdf``, ``figure3.csv`` (a row per image, class and neuron) and ``metrics.json``.

    target     with ``layer=penultimate``: its units are annotated and shown
    methods    {name: method}: all annotate the layer on the same evidence
    explainer  of the neurons' heat maps
    val        thresholds are those of best F1 on it; a class is predicted from its threshold on
    images     a number: for each of so many classes, those predicted most often first, the image with its most certain
               prediction, right or wrong; or a list of ids. Of an image every predicted class is a row, up to two
    neurons    shown of each class, by Shapley value; 2 in the paper

    The class's map weighs the maps of its three leading neurons by their mean importance over all images that the class
    is predicted on, the sample's map those of the image by the image's own; their cosine tells whether this image is
    seen as its class is (WWW).
    """
    number("task.neurons", neurons, 1, whole=True)
    if target.layer != "penultimate":
        raise BadInput(f"target.layer={target.layer}: the figure shows the neurons below the classes. Give "
                       "target.layer=penultimate")
    concepts = concept_set.load(cache)
    evidence = Evidence(target, probing_set, concepts, dissector, selection, cache, batch_size)
    belongs, probabilities, thresholds = predicted(target, probing_set, val, evidence)
    at = chosen(images, belongs, probabilities, probing_set.ids)
    explainer.check(target, [target.unit(target.layer, 0)])

    cases = cases_of(at, belongs, probabilities, thresholds, evidence)
    evidence.gather()
    verdict = gating.question(gate, None, evidence)
    gating.leave(verdict, out)
    words = {name: method(evidence) for name, method in methods.items()}
    shown = [show(case, evidence, explainer, Truth(probing_set), neurons) for case in cases]

    table = table_of(cases, shown, words, probing_set).assign(gate=verdict.name)
    facts = {"cases": len(cases), "images": len(at), "map_cosine": float(np.nanmean([s.cosine for s in shown])),
             "share_of_leading": float(table.groupby("case")["share"].sum().mean()),
             "images_seen_in_training": seen(target, probing_set), **gating.numbers(verdict)}
    names = {"target": target.name, "probing_set": probing_set.name, "concept_set": concepts.name,
             "dissector": dissector.name, "layer": target.layer, "explainer": explainer.name}
    notes = [*warnings(target, probing_set), *probing_set.notes, *target.notes, *dissector.notes,
             *(note for found in words.values() for note in found.notes), gating.stated(verdict, dissector)]
    if target.head is None:
        notes.append("the head is not linear: importance is activation x gradient, not the exact Shapley value")
    out.csv("figure3.csv", table)
    draw(cases, shown, words, evidence, out.file("figure3"))
    out.about(names=names, synthetic=probing_set.synthetic, images=len(probing_set), concepts=len(concepts),
              notes=list(dict.fromkeys(notes)))
    out.json("metrics.json", {**facts, **{f"{key}_name": name for key, name in names.items()}})
    summarise(cases, shown, words, facts, notes, probing_set.synthetic, out.path)
    return table, facts


def chosen(images, belongs, probabilities, ids):
    """Positions of the images of the figure, see :func:`figure3`."""
    if not isinstance(images, int):
        at = {name: i for i, name in enumerate(ids)}
        if absent := [name for name in images if name not in at]:
            raise BadInput(f"task.images: there is no image {absent[0]}. {near(str(absent[0]), ids)}")
        if empty := [name for name in images if not belongs[at[name]].any()]:
            raise BadInput(f"task.images: no class is predicted on {', '.join(empty)}: there is nothing to explain")
        return [at[name] for name in images]
    number("task.images", images, 1, whole=True)
    classes = np.argsort(-belongs.sum(0), kind="stable")
    certain = [int(np.argmax(np.where(belongs[:, k], probabilities[:, k], -1))) for k in classes if belongs[:, k].any()]
    if not certain:
        raise BadInput(f"no class reaches its threshold on any of {len(ids)} images: give more (probing_set.limit)")
    return list(dict.fromkeys(certain))[:images]


def cases_of(at, belongs, probabilities, thresholds, evidence, most=2):
    """:class:`Case` of every predicted class of the images ``at``, most certain first, ``most`` of an image."""
    target, classes = evidence.target, evidence.target.neurons("final")
    pairs = [(i, int(k)) for i in at for k in np.argsort(-probabilities[i], kind="stable") if belongs[i, k]]
    pairs = [pair for n, pair in enumerate(pairs) if sum(other[0] == pair[0] for other in pairs[:n]) < most]
    means = {k: importance.of_class(values_of(evidence, [(i, k) for i in np.flatnonzero(belongs[:, k])]),
                                    np.ones(belongs[:, k].sum(), bool)) for k in {k for _, k in pairs}}
    logits, bias = evidence.read(["final"])["final"], np.zeros(len(classes))
    if target.head is not None and target.head.bias is not None:
        bias = target.head.bias.detach().cpu().numpy()
    return [Case(i, classes[k], k, float(probabilities[i, k]), float(thresholds[k]), phi, means[k],
                 float(logits[i, k] - bias[k])) for (i, k), phi in zip(pairs, values_of(evidence, pairs))]


def values_of(evidence, pairs):
    """(len(pairs), K) importance of the layer's neurons for each (image, class): exact Shapley values of a linear head,
    else activation x gradient."""
    target, layer = evidence.target, evidence.target.layer
    if target.head is not None and target.head.layer == layer:
        weight = target.head.weight.detach().cpu().numpy()
        pooled, images = evidence.read([layer])[layer], [i for i, _ in pairs]
        return importance.shapley(pooled[images], weight)[np.arange(len(pairs)), [k for _, k in pairs]]
    rows = []
    for start in range(0, len(pairs), evidence.batch_size):
        some = pairs[start:start + evidence.batch_size]
        x = target.prepare(evidence.images.load([i for i, _ in some]))
        rows.append(importance.by_gradient(target, x, [target.unit("final", k) for _, k in some], layer).cpu().numpy())
    return np.concatenate(rows)


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


def show(case, evidence, explainer, truth, neurons):
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
        return by(target, x.expand(len(units), *x.shape[1:]), units).cpu().numpy() if units else np.zeros(
            (0, *x.shape[2:]))

    def overall(values):
        leading = importance.leading(values, OVERALL)
        return importance.overall_map(maps(ActMap(), leading), values[leading])

    sample, of_class = overall(case.phi), overall(case.of_class)
    return Shown(x[0].mean(0).cpu().numpy(), mask, top, maps(explainer, top), sample, of_class,
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
