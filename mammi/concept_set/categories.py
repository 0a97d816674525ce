"""Words with the categories they belong to, out of a table, a nested list or a workbook."""
import csv
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput, MissingAsset, near
from mammi.text_files import lines, read_text
from mammi.types import STEPS

TABLE, NESTED, BOOK = (".csv",), (".json", ".yaml", ".yml"), (".xlsx",)
COLUMNS = ("concept", "category", "broad_category", "step")
TWICE = "in a second category too, where it does not count"


class Entry(NamedTuple):
    """A word in one category; ``broad`` and ``step`` are "" where the file says none, ``where`` is for errors."""

    concept: str
    category: str
    broad: str
    step: str
    where: str


def holds_categories(path):
    """Whether a file of this name is read by :func:`entries`; any other is a plain list of words."""
    return _suffix(path) in TABLE + NESTED + BOOK


def entries(path):
    """([:class:`Entry`], has categories) of the file ``path``, in its order. Runs of blanks become one, everywhere.

    .csv           columns concept, and where there are such category, broad_category, step; others are ignored
    .json, .yaml   category -> words, or broad category -> category -> words; or a list of {concept, category, ...}
    .xlsx          a sheet per broad category, a column per category with its name in the first row
    ``.gz`` of the first two is unzipped. Raises :class:`BadInput` that names the place, :class:`MissingAsset` without
    a file.
    """
    suffix = _suffix(path)
    found, grouped = (_table if suffix in TABLE else _nested if suffix in NESTED else _book)(Path(path))
    for entry in found:
        if entry.concept and grouped and not entry.category:
            raise BadInput(f"{entry.where}: concept '{entry.concept}' has no category. Give it one, or leave the "
                           "column out")
        if entry.step and entry.step not in STEPS:
            raise BadInput(f"{entry.where}: step '{entry.step}': {near(entry.step, STEPS)}")
    return found, grouped


def place(found, on_duplicate="error"):
    """({concept: its :class:`Entry`}, {reason: count}): each word once.

    A word in two categories is refused, or with ``on_duplicate=first`` counts in the first; the reason then names all
    such words. The same line twice does no harm and is counted.
    """
    if on_duplicate not in ("error", "first"):
        raise BadInput(f"concept_set.on_duplicate={on_duplicate}: {near(str(on_duplicate), ('error', 'first'))}")
    placed, dropped, twice = {}, {"blank": 0, "duplicate": 0}, {}
    for entry in found:
        first = placed.setdefault(entry.concept, entry) if entry.concept else None
        if first is None:
            dropped["blank"] += 1
        elif first is not entry and first[1:4] == entry[1:4]:
            dropped["duplicate"] += 1
        elif first is not entry and on_duplicate == "error":
            raise BadInput(f"{entry.where}: concept '{entry.concept}' is in the categories '{_of(first)}' and "
                           f"'{_of(entry)}'. Keep one of the lines, or concept_set.on_duplicate=first, which "
                           "every run tells")
        elif first is not entry:
            twice[entry.concept] = None
    if twice:
        dropped[f"{TWICE}: {', '.join(twice)}"] = len(twice)
    return placed, {reason: count for reason, count in dropped.items() if count}


def with_steps(placed, steps):
    """``placed`` with the steps of ``steps`` {category or broad category: step} where the file says none."""
    known = {name for entry in placed.values() for name in (entry.category, entry.broad)}
    for name, step in steps.items():
        if name not in known:
            raise BadInput(f"concept_set.steps: no category is called '{name}'. {near(name, sorted(known))}")
        if step not in STEPS:
            raise BadInput(f"concept_set.steps.{name}={step}: {near(str(step), STEPS)}")
    return {word: entry if entry.step else entry._replace(step=steps.get(entry.category, steps.get(entry.broad, "")))
            for word, entry in placed.items()}


def _of(entry):
    return f"{entry.broad} / {entry.category}" if entry.broad else entry.category


def _suffix(path):
    return Path(str(path).lower().removesuffix(".gz")).suffix


def _text(value):
    return " ".join(str(value).split()) if value is not None else ""


def _table(path):
    rows = csv.DictReader(lines(read_text(path)))
    header = [column.strip() for column in rows.fieldnames or ()]
    if COLUMNS[0] not in header:
        raise BadInput(f"{path}: the first line is {', '.join(header) or 'empty'}; expected the columns "
                       "concept,category (or concept alone). A plain list of words wants the suffix .txt")
    rows.fieldnames = header
    found = [Entry(*(_text(row.get(column)) for column in COLUMNS), f"{path}, line {rows.line_num}") for row in rows]
    return found, "category" in header


def _nested(path):
    text = read_text(path)
    try:
        if _suffix(path) == ".json":
            value = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, path))
        else:
            import yaml

            value = yaml.safe_load(text)
    except ValueError as error:
        raise BadInput(f"{path} is no JSON ({error})") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is no YAML ({error})") from error
    if isinstance(value, list) and all(isinstance(one, dict) and "concept" in one for one in value):
        found = [Entry(*(_text(one.get(column)) for column in COLUMNS), f"{path}, entry {n}")
                 for n, one in enumerate(value, 1)]
        return found, any(entry.category for entry in found)
    if not isinstance(value, dict):
        raise BadInput(f"{path}: expected categories with their words, or a list of {{concept, category}}")
    found = []
    for name, below in value.items():
        groups = below.items() if isinstance(below, dict) else [(name, below)]
        broad = _text(name) if isinstance(below, dict) else ""
        for category, words in groups:
            if not isinstance(words, list) or any(isinstance(word, (dict, list)) for word in words):
                raise BadInput(f"{path}: category '{category}' holds no list of words")
            found += [Entry(_text(word), _text(category), broad, "", f"{path}, category {_text(category)}")
                      for word in words]
    return found, True


def _once(pairs, path):
    """A JSON object as a dict; Python would keep the last of two equal keys without a word."""
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{path}: category '{twice[0]}' is there twice. Join the two")
    return dict(pairs)


def _book(path):
    if not path.is_file():
        raise MissingAsset(f"no file {path}. Next: correct the path")
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise MissingAsset(f"{path}: reading a workbook needs openpyxl. Next: pip install openpyxl") from error
    try:
        book = load_workbook(path, read_only=False, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise BadInput(f"{path} is no .xlsx workbook ({error})") from error
    found = []
    for sheet in book.worksheets:
        header, *rows = list(sheet.iter_rows(values_only=True)) or [()]
        for column, category in enumerate(header):
            words = [(n, row[column]) for n, row in enumerate(rows, 2) if row[column] is not None]
            if words and not _text(category):
                raise BadInput(f"{path}, sheet '{sheet.title}': column {column + 1} has words but no name in its first "
                               "row")
            found += [Entry(_text(word), _text(category), _text(sheet.title), "",
                            f"{path}, sheet '{sheet.title}', row {n}") for n, word in words]
    return found, True
