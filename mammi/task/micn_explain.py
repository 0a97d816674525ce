"""What a trained Med-MICN says of single images, and whether its saliency looks where its concepts are."""
from typing import NamedTuple

import numpy as np

from mammi.micn.alignment import iou, mass, placed, region
from mammi.micn.labels import heat_maps, text_rows
from mammi.micn.rules import spoken
from mammi.micn.subject import Explained
from mammi.micn.train import EndToEnd
from mammi.probing_set.base import spread
from mammi.types import Readout


class Explanation(NamedTuple):
    """One image: ``position`` in the test set, ``concept`` whose saliency was asked for, maps in the frame ``box`` of
    what the backbone sees (pixels of the image of ``size``); ``heat`` (H, W) of the dissector or None."""

    position: int
    concept: int
    of_class: np.ndarray
    of_concept: np.ndarray
    heat: np.ndarray | None
    size: tuple
    box: tuple
    measured: dict


def explanations(evidence, trained, rules, words, explainer, n):
    """Up to ``n`` :class:`Explanation`, evenly over the test images.

    The concept of an image is the one most present among the positive ones of the predicted class's rule, else among
    all. Measured against the dissector's heat map of it: the share of the saliency's mass where the heat map is
    highest (a fifth of the pixels), the overlap of both regions, and the mean mass by the heat maps of all other
    concepts, which tells whether it is this concept or only where concepts are.
    """
    target, module = evidence.target, trained.module
    subject = Explained(target, module if isinstance(module, EndToEnd) else EndToEnd(target, target.layer, module))
    positions, out = spread(len(evidence.images), n), []
    predicted = trained.scores.argmax(1)
    asked = [asked_concept(rules[p], predicted[p], trained.concepts[p]) for p in positions]
    explainer.check(subject, [Readout("class", 0), Readout("concept", 0)])
    texts = text_rows(evidence, words) if evidence.dissector.embeds else None
    for at, batch in evidence.batches(positions, f"{explainer.name} of Med-MICN"):
        x, there = subject.prepare(batch), positions[at]
        of_class = explainer(subject, x, [Readout("class", int(predicted[p])) for p in there]).cpu().numpy()
        of_concept = explainer(subject, x, [Readout("concept", c, words[c]) for c in asked[at]]).cpu().numpy()
        patches = texts is not None and evidence.dissector.patches(batch) is not None
        heat = heat_maps(evidence.dissector, batch, texts) if patches else None
        for k, (p, image) in enumerate(zip(there, batch.images)):
            box, c = subject.field(image.size), asked[at][k]
            maps = None if heat is None else [placed(one, image.size, box, x.shape[-2:]) for one in heat[k]]
            out.append(Explanation(int(p), c, of_class[k], of_concept[k], maps and maps[c], image.size, box,
                                   _measured(of_class[k], of_concept[k], maps, c) if maps else {}))
    return out


def asked_concept(rules, predicted, concepts):
    rule = next((r for r in rules if r.cls == predicted), None)
    own = [i for i, positive, _ in rule.literals if positive] if rule else []
    among = own or range(len(concepts))
    return int(max(among, key=lambda i: (concepts[i], -i)))


def _measured(of_class, of_concept, maps, c):
    where, others = region(maps[c]), maps[:c] + maps[c + 1:]
    return {"saliency_mass": mass(of_concept, where), "saliency_iou": iou(region(of_concept), where)
            if of_concept.any() else np.nan,
            "saliency_mass_other": np.mean([mass(of_concept, region(other)) for other in others])
            if others else np.nan,
            "class_saliency_mass": mass(of_class, where)}


def lines(split, trained, rules, classes, words):
    """JSON-able dicts, one a test image: its classes, concepts, and the rules that fire."""
    for p, own in enumerate(rules):
        yield {"id": split.images.ids[p], "patient": split.images.patients[p], "class": classes[split.y[p]],
               "predicted": classes[trained.scores[p].argmax()],
               "scores": {c: round(float(s), 4) for c, s in zip(classes, trained.scores[p])},
               "concepts": {w: round(float(c), 4) for w, c in zip(words, trained.concepts[p])},
               "truths": {c: round(float(t), 4) for c, t in zip(classes, trained.reasoning[0][p])},
               "rules": [{"class": classes[r.cls], "truth": round(r.truth, 4), "rule": spoken(r, classes, words),
                          "literals": [{"concept": words[i], "present": positive,
                                        "attention": round(weight if positive else -weight, 4)}
                                       for i, positive, weight in r.literals]} for r in own]}

