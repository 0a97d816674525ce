"""Your own images: any folder; labels, patients, splits, sentences and boxes from a CSV file where there is one."""
import re

import numpy as np

from mammi.errors import BadInput
from mammi.probing_set.base import ProbingSet, spread
from mammi.probing_set.image_files import EXTENSIONS, Lookup, decode, existing, find_images, in_threads, inspect
from mammi.probing_set.table import Table, label_rows, read_split_files
from mammi.types import Batch


class ImageFolder(ProbingSet):
    """Images below ``root/folder/images``; every path that is not absolute starts at ``root/folder``.

    root, folder, images   where the files lie; ``recursive``: in sub-folders too; ``extensions`` that count as images
    csv, image_column      a table and its column of file names (the first one when not given), with or without
                           folders and extension; several rows of an image are joined, a label holds if any row has it
    label_columns          columns of 1, 0 and blank (unknown), or:
    labels_column          one column of names joined by ``separator``; ``none`` is the name for 'nothing present',
                           ``label_names`` fixes the names and their order
    aliases                {spelling in a table: name used here}, for labels and box labels
    patient_column         or ``patient_pattern``, a regular expression whose group 1 is the patient in a file name;
                           without either each image is its own patient
    split_column           or ``split_files`` {split: text file, one image a line, spelled as in the table};
                           ``split``: one name, several, or None for all images
    text_columns           columns with sentences that describe the image, or
    label_sentences        :class:`mammi.probing_set.label_sentences.LabelSentences`: sentences made from the labels
    boxes                  :class:`mammi.probing_set.boxes.BoxTable`
    template               the domain's prompt without the concept
    limit                  this many images, evenly over the list
    on_bad_image           ``error`` or ``skip`` (counted in ``notes``) for files that do not decode
    unmatched              ``error`` or ``drop`` for images without a row, rows of the split without an image, and
                           boxes of images that are neither here nor listed

    Ids are file names, or paths below ``images`` where names repeat. Keys are hashes of the files' bytes. Without
    ``csv`` and ``split_files`` every image counts and nothing but the image is known.
    """

    def __init__(self, root, folder=None, images=None, csv=None, image_column=None, label_columns=None,
                 labels_column=None, separator="|", label_names=None, none="No Finding", aliases=None,
                 patient_column=None, patient_pattern=None, split_column=None, split_files=None, split=None,
                 text_columns=None, label_sentences=None, boxes=None, template="A medical image of a", limit=None,
                 on_bad_image="error", unmatched="error", extensions=EXTENSIONS, recursive=True, name=None):
        for option, value, allowed in (("on_bad_image", on_bad_image, ("error", "skip")),
                                       ("unmatched", unmatched, ("error", "drop"))):
            if value not in allowed:
                raise BadInput(f"probing_set.{option}={value}: expected {' or '.join(allowed)}")
        if not csv and any((label_columns, labels_column, patient_column, split_column, text_columns)):
            raise BadInput("labels, patients, splits or sentences by column need probing_set.csv")
        base, pictures = existing(root, folder), existing(root, folder, images)
        wanted = (split,) if isinstance(split, str) else tuple(split or ())
        self.name = (name or pictures.name) + (f" ({'+'.join(wanted)})" if wanted else "")
        self.template, self._boxes, aliases = template or "", boxes, dict(aliases or {})

        files = find_images(pictures, extensions, recursive)
        ids = [file.name for file in files]
        if len(set(ids)) < len(ids):
            ids = [file.relative_to(pictures).as_posix() for file in files]
        lookup = Lookup(pictures, files)

        table = Table(base / csv) if csv else None
        listed = _listed(table, image_column, split_column, read_split_files(split_files or {}, base))
        rows, notes = _rows(listed, wanted, lookup, ids, unmatched)
        chosen = np.array(sorted(rows))[spread(len(rows), limit)]
        self.keys, chosen, skipped = _inspect(chosen, files, ids, on_bad_image)
        self.notes = (*notes, *skipped)
        self.ids = tuple(ids[i] for i in chosen)
        self._files = [files[i] for i in chosen]
        rows = [rows[i] for i in chosen]

        if table:
            names, values = label_rows(table, label_columns, labels_column, separator, label_names, none, aliases)
            if names:  # present in any row of the image, else absent in any, else unknown
                self.label_names, self.labels = names, np.stack([np.fmax.reduce(values[own]) for own in rows])
            if text_columns:
                self.texts = _sentences(table, rows, text_columns)
        if label_sentences:
            if text_columns or self.labels is None:
                raise BadInput("probing_set.label_sentences needs labels, and no probing_set.text_columns beside it")
            self.texts = label_sentences(self.label_names, self.labels, self.template, self.keys)
            self.notes += ("sentences made from the labels: not reports of these patients",)
        self.patients = _patients(self.ids, table, rows, patient_column, patient_pattern)
        drawn, notes = _boxes(boxes.read(base, aliases) if boxes else {}, lookup, listed, unmatched)
        self.notes += notes
        self._drawn = [drawn.get(i, ()) for i in chosen]

    def load(self, indices, masks=False):
        indices = [int(i) for i in indices]
        images = in_threads(lambda i: decode(self._files[i].read_bytes()), indices)
        boxes = None
        if self._boxes:
            boxes = tuple(self._boxes.scaled(self._drawn[i], image.width) for i, image in zip(indices, images))
        return Batch(tuple(images), tuple(self.ids[i] for i in indices), tuple(self.patients[i] for i in indices),
                     None if self.labels is None else self.labels[indices], self.label_names, boxes=boxes)


def _listed(table, image_column, split_column, split_of):
    """[(image as spelled, split or None)] of the table's rows, else of the split files; None where there is neither."""
    if split_column and split_of:
        raise BadInput("give probing_set.split_column or probing_set.split_files, not both")
    if table is None:
        return list(split_of.items()) or None
    images = table.column(table.header[0] if image_column is None else image_column, "probing_set.image_column")
    if split_column:
        return list(zip(images, table.column(split_column, "probing_set.split_column")))
    return [(image, split_of.get(image)) for image in images]


def _rows(listed, wanted, lookup, ids, unmatched):
    """({file: its rows in ``listed``} of the wanted splits, notes)."""
    splits = [split for _, split in listed or () if split]
    for split in wanted:
        if split not in splits:
            counts = ", ".join(f"{s} ({splits.count(s)})" for s in dict.fromkeys(splits))
            raise BadInput(f"probing_set.split={split}: "
                           + (f"there is no such split, but {counts}" if counts else
                              "no splits are known; give probing_set.split_column or probing_set.split_files"))
    if listed is None:
        return {i: [] for i in range(len(ids))}, []
    rows, known, lost = {}, set(), []
    for row, (image, split) in enumerate(listed):
        file = lookup(image)
        known.add(file)
        if wanted and split not in wanted:
            continue
        if file is None:
            lost.append(image)
        else:
            rows.setdefault(file, []).append(row)
    strangers = [image for i, image in enumerate(ids) if i not in known]
    if not rows:
        raise BadInput(f"none of {len(listed)} listed names means one of {len(ids)} images. Listed{_examples(lost)}, "
                       f"found{_examples(ids)}. Check probing_set.image_column and probing_set.images")
    if not strangers and not lost:
        return rows, []
    what = (f"{len(strangers)} images have no row{_examples(strangers)}; "
            f"{len(lost)} rows have no image{_examples(lost)}")
    if unmatched == "error":
        raise BadInput(f"images and labels do not match: {what}. Check probing_set.csv, image_column and images; to "
                       "go on with what matches: probing_set.unmatched=drop")
    return rows, [f"dropped: {what}"]


def _boxes(drawn, lookup, listed, unmatched):
    """({file: its boxes}, notes); a listed image may be absent or of another split, any other name is a mistake."""
    boxes, lost = {}, []
    known = {name for image, _ in listed or () for name in _names(image)}
    for image, found in drawn.items():
        file = lookup(image)
        if file is not None:  # an image may be spelled in several ways
            boxes[file] = (*boxes.get(file, ()), *found)
        elif known.isdisjoint(_names(image)):
            lost.append(image)
    if not lost:
        return boxes, ()
    what = f"boxes of {len(lost)} images that are neither here nor listed{_examples(lost)}"
    if unmatched == "error":
        raise BadInput(f"{what}. Check probing_set.boxes.path and image; to go on without them: "
                       "probing_set.unmatched=drop")
    return boxes, (f"dropped: {what}",)


def _names(image):
    """A table's entry without its folders, with and without its extension."""
    name = image.replace("\\", "/").rsplit("/", 1)[-1]
    return {name, name.rsplit(".", 1)[0]}


def _inspect(chosen, files, ids, on_bad_image):
    """(keys, positions of whole files, notes on broken ones)."""
    found = in_threads(inspect, [files[i] for i in chosen])
    bad = [(ids[i], reason) for i, (key, reason) in zip(chosen, found) if key is None]
    good = [int(i) for i, (key, _) in zip(chosen, found) if key is not None]
    if bad and (on_bad_image == "error" or not good):
        raise BadInput(f"{len(bad)} of {len(chosen)} images cannot be read: {bad[0][0]} ({bad[0][1]})"
                       f"{', ...' if len(bad) > 1 else ''}. Restore them, or go on without: "
                       "probing_set.on_bad_image=skip")
    notes = f"skipped: {len(bad)} of {len(chosen)} images cannot be read{_examples([image for image, _ in bad])}"
    return tuple(key for key, _ in found if key is not None), good, [notes] if bad else []


def _sentences(table, rows, columns):
    fields = [table.column(column, "probing_set.text_columns") for column in columns]
    return tuple(tuple(dict.fromkeys(sentence for row in own for column in fields
                                     for sentence in re.split(r"(?<=[.?!])\s+", column[row]) if sentence))
                 for own in rows)


def _patients(ids, table, rows, column, pattern):
    if column:
        fields = table.column(column, "probing_set.patient_column")
        return tuple(fields[own[0]] or image for own, image in zip(rows, ids))
    if not pattern:
        return ids
    found = [re.search(pattern, image) for image in ids]
    for image, match in zip(ids, found):
        if match is None or not match.groups():
            raise BadInput(f"probing_set.patient_pattern={pattern}: no group 1 in {image}")
    return tuple(match.group(1) for match in found)


def _examples(names):
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
