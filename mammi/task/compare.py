"""Mammo-CLIP Dissect: what models know, by layer and category of words, before and after fine-tuning.

One dissector reads all models on the same images. Each unit of each layer gets its best word by soft-WPMI; what counts
is decided twice, by the official threshold and by a permutation null (:mod:`mammi.compare.layers`).
"""
import numpy as np

from mammi.compare.check import align, check_ids, check_reference
from mammi.compare.figures import draw
from mammi.compare.layers import Layer
from mammi.compare.runs import from_runs
from mammi.compare.scores import best, in_place_of, owners, relative, shuffled, shuffles
from mammi.compare.tables import Comparison
from mammi.errors import BadInput, number
from mammi.evidence import Evidence
from mammi.gate import verdict as gating
from mammi.image_text import living, ready
from mammi.method.clip_dissect import soft_wpmi
from mammi.overlap import check_apart, warnings
from mammi.progress import track
from mammi.target.base import TorchTarget
from mammi.target.depth import blocks, in_order
from mammi.task.compare_view import facts_of, summarise
from mammi.task.fitted import fit_dissector_in, fit_in

TABLES = {"layers": "by_layer", "coverage": "coverage", "delta": "delta", "changes": "changes", "missing": "missing",
          "workflow": "workflow", "units": "units"}  # file and method of a Comparison
ENOUGH_NULL = 1000  # null units a layer
SATURATED, NEAR = .2, 1e-6  # of a layer's units, from when a note says so; distance to the highest score there is


def compare(models, runs, layers, reference, fit, train, val, probing_set, concept_set, dissector, top_k, a, lam,
            null_units, resamples, cache, batch_size, seed, out, gate=None):
    """Compare models and leave in ``out``:

    layers.csv    a row per layer: mean best score, both thresholds, units above them, entropy of their categories
    coverage.csv  units and different concepts of each category;  delta.csv  the same less the reference's
    changes.csv   concepts that came, went or stayed;             missing.csv  those that no model has
    workflow.csv  share of clinical words, and of each step of reading;  units.csv  every unit's best word
    gate.csv      what the dissector was asked before;  golden.json  see :mod:`mammi.gate.verdict`
    similarity, clinical, categories (.png and .pdf), run.json, versions.json, reproduce.sh, last ``metrics.json``

    models      {name: target}; or none, and
    runs        folders of finished runs (:func:`mammi.compare.runs.from_runs`). They hold no activations: there is then
                the official threshold alone
    layers      ``all`` blocks, names, or {model: names}, see :func:`mammi.compare.check.align`
    reference   the model that the others are held against; None: the first
    fit         {"models": {name: options of ``fit_target``}, "dissector": options of ``fit_dissector`` or None}: fitted
                on ``train`` before, and kept in the cache
    top_k a lam constants of soft-WPMI; null_units per layer, at least 1,000; resamples of units for the intervals
    Returns (:class:`~mammi.compare.tables.Comparison`, metrics).
    """
    if not runs:
        reference = check_reference(reference, models)
    concepts = concept_set.load(cache)
    if not concepts.categories:
        raise BadInput(f"concept_set {concepts.name} has no categories: task=compare counts by category. Take "
                       "mammography_terms, chest_terms, skin_terms, mammo763, or a file with a column category")
    number("task.resamples", resamples, 100, whole=True)
    if runs:
        if models:
            raise BadInput("task.runs and task.models: give one of them, finished runs or models to be read")
        read = from_runs(runs, concepts)
        found, images, synthetic, names = read.layers, len(read.ids), read.synthetic, read.names
        notes = [*read.notes, "finished runs hold no activations, so there is no permutation null: give task.models "
                 "for that. Many units pass the official threshold in any model, in a random one too"]
        check_reference(reference, {layer.model: None for layer in found})
        patients, gated = None, {"gate": read.gate}
    else:
        check_ids(probing_set.ids, probing_set.name)
        _check(models, probing_set, top_k, null_units)
        notes = _fit(models, fit, train, val, probing_set, dissector, cache, seed, out)
        verdict = gating.question(gate, None, Evidence(next(iter(models.values())), probing_set, concepts, dissector,
                                                       None, cache, batch_size))
        gating.leave(verdict, out)
        gated = gating.numbers(verdict)
        notes.append(gating.stated(verdict, dissector))
        found, more = _layers(models, layers, probing_set, concepts, dissector, (top_k, a, lam), null_units, cache,
                              batch_size, seed)
        notes += more
        images, synthetic, patients = len(probing_set), probing_set.synthetic, len(set(probing_set.patients))
        names = {"probing_set": probing_set.name, "concept_set": concepts.name, "dissector": dissector.name}
    reference = reference or found[0].model
    comparison = Comparison(found, concepts, reference, resamples, seed)

    tables = {name: getattr(comparison, method)() for name, method in track(TABLES.items(), "tables")}
    for name, table in tables.items():
        out.csv(f"{name}.csv", table)
    kind = "synthetic" if synthetic else "real"
    about = (f"{images} images of {names['probing_set']}, words of {names['concept_set']}, dissector "
             f"{names['dissector']}. Intervals: 95 %, units drawn within layers.")
    draw(comparison, kind, about, out.path)
    metrics = {"images": images, "patients": patients, "concepts": len(concepts), "models": len(comparison.models),
               "layers": len(comparison.depths), **gated, **facts_of(comparison, tables)}
    out.about(names={**names, "models": ", ".join(comparison.models), "reference": reference}, synthetic=synthetic,
              images=images, concepts=len(concepts), concept_source=concepts.source,
              concepts_dropped=concepts.dropped, notes=notes)
    out.json("metrics.json", metrics | {f"{key}_name": value for key, value in names.items()})
    summarise(comparison, tables, metrics, names, [*notes, *_left_out(concepts)], kind, out.path)
    return comparison, metrics


def _check(models, images, top_k, null_units):
    number("task.null_units", null_units, ENOUGH_NULL, whole=True)
    if number("task.top_k", top_k, 1, whole=True) >= len(images):
        raise BadInput(f"task.top_k={top_k} of {len(images)} images: with all of them every unit gets the same word. "
                       "Choose a smaller one; the authors' is 100 of 4,000")
    reducers = {name: model.reducer for name, model in models.items() if isinstance(model, TorchTarget)}
    if len(set(reducers.values())) > 1:
        raise BadInput(f"target.reducer differs: {reducers}. A mean over space and a maximum are different units; give "
                       "all models the same")


def _fit(models, fit, train, val, images, dissector, cache, seed, out):
    """Fit what ``fit`` names on ``train``; returns notes."""
    wanted = fit["models"]
    if unknown := [name for name in wanted if name not in models]:
        raise BadInput(f"task.fit.models.{unknown[0]}: no model is called that; there are {', '.join(models)}")
    if (wanted or fit["dissector"]) and (train is None or val is None):
        raise BadInput("task.fit needs images with labels: +probing_set@task.train=... and +probing_set@task.val=...")
    if wanted or fit["dissector"]:
        check_apart(train, images, ("training set", "probing set"), ("task.train.split", "probing_set.split"))
    for name, options in wanted.items():
        out.json(f"{name}_card.json", fit_in(models[name], options, train, val, cache, seed, out))
    if fit["dissector"]:
        card = fit_dissector_in(dissector, fit["dissector"], train, val, images, cache, seed, out)
        out.json("dissector_card.json", card)
    notes = [f"{name}: {note}" for name, model in models.items()
             for note in [*warnings(model, images), *model.notes]]
    return [*images.notes, *notes, *dissector.notes]


def _layers(models, layers, images, concepts, dissector, constants, null_units, cache, batch_size, seed):
    """([:class:`Layer`] of all models, notes)."""
    names = align(layers, models, lambda name: blocks(models[name]), lambda name, own: in_order(models[name], own))
    orders, moves = shuffles(images.patients, null_units, np.random.default_rng(seed))
    if not moves.any():
        raise BadInput(f"{images.name}: no patient has as many images as another, so none can be exchanged for the "
                       "permutation null. Give more images")
    notes = [] if moves.all() else [f"{int((~moves).sum())} of {len(moves)} images cannot change places for the null: "
                                    "no other patient has as many"]
    if constants[0] > len(images) / 10:
        notes.append(f"top_k={constants[0]} of {len(images)} images: a unit's best images are a large part of all, "
                     "which leaves little to tell words by")
    found = []
    for name, model in models.items():
        evidence = Evidence(model, images, concepts, dissector, None, cache, batch_size)
        evidence.gather(names[name])
        similarity = ready(evidence.similarity(concepts.words))
        read = evidence.read(names[name])
        for depth, layer in track(list(enumerate(names[name])), f"{name}: words of layers"):
            rng = np.random.default_rng([seed, depth])  # the same shuffles for all models
            found.append(_layer(name, layer, depth, similarity, read[layer], orders, constants, rng))
    return found, [*notes, *_alone(found), *_saturated(found, constants)]


def _alone(layers):
    """Notes on layers with one living unit."""
    return [f"{layer.model}, {layer.name}: one living unit, scored with lam=0 (against itself alone it would score 0 "
            "for every word). Its score, the layer's mean and with it the official threshold of this depth are on "
            "another scale than other layers'" for layer in layers if len(layer.units) == 1]


def _saturated(layers, constants):
    """A note on layers where more than ``SATURATED`` of the N units reach log N, the highest score with lam=1."""
    _, a, lam = constants
    if lam != 1:
        return []
    full = {}
    for layer in layers:
        n = len(layer.units)
        share = float((layer.score >= np.log(n) - NEAR).mean())
        if n > 1 and share > SATURATED:
            full[f"{layer.model}, {layer.name}"] = share
    if not full:
        return []
    most = max(full, key=full.get)
    return [f"{len(full)} of {len(layers)} layers: more than {SATURATED:.0%} of their units reach the highest score "
            f"there is, log N (most: {most}, {full[most]:.0%}). Rounding then decides between their words. Choose a "
            f"lower task.a than {a:g}"]


def _layer(model, name, depth, similarity, activations, orders, constants, rng):
    top_k, a, lam = constants
    alive, activations = living(activations)
    lam = 0 if activations.shape[1] == 1 else lam  # as method=clip_dissect: its own marginal would leave 0 everywhere
    fits = soft_wpmi(similarity, activations, top_k, a, lam=0)
    own = owners(activations.shape[1], len(orders), rng)
    null = soft_wpmi(similarity, shuffled(activations, orders, own), top_k, a, lam=0)
    return Layer(model, name, depth, np.flatnonzero(alive), len(alive), *best(relative(fits, lam)),
                 *best(in_place_of(null, own, fits, lam)))


def _left_out(concepts):
    return [f"words of {concepts.name}: {n} {reason}" for reason, n in concepts.dropped.items()]
