"""What Med-MICN learns from: three sets of images with one class each, and which concepts an image shows."""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mammi.errors import BadInput, near
from mammi.evaluation.ranking import ENOUGH
from mammi.micn import labels as aligning
from mammi.micn.classes import check_examples, classes_of
from mammi.overlap import check_apart
from mammi.probing_set.subset import Subset, divided
from mammi.task.micn_experts import expert_labels
from mammi.task.micn_run import words_of_run

PARTS = ("train", "val", "test")
ON_LEAK = ("report", "drop", "error")


class Split(NamedTuple):
    """``images`` with the class ``y`` (P,) of each."""

    images: object
    y: np.ndarray


class Labels(NamedTuple):
    """Which concepts images show: ``labels`` and, what they were made of, ``scores`` {part: (P, N)}.

    words    N concepts that are left
    tau      (N,) thresholds, or None where experts labelled
    leaks    {word: (class, correlation)}
    dropped  {word: why}
    source   one line; ``rows`` {part: (P, D)} of the dissector, None without it
    """

    words: tuple
    labels: dict
    scores: dict
    tau: np.ndarray | None
    leaks: dict
    dropped: dict
    source: str
    rows: dict | None

    @property
    def notes(self):
        out = [f"concepts: {self.source}"]
        if self.dropped:
            out.append("dropped concepts: " + "; ".join(f"{word} ({why})" for word, why in self.dropped.items()))
        out += [f"the label of the concept {word} is (nearly) that of the class {name} (correlation {phi:+.2f}): what "
                "is predicted and explained with it says little" for word, (name, phi) in self.leaks.items()]
        return out


def three_sets(train, val, test, wanted, shared="error"):
    """({part: :class:`Split`}, class names); ``train`` and ``val`` None: by the splits of ``test``.

    Images in none or several of the classes are left out, and counted in the notes of the set. Raises
    :class:`BadInput` where sets share images or patients (``shared``: ``note`` says so instead, of patients), or a
    class has no image in one of them.
    """
    if shared not in ("error", "note"):
        raise BadInput(f"task.shared_patients={shared}: expected error or note")
    if (train is None) != (val is None):
        raise BadInput("give both probing_set@task.train and probing_set@task.val, or neither: then all three are "
                       "splits of probing_set")
    sets = divided(test) if train is None else dict(zip(PARTS, (train, val, test)))
    option = {"train": "probing_set@task.train", "val": "probing_set@task.val", "test": "probing_set"}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        try:
            check_apart(sets[one], sets[other], (f"{one} set", f"{other} set"), (option[one], option[other]))
        except BadInput as error:
            if shared == "error" or set(sets[one].keys) & set(sets[other].keys):
                raise
            sets[other].notes = (*sets[other].notes, f"{error}: gone on with, task.shared_patients=note")
    out, names = {}, None
    for part, images in sets.items():
        if images.labels is None:
            raise BadInput(f"{images.name} has no labels to learn classes from ({option[part]})")
        if names is None:
            names, y = classes_of(images.labels, images.label_names, wanted)
            wanted = names if wanted is None else wanted  # the same classes in all three sets
        else:
            _, y = classes_of(images.labels, images.label_names, wanted)
        check_examples(y[y >= 0], names, part, option[part])
        few = [f"{n} of {name}" for j, name in enumerate(names) if (n := int((y == j).sum())) < ENOUGH]
        left = (y < 0).sum()
        note = (f"{part}: {left} of {len(y)} images of {images.name} are in none or in several of the classes and are "
                "left out",) if left else ()
        note += (f"{part}: too few images to tell much of a class: {', '.join(few)}",) if few else ()
        out[part] = Split(Subset(images, np.flatnonzero(y >= 0), images.name, note), y[y >= 0])
    return out, names


def chosen_words(concept_set, cache, words, run, experts, split):
    """(words, one line on where they come from) of the concepts, by the options of a run."""
    if words is not None and run is not None:
        raise BadInput("give task.words or task.run, not both")
    if words is not None:
        words = [str(word).strip() for word in words]
        if len(set(words)) < len(words) or not all(words):
            raise BadInput(f"task.words: expected different words, got {words}")
        return tuple(words), f"{len(words)} words of the config"
    if run is not None:
        found = tuple(dict.fromkeys(words_of_run(run).values()))
        return found, f"{len(found)} words that a finished annotation found, {Path(run).name}"
    if experts == "images":
        return split.images.label_names, f"the {len(split.images.label_names)} labels of {split.images.name}"
    if experts is not None:
        raise BadInput("task.experts=FILE needs task.words=[...], the columns of the file that are concepts")
    concepts = concept_set.load(cache)
    return concepts.words, f"{len(concepts)} words of {concepts.name}"


def check_labels(sets, words, experts, experts_image, threshold, value, on_leak):
    """What can be known of the concept labels before anything is computed: {part: (P, N)} of experts, else None.

    Options as of :func:`concept_labels`; raises :class:`BadInput` for what it could not use.
    """
    if on_leak not in ON_LEAK:
        raise BadInput(f"task.on_leak={on_leak}: {near(str(on_leak), ON_LEAK)}")
    if len(words) > len(sets["train"].y):
        raise BadInput(f"{len(words)} concepts for {len(sets['train'].y)} training images: a bottleneck needs fewer "
                       "concepts than images. Next: a short list, task.words=[...] or another concept_set")
    if experts is None:
        aligning.checked(threshold, value)
        return None
    return {part: expert_labels(split.images, words, experts, experts_image) for part, split in sets.items()}


def concept_labels(evidence, words, source, threshold, value, experts, given, y, classes, on_leak):
    """:class:`Labels` of the images of ``evidence`` {part: Evidence}, from its dissector or from experts.

    threshold, value  see :func:`mammi.micn.labels.thresholds`: tau is found on the training images
    experts           None; ``images``, the labels that the images have; or a CSV, see
                      :func:`mammi.task.micn_experts.expert_labels`; ``given``: its labels, of :func:`check_labels`
    y                 {part: (P,)} for leaks; on_leak ``report``, ``drop`` or ``error``
    """
    rows = tau = None
    if experts is None:
        found = {part: aligning.patch_rows(one) for part, one in evidence.items()}
        rows, of = {part: row for part, (row, _) in found.items()}, found["train"][1]
        texts = aligning.text_rows(evidence["train"], words)
        scores = {part: row @ texts.T for part, row in rows.items()}
        tau = aligning.thresholds(scores["train"], threshold, value)
        labels = {part: (s > tau).astype(np.float32) for part, s in scores.items()}
        number = aligning.RULES[threshold] if value is None else value
        source += f"; labelled by {evidence['train'].dissector.name}, cosines of {of}, threshold {threshold}"
        source += "" if number is None else f" {number:g}"
    else:
        labels = scores = given
        source += "; labels of the images themselves" if experts == "images" else f"; labels of {Path(experts).name}"
    dropped = {words[i]: "the same in all training images" for i in np.flatnonzero(aligning.constant(labels["train"]))}
    leaking = {words[i]: (classes[j], phi)
               for i, (j, phi) in aligning.leaks(labels["train"], y["train"], len(classes)).items()}
    if leaking and on_leak == "error":
        told = ", ".join(f"{word} is {name} ({phi:+.2f})" for word, (name, phi) in leaking.items())
        raise BadInput(f"concepts whose label is (nearly) that of a class: {told}. Leave them out of task.words, or "
                       "task.on_leak=drop or report")
    if on_leak == "drop":
        dropped |= {word: f"its label is that of the class {name}, correlation {phi:+.2f}"
                    for word, (name, phi) in leaking.items()}
        leaking = {}
    kept = [i for i, word in enumerate(words) if word not in dropped]
    if not kept:
        raise BadInput(f"no concept is left of {len(words)}: " + "; ".join(f"{w}: {why}" for w, why in dropped.items())
                       + ". Next: another task.threshold or task.threshold_value, or other words")
    return Labels(tuple(words[i] for i in kept), {part: own[:, kept] for part, own in labels.items()},
                  {part: own[:, kept] for part, own in scores.items()}, None if tau is None else tau[kept], leaking,
                  dropped, source, rows)
