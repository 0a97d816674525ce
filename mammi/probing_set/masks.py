"""Masks of structures: files listed in a table, files found by name, outlines in JSON. Read only when asked for.

A reader's ``open(base, aliases)`` finds and checks what there is and returns :class:`Masks`. An image may carry several
masks on one pixel: nothing is erased by what lies above it.
"""
import glob
from pathlib import Path

import numpy as np

from mammi.errors import BadInput, MissingAsset, near, number
from mammi.probing_set.mask_shapes import MaskFile, Polygon
from mammi.probing_set.records import read_records
from mammi.probing_set.table import Table


class Masks:
    """Masks of a set of images.

    names   M names of structures, the channels of :meth:`draw`
    images  names of the images that have masks, as spelled there
    notes   what was left out
    """

    def __init__(self, parts, names, notes=()):
        """``parts`` {image: [(name, function (width, height) -> (height, width) bool)]}; ``names``: all, or None."""
        found = sorted({name for drawn in parts.values() for name, _ in drawn})
        self.names = tuple(dict.fromkeys(names or found))  # two may have one alias
        strange = [name for name in found if name not in self.names]
        if strange:
            raise BadInput(f"masks of {', '.join(strange[:5])}: not in probing_set.masks.names. "
                           f"{near(strange[0], self.names)} Add the name, or spell it as an alias: "
                           f"'probing_set.aliases={{{strange[0]}: {self.names[0]}}}'")
        self._parts, self.images, self.notes = parts, tuple(parts), tuple(notes)

    def draw(self, image, size):
        """(M, H, W) bool of ``image``, one of ``images``; ``size`` is its (width, height). Several of a name join."""
        masks = np.zeros((len(self.names), size[1], size[0]), bool)
        for name, part in self._parts[image]:
            masks[self.names.index(name)] |= part(size)
        return masks


class MaskTable:
    """Mask files listed in a CSV file, one row a mask; a pixel is in it where the file's grey value is above 0.

    path     relative to the set's folder, as the files it lists
    image, label, mask   columns, by name or position: the image, the structure, the file; no file: counted in ``notes``
    corner   columns [left, top] where a file holds only a part of the frame, and lies there
    frame    column of the frame's size as ``943x751`` (width x height), with ``corner``
    names    the structures and their order; without it those that there are, by alphabet
    """

    def __init__(self, path, image, label, mask, corner=None, frame=None, names=None):
        if (corner is None) != (frame is None) or corner is not None and len(corner) != 2:
            raise BadInput(f"probing_set.masks: corner={corner}, frame={frame}; expected two columns [left, top] and "
                           "one of the frame's size, or neither")
        self.path, self.names = path, names
        self._columns = {"image": image, "label": label, "mask": mask}
        if corner is not None:
            self._columns |= {**dict(zip(("left", "top"), corner)), "frame": frame}

    def open(self, base, aliases):
        """:class:`Masks`; :class:`MissingAsset` where a listed file is not there."""
        table = Table(Path(base) / self.path, "probing_set.masks.path")
        at = {name: table.position(column, f"probing_set.masks.{name}") for name, column in self._columns.items()}
        parts, without, files = {}, [], []
        for i, row in enumerate(table.rows, 2):
            field = {name: row[position] for name, position in at.items()}
            label = aliases.get(field["label"], field["label"])
            drawn = parts.setdefault(field["image"], [])
            if not field["mask"]:
                without.append(label)
                continue
            files.append(Path(base) / field["mask"])
            drawn.append((label, MaskFile(files[-1], *_place(field, f"{table.path.name}, row {i}"))))
        _all_there(files)
        told = f"{len(without)} of {len(table.rows)} rows of {table.path.name} name no mask file " \
               f"({', '.join(sorted(set(without)))}): nothing is drawn for them"
        return Masks(parts, self.names, [told] if without else [])


class MaskFiles:
    """One mask file an image and structure, found by its name; above 0 is inside.

    patterns   {structure: path with ``{stem}`` for the image's name without extension}, relative to the set's folder
    """

    def __init__(self, patterns):
        self.patterns = dict(patterns)
        for pattern in self.patterns.values():
            if pattern.count("{stem}") != 1 or "*" in pattern:
                raise BadInput(f"probing_set.masks.patterns: {pattern} must hold {{stem}} once, for the image's name")

    def open(self, base, aliases):
        """:class:`Masks`; :class:`MissingAsset` where an image has some of its structures only."""
        found = {}
        for name, pattern in self.patterns.items():
            before, after = str(Path(base) / pattern).split("{stem}")
            files = sorted(map(Path, glob.glob(glob.escape(before) + "*" + glob.escape(after))))
            found[name] = {str(path)[len(before):len(str(path)) - len(after)]: path for path in files}
        images = sorted(set().union(*found.values()))
        if not images:
            raise MissingAsset(f"no mask is named {' or '.join(self.patterns.values())} in {base}. Next: put the mask "
                               "files there, name them in probing_set.masks.patterns, or leave them out: "
                               "probing_set.masks=null")
        _all_there([found[name].get(image, Path(base) / pattern.replace("{stem}", image))
                    for name, pattern in self.patterns.items() for image in images])
        return Masks({image: [(aliases.get(name, name), MaskFile(found[name][image])) for name in found]
                      for image in images}, [aliases.get(name, name) for name in self.patterns])


class MaskPolygons:
    """Outlines in JSON files that list one record an image, as ChestX-Det's.

    path     one file or several, relative to the set's folder
    image, label, polygons   fields: the image's name, the findings, and their outlines [[x, y], ...]
    frame    width in pixels of the images that the numbers refer to; None: of the images as they are
    names    the findings and their order; without it those that there are, by alphabet
    """

    def __init__(self, path, image="file_name", label="syms", polygons="polygons", frame=None, names=None):
        self.path, self._fields, self.names = path, (image, label, polygons), names
        self.frame = None if frame is None else number("probing_set.masks.frame", frame, 1)

    def open(self, base, aliases):
        """:class:`Masks`; an image without findings has empty ones."""
        image, label, polygons = self._fields
        return Masks({record[image]: [(aliases.get(name, name), Polygon(points, self.frame, where))
                                      for name, points in zip(record[label], record[polygons])]
                      for where, record in read_records(base, self.path, "probing_set.masks.path", *self._fields)},
                     self.names)


def _place(field, where):
    """((left, top), (width, height)) of a row's fields, () without a corner."""
    if "frame" not in field:
        return ()
    try:
        width, height = map(int, field["frame"].lower().split("x"))
        left, top = (round(float(field[name])) for name in ("left", "top"))
        if min(left, top) < 0 or min(width, height) < 1:
            raise ValueError("below 0")
    except ValueError as error:
        raise BadInput(f"{where}: left {field['left']!r}, top {field['top']!r}, frame {field['frame']!r}; expected two "
                       "numbers of pixels and a size such as 943x751") from error
    return (left, top), (width, height)


def _all_there(files):
    lost = [path for path in files if not path.is_file()]
    if lost:
        raise MissingAsset(f"{len(lost)} of {len(files)} mask files are not there: {', '.join(map(str, lost[:3]))}"
                           f"{', ...' if len(lost) > 3 else ''}. Next: put them there, or go on without masks: "
                           "probing_set.masks=null")
