"""Boxes of findings from a CSV or JSON file, scaled to whatever size the images have here."""
import math
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput, number
from mammi.probing_set.records import read_records
from mammi.probing_set.table import Table, words_of
from mammi.types import Box

FORMS = ("x, y, w, h", "xmin, ymin, xmax, ymax", "x, y, radius")
BLANK = ("", "nan", "NaN")
ASPECT = 0.01  # by how much an image may differ in aspect from the frame that its boxes were drawn on


class Drawn(NamedTuple):
    """A box as drawn: ``box`` in pixels of an image of ``frame`` (width, height), None: of the image as it is."""

    box: Box
    frame: tuple | None


class _Boxes:
    """What both readers share. ``notes``: what :meth:`read` left out."""

    notes: tuple[str, ...] = ()
    frame, origin = None, "top_left"

    def scaled(self, boxes, width, height):
        """``boxes``, values of :meth:`read`, as :class:`mammi.types.Box` in an image of ``width`` x ``height`` pixels.

        Parts beyond the border are cut off. :class:`BadInput` if a box's centre is outside of the image, or if the
        image has another aspect than the frame: it was cropped since, and its boxes would mark something else.
        """
        return tuple(self._scaled(*drawn, width, height) for drawn in boxes)

    def _scaled(self, box, frame, width, height):
        across = down = 1.0
        if frame:
            across, down = width / frame[0], height / frame[1]
            if abs(across / down - 1) > ASPECT:
                raise BadInput(f"boxes were drawn on an image of {frame[0]:g} x {frame[1]:g} pixels, this one has "
                               f"{width} x {height}: it was cropped. Give the images as they were, or leave the boxes "
                               "out: probing_set.boxes=null")
        elif self.frame:
            across = down = width / self.frame
        label, x, y, w, h = box.label, box.x * across, box.y * down, box.w * across, box.h * down
        if self.origin == "bottom_left":
            y = height - y - h
        if not (0 <= x + w / 2 <= width and 0 <= y + h / 2 <= height):
            raise BadInput(f"a box of {label} ({x:g}, {y:g}, {w:g}, {h:g}) lies outside of its image of {width} x "
                           f"{height} pixels. Say in probing_set.boxes.frame how wide it was when it was drawn")
        left, top = max(x, 0.0), max(y, 0.0)
        return Box(label, left, top, min(x + w, width) - left, min(y + h, height) - top)


class BoxTable(_Boxes):
    """Boxes of findings in a CSV file, one row a box.

    path     relative to the set's folder
    image    column of the image's name; columns by name or by position
    label    column of the finding, or of several in brackets (['Mass', 'Asymmetry']: a box each); or
    finding  what every box is, for a table of one finding
    x, y, w, h              columns: the corner with the least numbers, width, height; or
    xmin, ymin, xmax, ymax  two corners; or
    x, y, radius            a circle, given as the square around it
    frame    width in pixels of the images that the numbers refer to (1024 for NIH); or the columns [width, height]
             that hold each image's; None: of the images as they are
    origin   ``top_left``, or ``bottom_left`` where y counts from below
    no_box   fields of the first number that mean that the row draws none, beside a blank one
    """

    def __init__(self, path, image, label=None, x=None, y=None, w=None, h=None, xmin=None, ymin=None, xmax=None,
                 ymax=None, radius=None, finding=None, frame=None, origin="top_left", no_box=()):
        self.path, self.finding, self.origin, self._skip = path, finding, origin, (*BLANK, *no_box)
        numbers = dict(x=x, y=y, w=w, h=h, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, radius=radius)
        given = {name: column for name, column in numbers.items() if column is not None}
        self._form = ", ".join(given)
        if self._form not in FORMS:
            raise BadInput(f"probing_set.boxes: columns are given for {self._form or 'no number'}; expected "
                           f"{'; or '.join(FORMS)}")
        if origin not in ("top_left", "bottom_left"):
            raise BadInput(f"probing_set.boxes.origin={origin}: expected top_left or bottom_left")
        if (label is None) == (finding is None):
            raise BadInput("probing_set.boxes: give label, a column, or finding, what every box is")
        self._columns = {"image": image, **({} if label is None else {"label": label}), **given}
        if frame is not None and not hasattr(frame, "__len__"):
            self.frame = number("probing_set.boxes.frame", frame, 1)
        elif frame is not None:
            if len(frame) != 2 or isinstance(frame, str):
                raise BadInput(f"probing_set.boxes.frame={frame}: expected a width in pixels or two columns, width and "
                               "height")
            self._columns |= dict(zip(("frame", "frame height"), frame))

    def read(self, folder, aliases):
        """{image as spelled in the table: tuple of :class:`Drawn`}; rows that draw no box are counted in ``notes``."""
        table = Table(Path(folder) / self.path, "probing_set.boxes.path")
        at = {name: table.position(column, f"probing_set.boxes.{name}") for name, column in self._columns.items()}
        boxes, skipped = {}, 0
        for i, row in enumerate(table.rows, 2):
            field = {name: row[position] for name, position in at.items()}
            numbers = [field[name] for name in self._form.split(", ")]
            if numbers[0] in self._skip:
                skipped += 1
                continue
            where = f"{table.path.name}, row {i}"
            frame = tuple(_positive(field[name], where) for name in ("frame", "frame height") if name in at) or None
            labels = [self.finding] if self.finding else words_of(field["label"], "", where)
            boxes[field["image"]] = (*boxes.get(field["image"], ()), *(
                Drawn(Box(aliases.get(label, label), *_corner(self._form, numbers, where)), frame) for label in labels))
        self.notes = (f"{skipped} of {len(table.rows)} rows of {table.path.name} draw no box",) if skipped else ()
        return boxes


class BoxJSON(_Boxes):
    """Boxes in JSON files that list one record an image, as ChestX-Det's.

    path     one file or several, relative to the set's folder
    image, label, boxes   fields: the image's name, the findings, and their boxes [x1, y1, x2, y2]
    frame    as :class:`BoxTable`'s, a number or None
    """

    def __init__(self, path, image="file_name", label="syms", boxes="boxes", frame=None):
        self.path, self._fields = path, (image, label, boxes)
        self.frame = None if frame is None else number("probing_set.boxes.frame", frame, 1)

    def read(self, folder, aliases):
        """{image as spelled there: tuple of :class:`Drawn`}, empty for an image without findings."""
        image, label, boxes = self._fields
        return {record[image]: tuple(
            Drawn(Box(aliases.get(name, name), *_corner(FORMS[1], box, where)), None)
            for name, box in zip(record[label], record[boxes]))
            for where, record in read_records(folder, self.path, "probing_set.boxes.path", *self._fields)}


def _corner(form, fields, where):
    """(x, y, w, h) of fields of one of :data:`FORMS`."""
    try:
        numbers = [float(field) for field in fields]
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: {', '.join(map(str, fields))} are no box; expected {form}") from error
    if len(numbers) != len(form.split(", ")) or not all(map(math.isfinite, numbers)):
        raise BadInput(f"{where}: {', '.join(map(str, fields))} are no box; expected {form}")
    x, y, *size = numbers
    if form == FORMS[1]:
        size = size[0] - x, size[1] - y
    elif form == FORMS[2]:
        x, y, size = x - size[0], y - size[0], (2 * size[0],) * 2
    if min(size) <= 0:
        raise BadInput(f"{where}: {', '.join(map(str, fields))} are no box; expected {form} with a width and a height "
                       "above 0")
    return x, y, *size


def _positive(field, where):
    try:
        return number("frame", float(field), 1)
    except ValueError as error:
        raise BadInput(f"{where}: {field!r} is no width or height of an image (probing_set.boxes.frame)") from error
