"""Tables beside a folder of images: CSV rows, labels, split lists. Plain text in, teaching errors out."""
import ast
import csv
import io
import json
import re
from pathlib import Path

import numpy as np

from mammi.errors import BadInput, MissingAsset, near
from mammi.probing_set.dicom import years
from mammi.text_files import read_text

UNKNOWN = ("", "nan", "-1", "-1.0")  # -1: 'uncertain' of CheXpert-like tables
NO_FACT = (*UNKNOWN, "unknown")
FLAGS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0, "no": 0.0}


def read(path, option):
    """Text of ``path`` (UTF-8, a byte-order mark and .gz allowed); ``option`` is the setting that named it."""
    if not Path(path).is_file():
        raise MissingAsset(f"{option}={path}: there is no such file. Check the name; relative paths start at the "
                           "image set's folder: probing_set.root, or paths.data for the sets that come with one")
    return read_text(path)


def read_json(path, option):
    """The objects of a JSON file that lists one a line of a table."""
    try:
        records = json.loads(read(path, option))
    except json.JSONDecodeError as error:
        raise BadInput(f"{option}={path} is no JSON file: {error}") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        found = "a list of other things" if isinstance(records, list) else type(records).__name__
        raise BadInput(f"{option}={path}: expected a list of objects, one an image, found {found}")
    return records


def open_table(folder, files):
    """The :class:`Table` of one file or several with the same columns, read one after the other."""
    tables = [Table(Path(folder) / file) for file in ([files] if isinstance(files, str) else files)]
    for table in tables[1:]:
        if table.header != tables[0].header:
            raise BadInput(f"probing_set.csv: {tables[0].path.name} and {table.path.name} have other columns: "
                           f"{', '.join(tables[0].header[:5])} and {', '.join(table.header[:5])}")
        tables[0].rows += table.rows
    return tables[0]


class Table:
    """A CSV file, LF or CRLF: ``header`` (list), ``rows`` (lists as long as the header, fields stripped).

    A header without a comma is separated by semicolons or tabs, as spreadsheets of some languages write them.
    Or a JSON file with a list of objects: their fields, a list of names in brackets, other lists blank.
    """

    def __init__(self, path, option="probing_set.csv"):
        self.path, self.option = Path(path), option
        if self.path.suffix == ".json":
            records = read_json(path, option)
            self.header = list(dict.fromkeys(field for record in records for field in record))
            self.rows = [[_plain(record.get(field)) for field in self.header] for record in records]
            return
        if self.path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            raise BadInput(f"{option}={path} is a spreadsheet: save it as CSV (UTF-8), and give that")
        text = read(path, option)
        first = text.lstrip().partition("\n")[0]
        separator = next((mark for mark in ",;\t" if mark in first), ",")
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [[field.strip() for field in line] for line in lines]
        rows = [row for row in rows if any(row)]
        if len(rows) < 2:
            raise BadInput(f"{option}={path}: a header and at least one row are expected, found {len(rows)} lines")
        self.header, width = rows[0], len(rows[0])
        self.rows = [row[:width] + [""] * (width - len(row)) for row in rows[1:]]
        if long := next((row for row in rows[1:] if any(row[width:])), None):
            raise BadInput(f"{option}={path}: the row of {long[0]} has more fields than the header has columns "
                           f"({width}): put fields that contain {separator!r} in quotes")

    def position(self, column, setting):
        """Index of ``column``, a name or a position (a header may be broken, as in BBox_List_2017.csv)."""
        if isinstance(column, int) and 0 <= column < len(self.header):
            return column
        if column not in self.header:
            raise BadInput(f"{setting}={column}: {self.path.name} has no such column. {near(str(column), self.header)}")
        if (n := self.header.count(column)) > 1:
            raise BadInput(f"{setting}={column}: {self.path.name} has {n} columns of that name: give the position of "
                           f"the one that is meant, the first is {self.header.index(column)}")
        return self.header.index(column)

    def column(self, column, setting):
        """Fields of one column, one per row."""
        at = self.position(column, setting)
        return [row[at] for row in self.rows]


def label_rows(table, label_columns, labels_column, separator, label_names, none, aliases):
    """(names, (rows, L) float32 of 1, 0 and NaN for unknown); (None, None) where no labels are asked for.

    Either ``label_columns`` (fields 1, 0, true, false, yes, no, or blank/-1 for unknown) or ``labels_column``, one
    column or several, whose fields hold names joined by ``separator`` or a list in brackets; see :func:`one_hot`.
    """
    if label_columns and labels_column:
        raise BadInput("give probing_set.label_columns (one column a label) or probing_set.labels_column (names joined "
                       "by a separator), not both")
    if label_columns:
        fields = [table.column(column, "probing_set.label_columns") for column in label_columns]
        values = np.array([[_flag(f, table, column) for f in column_fields]
                           for column, column_fields in zip(label_columns, fields)], np.float32)
        return tuple(aliases.get(column, column) for column in label_columns), values.T
    if labels_column is None:
        return None, None
    columns = [labels_column] if isinstance(labels_column, (str, int)) else list(labels_column)
    found = [[] for _ in table.rows]
    for column in columns:
        for words, field in zip(found, table.column(column, "probing_set.labels_column")):
            words += words_of(field, separator, f"{table.path.name}, column {column}")
    where = f"{table.path.name}, column{'s' * (len(columns) > 1)} {', '.join(map(str, columns))}"
    return one_hot(found, label_names, none, aliases, where)


def one_hot(found, label_names, none, aliases, where):
    """(names, (R, L) float32 of 1 and 0) from R lists of words.

    ``none`` and an empty word mean that nothing is present; ``label_names`` fixes the names and their order, any other
    word is an error that names ``where`` it stands; without them the names are the words in alphabetic order.
    """
    found = [{aliases.get(word, word) for word in words if word and word != none} - {none} for words in found]
    every = sorted(set().union(*found))
    names = tuple(label_names) if label_names else tuple(every)
    strange = [word for word in every if word not in names]
    if strange:
        raise BadInput(f"{where}: {', '.join(strange[:5])} not in probing_set.label_names. {near(strange[0], names)} "
                       "Add the name, or spell it as an alias: "
                       f"'probing_set.aliases={{{strange[0]}: {names[0] if names else '...'}}}'")
    values, at = np.zeros((len(found), len(names)), np.float32), {name: i for i, name in enumerate(names)}
    for row, words in enumerate(found):
        values[row, [at[word] for word in words]] = 1
    return names, values


def _plain(value):
    """A JSON value as a field of a table."""
    if isinstance(value, dict) or isinstance(value, list) and not all(isinstance(entry, str) for entry in value):
        return ""
    return "" if value is None else str(value).strip()


def words_of(field, separator, where):
    """Names of a field, joined by ``separator`` or a list in brackets; ``where`` it stands, for the error."""
    if not field.startswith("["):
        return [word.strip() for word in (field.split(separator) if separator else [field])]
    try:
        words = ast.literal_eval(field)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("not a list of strings")
    except (ValueError, SyntaxError) as error:
        raise BadInput(f"{where}: {field!r} begins like a list and is none; expected names in quotes, "
                       f"['Mass', 'Nodule'], or names joined by probing_set.separator={separator}") from error
    return [word.strip() for word in words]


def _flag(field, table, column):
    if field.lower() in UNKNOWN:
        return np.nan
    if field.lower() in FLAGS:
        return FLAGS[field.lower()]
    raise BadInput(f"{table.path.name}, column {column}: {field!r} is no label; expected 1, 0, true, false, yes, no, "
                   "or blank for unknown")


def read_split_files(files, folder):
    """{image: split name} from {split: path or paths}; the first word of a line is the image, the rest is ignored."""
    split_of = {}
    for split, path in [(split, path) for split, paths in files.items()
                        for path in ([paths] if isinstance(paths, str) else paths)]:
        for line in read(Path(folder) / path, f"probing_set.split_files.{split}").splitlines():
            if not line.strip():
                continue
            image = line.split()[0]
            if split_of.setdefault(image, split) != split:
                raise BadInput(f"{image} is in two split files: {split_of[image]} and {split}")
    return split_of


def read_facts(table, columns, rows, headers):
    """{name: P strings}: what the first row of an image says that says it, else its DICOM header.

    columns  {name: column}
    rows     P lists, the numbers of each image's rows
    headers  P dicts of :func:`mammi.probing_set.dicom.inspect`, None for other files; empty: none is asked
    """
    facts = {}
    for name, column in columns.items():
        fields = table.column(column, f"probing_set.facts.{name}")
        facts[name] = [next((fields[row] for row in own if fields[row].lower() not in NO_FACT), "") for own in rows]
    for name in ("view", "sex", "age"):
        said = [header[name] if header else "" for header in headers]
        if any(said):
            facts[name] = [value or header for value, header in zip(facts.get(name, [""] * len(rows)), said)]
    if "age" in facts:
        facts["age"] = map(years, facts["age"])
    return {name: tuple(values) for name, values in facts.items()}


def read_sentences(table, rows, columns):
    """P tuples of different sentences out of ``columns``, from the P ``rows`` as above."""
    fields = [table.column(column, "probing_set.text_columns") for column in columns]
    return tuple(tuple(dict.fromkeys(sentence for row in own for column in fields
                                     for sentence in re.split(r"(?<=[.?!])\s+", column[row]) if sentence))
                 for own in rows)
