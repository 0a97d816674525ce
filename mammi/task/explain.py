"""Where in an image a model sees what it answers: heat maps of classes, neurons and concepts, and their worth."""
import numpy as np

from mammi.errors import BadInput, number
from mammi.evidence import Evidence
from mammi.explainer.actmap import ActMap
from mammi.explainer.concept import ConceptFit
from mammi.gate import verdict as gating
from mammi.image_text import prompts
from mammi.overlap import seen, warnings
from mammi.task.explain_measure import Measure, ReadOff
from mammi.task.explain_numbers import by_unit, means
from mammi.task.explain_rows import CONCEPT, choose_rows, verdict_on, words_of
from mammi.task.explain_truth import Truth
from mammi.task.explain_view import picture, summarise


def explain(target, probing_set, val, dissector, explainer, units, limit, per_unit, choose, truth, blocks, delete, fill,
            resamples, cache, batch_size, seed, out, gate=None):
    """Explain read-outs on images by one explainer, beside the activation map and a random map; leave in ``out``

    explain_metrics.csv  a row per image x read-out x explainer, see :class:`~mammi.task.explain_measure.Measure`
    explain_units.csv    means over the images of each unit; both with the verdict on the dissector whose word it is
    masks.npz            ``attributions`` of the explainer, (rows, H, W) float16, each scaled to a maximum of 1;
                         ``actmap``, ``truth`` (bool) and ``uncertainty`` where known; ``image``, ``unit``, ``layer``,
                         ``concept`` of the rows
    explain.png          image | heat map | overlay | activation map, with the truth's outline
    metrics.json         means over rows with 95 % intervals by resampling patients, ``mass_n``, ``drop_n``: over how
                         many, see :func:`~mammi.task.explain_numbers.means`

    units      what is explained: ``predicted``, the classes above their threshold (of best F1 on ``val``); ``labels``,
               the classes an image is labelled with; ``annotated:FOLDER``, the neurons of a finished run and their
               representative images; or a list of units of ``target.layer`` (numbers, names), or of ``concept:WORD``,
               the cosine of image and word by ``dissector``
    limit      images for ``predicted`` and ``labels``, evenly spread; ``per_unit`` images for each unit otherwise,
               highest activation first
    choose     ``any`` image, or ``outlined``: only such on which the read-out's truth is drawn
    truth      {unit or word: [names of masks or boxes]} that mean the same, beside ``mammi/synonyms.yaml``
    blocks     of pixels, for faithfulness; ``delete`` the share of pixels deleted for ``drop`` where there is no truth
               whose area could be taken; ``fill`` what deleted pixels become, ``mean`` of the training images or
               ``black``
    gate       questions the dissector of ``concept:WORD`` (``gate.csv``, ``golden.json``); of ``annotated:FOLDER`` the
               verdict is that run's

    Returns (DataFrame of explain_metrics.csv, metrics).
    """
    number("task.blocks", blocks, 2, whole=True)
    if not 0 < number("task.delete", delete) < 1:
        raise BadInput(f"task.delete={delete}: expected a share of the pixels in (0, 1), such as 0.1")
    if fill not in ("mean", "black"):
        raise BadInput(f"task.fill={fill}: expected mean or black")
    evidence = Evidence(target, probing_set, None, dissector, None, cache, batch_size)
    known = Truth(probing_set, truth)
    rows, notes = choose_rows(units, evidence, known, val, limit, per_unit, choose)
    verdict = verdict_on(gate, units, evidence)
    subject = _subject(target, words_of(units), evidence)
    explainer.check(getattr(subject, "target", subject), [row.readout for row in rows])

    measure = Measure(subject, known, blocks, delete, fill, batch_size, seed)
    table, kept = measure(explainer, rows, ActMap())
    facts = means(table, explainer.name, resamples, seed)
    facts |= {"n_explained": len(rows), "images": len({row.image for row in rows}),
              "n_truth": int((table["explainer"].eq(explainer.name) & table["note"].eq("")).sum()),
              "n_outside": int((table["explainer"].eq(explainer.name) & table["note"].eq(known.OUTSIDE)).sum()),
              "images_seen_in_training": seen(target, probing_set), **gating.numbers(verdict)}
    notes += measure.notes
    if facts["n_outside"]:
        notes.append(f"{facts['n_outside']} of {len(rows)} truths lie outside of what {subject.name} sees of the "
                     "image: left out of the metrics that need a mask")
    if facts["n_zero_maps"]:
        notes.append(f"{facts['n_zero_maps']} of {len(rows)} maps of {explainer.name} are 0 everywhere and point "
                     "nowhere: left out of its metrics and of chance")

    table = table.assign(gate=verdict.name)
    out.csv("explain_metrics.csv", table)
    out.csv("explain_units.csv", by_unit(table).assign(gate=verdict.name))
    gating.leave(verdict, out)
    _save(kept, rows, probing_set, out)
    title = f"{explainer.name}: {subject.name} on {probing_set.name}"
    picture(title, rows, table, kept, probing_set, subject, explainer.name, out.file("explain.png"))
    notes = [*warnings(target, probing_set), *probing_set.notes, *target.notes, *notes]
    names = {"target": target.name, "probing_set": probing_set.name, "explainer": explainer.name,
             "layer": rows[0].readout.layer}
    if rows[0].readout.layer == CONCEPT:
        names["dissector"] = dissector.name
        notes.append(gating.stated(verdict, dissector))
    out.about(names=names, synthetic=probing_set.synthetic, images=facts["images"], notes=notes)
    out.json("metrics.json", {**facts, **{f"{key}_name": name for key, name in names.items()}})
    summarise(title, table, facts, notes, probing_set.synthetic, explainer.name, out.path)
    return table, facts


def _subject(target, words, evidence):
    """What is explained: for concepts the dissector, else the target, or of units without a network their maps."""
    if words:
        return ConceptFit(evidence.dissector, words,
                          evidence.text_embeddings(prompts(words, evidence.images.template)))
    return target if hasattr(target, "forward") else ReadOff(target)


def _save(kept, rows, images, out):
    """masks.npz: what is small enough to keep, and can be read without us."""
    from mammi.files import replacing

    arrays = {name: np.stack(values) for name, values in kept.items() if values and values[0] is not None}
    with replacing(out.file("masks.npz")) as part, open(part, "wb") as file:
        np.savez_compressed(file, image=np.array([images.ids[row.image] for row in rows]),
                            unit=np.array([row.readout.name for row in rows]),
                            layer=np.array([row.readout.layer for row in rows]),
                            concept=np.array([row.concept for row in rows]), **arrays)
