"""Boxes of findings from a CSV file, scaled to whatever size the images have here."""
from pathlib import Path

from mammi.errors import BadInput
from mammi.probing_set.table import Table
from mammi.types import Box


class BoxTable:
    """Boxes of findings in a CSV file, one row a box.

    path     relative to the set's folder
    image, label, x, y, w, h   columns, by name or position; (x, y) the upper-left corner
    frame    width in pixels of the images that the numbers refer to (1024 for NIH), None: of the images as they are.
             Boxes are scaled to whatever size the images have here
    """

    def __init__(self, path, image, label, x, y, w, h, frame=None):
        self.path, self.columns, self.frame = path, (image, label, x, y, w, h), frame

    def read(self, folder, aliases):
        """{image as spelled in the table: tuple of :class:`mammi.types.Box` in the frame's pixels}."""
        table = Table(Path(folder) / self.path, "probing_set.boxes.path")
        names = ("image", "label", "x", "y", "w", "h")
        at = [table.position(column, f"probing_set.boxes.{name}") for name, column in zip(names, self.columns)]
        boxes = {}
        for number, row in enumerate(table.rows, 2):
            image, label, *numbers = (row[i] for i in at)
            try:
                box = Box(aliases.get(label, label), *map(float, numbers))
            except ValueError as error:
                raise BadInput(f"{table.path.name}, row {number}: {', '.join(numbers)} are no box") from error
            boxes[image] = (*boxes.get(image, ()), box)
        return boxes

    def scaled(self, boxes, width):
        """``boxes`` in the pixels of an image ``width`` pixels wide."""
        factor = width / self.frame if self.frame else 1.0
        return tuple(Box(label, *(factor * v for v in numbers)) for label, *numbers in boxes)
