"""Many reports in one file: a line each, a table's rows, R2Gen's annotation.json."""
import csv
import io
import json

from mammi.errors import BadInput, near
from mammi.reports.base import Report
from mammi.text_files import lines, read_text

# Names that columns usually go by. Of the text's, the first entry of which all columns are there is taken.
TEXT = (("findings", "impression"), ("report",), ("text",), ("caption",), ("findings",), ("impression",))
OTHERS = {"id": ("id", "study_id", "study", "uid"), "patient": ("patient", "patient_id", "subject_id"),
          "split": ("split",)}
SPLITS = ("train", "val", "test")
SHAPE = 'expected {"train": [...], "val": [...], "test": [...]} of objects with "report" and "id"'


def read_lines(path):
    """A report a line; its id is the line's number. Blank lines are none."""
    return [Report(str(number), line.strip())
            for number, line in enumerate(lines(read_text(path)), 1) if line.strip()]


def read_table(path, columns):
    """A report a row; without a column of ids its id is the row's number. ``columns`` as in ``read_reports``."""
    tabs = path.name.lower().removesuffix(".gz").endswith(".tsv")
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter="\t" if tabs else ",")
    reports = []
    try:
        header = rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        if not header:
            raise BadInput(f"{path} is empty; expected a first line with the names of the columns")
        if len(header) == 1 and ";" in header[0]:
            raise BadInput(f"{path}: its columns are separated by semicolons. Next: save it with commas")
        texts, others = _columns(path, header, columns)
        for number, row in enumerate(rows, 1):
            if None in row or None in row.values():
                raise BadInput(f"{path}, line {rows.line_num}: {'more' if None in row else 'fewer'} fields than the "
                               f"{len(header)} columns. Next: put texts with commas between quotation marks")
            text = "\n".join(filter(None, (row[column].strip() for column in texts)))
            known = {key: row[column].strip() for key, column in others.items()}
            reports.append(Report(**{"id": str(number), "text": text} | known))
    except csv.Error as error:
        raise BadInput(f"{path}, line {rows.line_num}: {error}. Next: save it as a plain CSV in UTF-8") from error
    return reports


def _columns(path, header, columns):
    """(columns of the text, {"id", "patient", "split": column} of those that are there): as given, or as usual."""
    there = f"Its columns: {', '.join(header)}"
    for key, given in columns.items():
        if key not in ("text", *OTHERS):
            raise BadInput(f"concept_set.columns.{key}: there are columns.text, .id, .patient and .split")
        for name in [given] if isinstance(given, str) else given or ():
            if name not in header:
                raise BadInput(f"{path} has no column {name!r} (concept_set.columns.{key}). {near(name, header)} "
                               f"{there}")
    usual = {name.lower(): name for name in reversed(header)}
    texts = columns.get("text") or next(([usual[name] for name in names] for names in TEXT
                                         if all(name in usual for name in names)), None)
    if not texts:
        raise BadInput(f"{path}: which column holds the text? {there}. "
                       "Next: concept_set.columns.text=COLUMN, or [COLUMN, COLUMN]")
    found = {key: columns.get(key) or next((usual[name] for name in names if name in usual), None)
             for key, names in OTHERS.items()}
    return [texts] if isinstance(texts, str) else texts, {key: name for key, name in found.items() if name}


def read_annotation(path):
    """R2Gen: {"train": [{"id", "study_id", "subject_id", "report", "image_path", "split"}, ...], "val", "test"}."""
    try:
        splits = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path} is not JSON, or not all of it: {error}. Next: fetch it again") from error
    if not isinstance(splits, dict) or not splits or not all(isinstance(rows, list) for rows in splits.values()):
        raise BadInput(f"{path} holds {_shape(splits)}; {SHAPE}")
    reports = []
    for split in sorted(splits, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name)):
        for number, row in enumerate(splits[split], 1):
            if not isinstance(row, dict) or not isinstance(row.get("report"), str):
                raise BadInput(f"{path}, {split} number {number}: {_shape(row)}; {SHAPE}")
            study = row.get("study_id", row.get("id", number))
            reports.append(Report(str(study), row["report"].strip(), str(row.get("subject_id", "")), split))
    return reports


def _shape(value):
    return f"the keys {', '.join(list(value)[:8]) or '(none)'}" if isinstance(value, dict) else type(value).__name__
