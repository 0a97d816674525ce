"""A finished annotation run (``task.run``) as where Med-MICN's concepts come from."""
import csv
import json
from pathlib import Path

from mammi.errors import BadInput, MissingAsset
from mammi.text_files import read_text


def words_of_run(run, target=None, layer=None):
    """{neuron: its first word} of a finished annotation in the folder ``run``; neurons without a word lack.

    With ``target`` and ``layer``, :class:`BadInput` where it is of others.
    """
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


def met_in_run(run, sets):
    """Notes of which images or patients of ``sets`` {part: Split}, but "train", the run ``run`` named neurons with.

    Its words were then chosen on images that they are judged on. By the names in the run's ``images.csv``.
    """
    there = Path(run).expanduser() / "images.csv"
    if not there.is_file():
        return [f"task.run={run} has no images.csv: whether its words were chosen on images that are judged here is "
                "unknown"]
    with open(there, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    met = [{row.get(key) or row.get("id") for row in rows} for key in ("id", "patient")]
    notes = []
    for part in ("val", "test"):
        images = sets[part].images
        n = sum(i in met[0] or patient in met[1] for i, patient in zip(images.ids, images.patients))
        if n:
            notes.append(f"{n} of {len(images)} {part} images, or others of their patients, are among those that "
                         f"task.run={run} named the neurons with: these words were chosen on what they are judged on. "
                         "For a clean number annotate the training images")
    return notes
