"""JSON files that list one record an image, as ChestX-Det's: names of findings with a box and an outline each."""
import json
from pathlib import Path

from mammi.errors import BadInput, near
from mammi.probing_set.table import read


def read_records(folder, paths, setting, *lists):
    """[(where it stands, record)] of one JSON file or several, each a list of objects.

    lists   fields that hold a list, all of one length within a record; the first field is the image, a string
    Raises :class:`BadInput` with file and record where one is not of that form.
    """
    found = []
    for path in [paths] if isinstance(paths, str) else paths:
        try:
            records = json.loads(read(Path(folder) / path, setting))
        except json.JSONDecodeError as error:
            raise BadInput(f"{setting}={path} is no JSON file: {error}") from error
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise BadInput(f"{setting}={path}: expected a list of objects, one an image, found "
                           f"{type(records).__name__ if not isinstance(records, list) else 'a list of other things'}")
        found += [(f"{path}, record {i}", record) for i, record in enumerate(records)]
    for where, record in found:
        _check(where, record, *lists)
    return found


def _check(where, record, image, *lists):
    for field in (image, *lists):
        if field not in record:
            raise BadInput(f"{where}: there is no field {field}. {near(field, record)}")
    if not isinstance(record[image], str) or not all(isinstance(record[field], list) for field in lists):
        raise BadInput(f"{where}: expected a name in {image} and a list in each of {', '.join(lists)}")
    lengths = {field: len(record[field]) for field in lists}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{n} {field}" for field, n in lengths.items())
        raise BadInput(f"{where}: {told}; as many are expected of each")
