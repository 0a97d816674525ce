"""The paper in one page: probing images -> activations and embeddings -> selection -> matching -> evaluation."""
from mammi.evidence import Evidence
from mammi.picture import neuron_picture, score_plot
from mammi.summary import summarise


def annotate(target, probing_set, concept_set, dissector, selection, method, evaluation, cache, batch_size, out):
    """Annotate every neuron of ``target.layer`` and leave the results in ``out`` (a run folder).

    Returns (annotations, metrics).
    """
    concepts = concept_set.load(cache)
    evidence = Evidence(target, probing_set, concepts, dissector, selection, cache, batch_size)

    annotations = method(evidence)
    metrics, neurons = evaluation(annotations, evidence)

    names = {"target": target.name, "probing_set": probing_set.name, "concept_set": concepts.name,
             "dissector": dissector.name, "layer": target.layer, "activation": target.activation}
    out.csv("annotations.csv", annotations.to_frame())
    out.csv("neurons.csv", neurons)
    out.csv("contributions.csv", contributions(annotations, evidence))
    neuron_picture(annotations, evidence, neurons, out.file("neurons.png"))
    score_plot(annotations, evidence, out.file("scores.png"))
    notes = [*probing_set.notes, *target.notes, *dissector.notes]
    out.about(names=names, synthetic=probing_set.synthetic, images=len(probing_set), concepts=len(concepts),
              concept_source=concepts.source, concepts_dropped=concepts.dropped, notes=notes)
    out.json("metrics.json", {**metrics, **{f"{k}_name": v for k, v in names.items()}})
    summarise(names, annotations, neurons, metrics, notes, probing_set.synthetic, out.path)
    return annotations, metrics


def contributions(annotations, evidence):
    """One row per (neuron, representative image): its part in the top word's score."""
    import pandas as pd

    rows = [(i, annotations.neurons[i], annotations.concepts[i][0], evidence.images.ids[image], part)
            for i, parts in enumerate(annotations.contributions) for image, part in parts]
    return pd.DataFrame(rows, columns=["neuron", "name", "concept", "image", "part"])
