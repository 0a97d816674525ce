"""JSON files that list one record an image, as ChestX-Det's: names of findings with a box and an outline each."""
from pathlib import Path

from mammi.errors import BadInput, near
from mammi.probing_set.table import read_json


def read_records(folder, paths, setting, image, *lists):
    """[(where it stands, record)] of one JSON file or several.

    image   field of the image's name
    lists   fields that hold a list, all of one length within a record
    Raises :class:`BadInput` with file and record where one is not of that form.
    """
    found = [(f"{path}, record {i}", record) for path in ([paths] if isinstance(paths, str) else paths)
             for i, record in enumerate(read_json(Path(folder) / path, setting))]
    first = {}
    for where, record in found:
        _check(where, record, image, *lists)
        if first.setdefault(record[image], where) != where:
            raise BadInput(f"{where}: {record[image]} is in {first[record[image]]}, too. Expected one record an image")
    return found


def _check(where, record, image, *lists):
    for field in (image, *lists):
        if field not in record:
            raise BadInput(f"{where}: there is no field {field}. {near(field, record)}")
    if not isinstance(record[image], str) or not all(isinstance(record[field], list) for field in lists):
        raise BadInput(f"{where}: expected a name in {image} and a list in each of {', '.join(lists)}")
    if len({len(record[field]) for field in lists}) > 1:
        told = ", ".join(f"{len(record[field])} {field}" for field in lists)
        raise BadInput(f"{where}: {told}; as many are expected of each")
