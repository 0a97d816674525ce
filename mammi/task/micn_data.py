"""What Med-MICN learns from: three sets of images with one class each, and which concepts an image shows."""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mammi.errors import BadInput, MissingAsset, near
from mammi.evaluation.ranking import ENOUGH
from mammi.micn import labels as aligning
from mammi.micn.classes import check_examples, classes_of
from mammi.overlap import check_apart
from mammi.probing_set.subset import Subset, divided
from mammi.probing_set.table import Table, label_rows
from mammi.text_files import read_text

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


def words_of_run(run, target=None, layer=None):
    """{neuron: its first word} of a finished annotation in the folder ``run``; neurons without a word lack.

    With ``target`` and ``layer``, :class:`BadInput` where it is of others.
    """
    import csv
    import json

    folder = Path(run).expanduser()
    if not (folder / "metrics.json").is_file() or not (folder / "annotations.csv").is_file():
        raise MissingAsset(f"task.run={run}: there is no finished annotation (annotations.csv, metrics.json). Next: "
                           "python run.py target.layer=penultimate, and give the folder that it names")
    with open(folder / "annotations.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"neuron", "rank", "concept"} <= rows[0].keys():
        raise BadInput(f"{folder / 'annotations.csv'} has no row with neuron, rank and concept")
    if target is not None:
        names = json.loads(read_text(folder / "run.json")).get("names", {})
        if (names.get("target"), names.get("layer")) != (target.name, layer):
            raise BadInput(f"task.run={run} annotated {names.get('layer')} of {names.get('target')}, but the backbone "
                           f"here is {layer} of {target.name}: annotate that, or leave task.run out")
    return {int(row["neuron"]): row["concept"] for row in rows if row["rank"] == "1"}


def concept_labels(evidence, words, source, threshold, value, experts, experts_image, y, classes, on_leak):
    """:class:`Labels` of the images of ``evidence`` {part: Evidence}, from its dissector or from experts.

    threshold, value  see :func:`mammi.micn.labels.thresholds`: tau is found on the training images
    experts           None; ``images``, the labels that the images have; or a CSV with an image's name in the column
                      ``experts_image`` (None: the first) and a column of 1, 0 or blank a word
    y                 {part: (P,)} for leaks; on_leak ``report``, ``drop`` or ``error``
    """
    if on_leak not in ON_LEAK:
        raise BadInput(f"task.on_leak={on_leak}: {near(str(on_leak), ON_LEAK)}")
    if len(words) > len(y["train"]):
        raise BadInput(f"{len(words)} concepts for {len(y['train'])} training images: a bottleneck needs fewer "
                       "concepts than images. Next: a short list, task.words=[...] or another concept_set")
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
        labels = {part: _experts(one.images, words, experts, experts_image) for part, one in evidence.items()}
        scores = labels
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


def _experts(images, words, experts, image_column):
    if experts == "images":
        for word in words:
            if word not in images.label_names:
                raise BadInput(f"task.words: {images.name} has no label {word!r}. {near(word, images.label_names)}")
        return np.ascontiguousarray(images.labels[:, [images.label_names.index(w) for w in words]], np.float32)
    table = Table(Path(experts).expanduser(), "task.experts")
    names = table.column(table.header[0] if image_column is None else image_column, "task.experts_image")
    for word in words:
        table.position(word, "task.words")
    _, values = label_rows(table, list(words), None, None, None, "", {})
    rows = dict(zip(names, values))
    rows = {Path(name).stem: row for name, row in rows.items()} | rows
    lacking = [i for i in images.ids if i not in rows and Path(i).stem not in rows]
    if lacking:
        raise BadInput(f"task.experts={experts}: {len(lacking)} of {len(images)} images of {images.name} have no row, "
                       f"such as {lacking[0]}; the table's first is {names[0]}. Check task.experts_image")
    return np.array([rows.get(i, rows.get(Path(i).stem)) for i in images.ids], np.float32)

