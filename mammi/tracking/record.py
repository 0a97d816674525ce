"""What W&B gets of a finished run: read from its folder, and only what is on a list.

Lists of what may go, not of what may not: an option, a column or a picture that nobody thought of stays here.

config    numbers and booleans, few texts (:mod:`mammi.tracking.config`), the chosen options, the names of model, images
          and words; no path, no pattern, no list
summary   the numbers of metrics.json, and the gate's verdict in a word
neurons   the columns of neurons.csv in :data:`COLUMNS`, which say nothing of single images
tables    of other tasks the columns in :data:`TABLES`: numbers by model, layer, unit, word and rule
files     annotations.csv (words and scores), the same columns of these tables, the same numbers as metrics.json
pictures  those of :data:`PICTURES`, which show curves and bars

``images=True`` adds all pictures, all of neurons.csv, contributions.csv, images.csv, explain_metrics.csv and the
run's notes. What hangs on the machine (reproduce.sh, run.log, versions.json, .hydra) never goes.
"""
import csv
import io
import json
import re
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput
from mammi.files import digest
from mammi.report import NO_EFFECT, read
from mammi.tracking.config import composed, is_number, nested, plain, read_yaml, sendable
from mammi.types import NOT_ASKED, NOT_CHECKED, VERDICTS

PICTURES = ("scores.png", "frequency.png", "auroc.png", "performance.png", "similarity.png", "clinical.png",
            "categories.png")
WITH_IMAGES = ("neurons.csv", "contributions.csv", "images.csv", "explain_metrics.csv")
WORDS = ("neuron", "name", "rank", "concept", "score", "gate")
COLUMNS = re.compile("neuron|name|status|images_selected|top_concept|concepts|accepted|purity|precision|recall|"
                     "runner_up|margin|without_it|gate|(hit|f1|cos|cosy)(_[a-z0-9]+)*")
ALL = re.compile(".*")
TABLES = {  # {task: {file: columns of it}}
    "compare": dict.fromkeys(("layers.csv", "coverage.csv", "delta.csv", "changes.csv", "missing.csv", "workflow.csv"),
                             ALL),
    "micn": {"models.csv": re.compile("model|what|seeds|(accuracy|macro_f1|auroc)(_[a-z]+)*"),
             "concepts.csv": re.compile("concept|share_(train|test)|accuracy|auroc|spearman|neurons|auroc_neurons|"
                                        "spearman_neurons|leak|leak_correlation"),
             "rules_global.csv": re.compile("class|rule|length|images|share|right|truth|fulfilled|right_by_labels")},
    "explain": {"explain_units.csv": re.compile("explainer|layer|unit|name|concept|images|mass|rank|pointing|drop|"
                                                "faithfulness|entropy|gini|activation|area|ms|gate")}}
NAME_LENGTH = 120


class Record(NamedTuple):
    """All of one run that leaves the machine. ``files`` {name: bytes}, ``pictures`` {name: path}, ``table`` (columns,
    rows) of the neurons or None, ``tables`` {name: the same} of other tasks; ``key`` is the same whenever the same run
    is mirrored."""

    folder: Path
    key: str
    name: str
    group: str | None
    job_type: str
    kind: str
    notes: str
    config: dict
    summary: dict
    table: tuple | None
    tables: dict
    files: dict
    pictures: dict


def records(folder, images=False):
    """:class:`Record` of each finished run at or below ``folder``; :class:`BadInput` where there is none."""
    if not Path(folder).is_dir():
        raise BadInput(f"there is no folder {folder}. Next: give the folder of a finished run")
    if not any(Path(folder).rglob("run.json")):
        raise BadInput(f"{folder} holds no run.json: there is no run, or one of a task that has no metrics (fit_target,"
                       " fit_dissector, plan). Next: give the folder of a finished run")
    return [_record(run, images) for run in read(folder)[0]]


def _record(run, images):
    about, folder = run.about, run.folder
    names, choices = about.get("names", {}), about.get("choices", {})
    flat = sendable(composed(folder))
    config = nested(flat) | {"data": run.kind, "choice": {key: str(option) for key, option in choices.items()},
                              "names": {key: str(name) for key, name in names.items() if plain(str(name))}}
    summary = {key: value for key, value in run.metrics.items() if is_number(value)}
    if run.metrics["gate"] in (*VERDICTS, NOT_CHECKED, NOT_ASKED):
        summary["gate"] = run.metrics["gate"]
    table, files = None, {"metrics.json": _json(summary)}
    if (folder / "annotations.csv").is_file():
        files["annotations.csv"] = _csv(*_columns(folder / "annotations.csv", WORDS.__contains__))
    if (folder / "neurons.csv").is_file():
        table = _columns(folder / "neurons.csv", (lambda _: True) if images else COLUMNS.fullmatch)
        files["neurons.csv"] = _csv(*table)
    tables = {Path(name).stem: _columns(folder / name, columns.fullmatch)
              for name, columns in TABLES.get(str(choices.get("task")), {}).items()
              if (folder / name).is_file() and (folder / name).stat().st_size > 1}
    files |= {f"{name}.csv": _csv(*found) for name, found in tables.items()}
    if images:
        files |= {name: (folder / name).read_bytes() for name in WITH_IMAGES if (folder / name).is_file()}
    shown = sorted(folder.glob("*.png")) if images else [folder / name for name in PICTURES]
    return Record(folder, digest(about, folder.name)[:12], _name(about, flat), _group(folder),
                  str(choices.get("task", "run")), run.kind, _notes(run.kind, names, about, images), config, summary,
                  table, tables, files, {path.stem: path for path in shown if path.is_file()})


def _group(folder):
    """A sweep's folder name, or for a study's part the study's; else None."""
    path = folder / ".hydra" / "hydra.yaml"
    if not path.is_file():
        return folder.parent.name if (folder.parent / ".hydra").is_dir() else None
    return folder.parent.name if read_yaml(path).get("hydra", {}).get("mode") == "MULTIRUN" else None


def _name(about, flat):
    """The experiment's name, and of what was typed what may leave."""
    words = [str(about.get("name", "run"))]
    for override in about.get("overrides", []):
        key, _, _ = str(override).lstrip("+~").partition("=")
        if key.split(".")[0] in NO_EFFECT or key == "name":
            continue
        if key in about.get("choices", {}):
            words.append(f"{key}={about['choices'][key]}")
        elif key in flat:
            words.append(f"{key}={flat[key]}")
    return " ".join(words)[:NAME_LENGTH]


def _notes(kind, names, about, images):
    lines = ["Synthetic images: nothing here is a clinical result." if kind == "synthetic" else "Real images."]
    lines += [f"{group}: {name}" for group, name in names.items()
              if "stand-in" in str(name) and plain(str(name))]
    return "\n".join(lines + ([str(note) for note in about.get("notes", [])] if images else []))


def _columns(path, wanted):
    """(columns, rows) of a CSV file; cells of a column that holds numbers alone become numbers, empty ones None."""
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if any(len(row) != len(header) for row in rows):
        raise BadInput(f"{path} is damaged (rows of different lengths). Run it again (its reproduce.sh)")
    kept = [(name, _typed([row[i] for row in rows])) for i, name in enumerate(header) if wanted(name)]
    return [name for name, _ in kept], [list(row) for row in zip(*(values for _, values in kept))]


def _typed(cells):
    try:
        numbers = [float(cell) if cell else None for cell in cells]
    except ValueError:
        return [cell or None for cell in cells]
    if all(number is None or number.is_integer() for number in numbers):
        return [number if number is None else int(number) for number in numbers]
    return numbers


def _csv(columns, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


def _json(value):
    return (json.dumps(value, indent=1) + "\n").encode()
