"""Concept labels that experts gave: those of the images themselves, or of a table."""
from collections import Counter
from pathlib import Path

import numpy as np

from mammi.errors import BadInput, near
from mammi.probing_set.table import Table, label_rows


def expert_labels(images, words, experts, image_column=None):
    """(P, N) float32 of 1, 0, NaN: which of N ``words`` each of the P ``images`` shows.

    experts  ``images``: the labels that the images have; or a CSV with an image's name in ``image_column`` (None: the
             first), with or without folder and ending, and a column of 1, 0 or blank a word
    Raises :class:`BadInput` for a word without a label or column, an image without a row, a name that two rows have.
    """
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
    return np.asarray(values, np.float32)[_rows_of(images, names, f"task.experts={experts}")]


def _rows_of(images, names, option):
    """[row of each image]: that of its whole name, else of its name without folder and ending."""
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise BadInput(f"{option}: {len(twice)} names stand in two rows, such as {twice[0]}: one row an image is "
                       "expected. Check task.experts_image")
    whole, stems = {name: row for row, name in enumerate(names)}, {}
    for row, name in enumerate(names):
        stems.setdefault(Path(name).stem, []).append(row)
    found = [[whole[i]] if i in whole else stems.get(Path(i).stem, []) for i in images.ids]
    lacking = [i for i, rows in zip(images.ids, found) if not rows]
    if lacking:
        raise BadInput(f"{option}: {len(lacking)} of {len(found)} images of {images.name} have no row, such as "
                       f"{lacking[0]}; the table's first is {names[0]}. Check task.experts_image")
    for i, rows in zip(images.ids, found):
        if len(rows) > 1:
            raise BadInput(f"{option}: the image {i} could be {names[rows[0]]} or {names[rows[1]]}. Write whole names")
    taken = {}
    for i, (row,) in zip(images.ids, found):
        if taken.setdefault(row, i) != i:
            raise BadInput(f"{option}: the row {names[row]} could be the image {taken[row]} or {i}. Write whole names")
    return [row for row, in found]
