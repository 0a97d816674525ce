"""The paper in one page: images -> activations and embeddings -> gate -> selection -> matching -> evaluation."""
from mammi import done
from mammi.evidence import Evidence
from mammi.gate import verdict as gating
from mammi.overlap import seen, warnings
from mammi.picture import neuron_picture, score_plot
from mammi.summary import summarise


def annotate(target, probing_set, concept_set, dissector, selection, method, evaluation, cache, batch_size, out,
             gate=None):
    """Annotate every neuron of ``target.layer`` and leave the results in ``out`` (a run folder).

    ``gate`` questions the dissector before its words count (:class:`mammi.gate.gate.Gate`); None: nobody does.

    annotations.csv    a row per (neuron, word), best first
    neurons.csv        a row per neuron: its facts, and how its words were judged
    contributions.csv  a row per (neuron, representative image): its part in the top word's score
    images.csv         who the images are: :func:`image_table`
    gate.csv           a row per question of the gate; ``golden.json``: what another run can compare its weights with
    neurons.png, scores.png, run.json, versions.json, reproduce.sh, and last ``metrics.json``; its
    ``images_seen_in_training`` is null where nothing is known of the target's training

    Returns (annotations, metrics), or None where the results are those of an earlier run (``out.earlier``).
    """
    concepts = concept_set.load(cache)
    content = done.content(out.settings, target, probing_set, concepts, dissector)
    if out.earlier and (folder := done.find(out.earlier, content)):
        return done.take(folder, out)

    if hasattr(evaluation, "check"):  # images that must not be the probing ones are told before the work
        evaluation.check(probing_set)
    evidence = Evidence(target, probing_set, concepts, dissector, selection, cache, batch_size)
    if any(getattr(part, "needs_every_image", False) for part in (method, selection)):
        evidence.gather()  # target and dissector then share one decoding of each image

    verdict = gating.question(gate, method, evidence)
    annotations = method(evidence)
    metrics, neurons = evaluation(annotations, evidence)
    metrics = {**metrics, "images_seen_in_training": seen(target, probing_set), **gating.numbers(verdict)}

    names = {"target": target.name, "probing_set": probing_set.name, "concept_set": concepts.name,
             "dissector": dissector.name, "layer": target.layer, "activation": target.activation}
    out.csv("annotations.csv", annotations.to_frame().assign(gate=verdict.name))
    out.csv("neurons.csv", neurons.assign(gate=verdict.name))
    out.csv("contributions.csv", contributions(annotations, evidence).assign(gate=verdict.name))
    out.csv("images.csv", image_table(probing_set))
    gating.leave(verdict, out)
    neuron_picture(annotations, evidence, neurons, out.file("neurons.png"), type(method).__name__, verdict.name)
    score_plot(annotations, evidence, out.file("scores.png"))
    notes = [*warnings(target, probing_set), *probing_set.notes, *target.notes, *dissector.notes,
             *annotations.notes]
    out.about(names=names, synthetic=probing_set.synthetic, images=len(probing_set), concepts=len(concepts),
              concept_source=concepts.source, concepts_dropped=concepts.dropped, notes=notes, content=content,
              gate={"verdict": verdict.name, "says": verdict.says}, target_fingerprint=target.fingerprint(target.layer))
    out.json("metrics.json", {**metrics, **{f"{k}_name": v for k, v in names.items()}})
    summarise(names, annotations, neurons, metrics, notes, probing_set.synthetic, out.path, verdict)
    return annotations, metrics


def contributions(annotations, evidence):
    """One row per (neuron, representative image): its part in the top word's score."""
    import pandas as pd

    rows = [(i, annotations.neurons[i], annotations.concepts[i][0], evidence.images.ids[image], part)
            for i, parts in enumerate(annotations.contributions) for image, part in parts]
    return pd.DataFrame(rows, columns=["neuron", "name", "concept", "image", "part"])


def image_table(images):
    """One row per image: id, patient, split, what else is known (view, sex, age), ``key`` (of its content, whatever it
    is called), labels as 1, 0, blank for unknown."""
    import pandas as pd

    columns = {"id": images.ids, "patient": images.patients, "split": images.splits or ("",) * len(images),
               **images.facts, "key": images.keys}
    for name, values in zip(images.label_names, images.labels.T if images.labels is not None else ()):
        columns[name if name not in columns else f"{name} (label)"] = pd.array(values, dtype="Float32").astype("Int8")
    return pd.DataFrame(columns)
