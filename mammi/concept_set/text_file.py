"""Your own words: a text file, or a table that puts each word into a category."""
import csv
from pathlib import Path

from mammi.concept_set.base import ConceptSet, clean, word_list
from mammi.errors import BadInput
from mammi.text_files import lines, read_text
from mammi.types import Concepts

COLUMNS = ("concept", "category")


class TextFile(ConceptSet):
    """One word or phrase a line (``.gz`` is unzipped); with the suffix .csv, a table with columns concept, category.

    The column ``category`` may be left out; other columns are ignored. UTF-8. ``name`` defaults to the file's.
    """

    def __init__(self, path, name=None, source=None):
        if path is None:
            raise BadInput("this concept set is read from a file of yours and none was given. "
                           "Next: concept_set.path=FILE, one word or phrase a line")
        self.path = Path(path).expanduser()
        self.name = name or self.path.name.split(".")[0]
        self.source = source or f"file {self.path.name}"

    def load(self, cache=None):
        if self.path.name.lower().removesuffix(".gz").endswith(".csv"):
            words, groups, dropped = _table(self.path)
        else:
            (words, dropped), groups = word_list(self.path), ()
        return Concepts(self.name, words, groups, self.source, dropped)


def packaged(file, name, source):
    """A word list that ships with mammi: ``file`` beside this module."""
    return TextFile(Path(__file__).parent / file, name, source)


def _table(path):
    rows = csv.DictReader(lines(read_text(path)))
    header = [column.strip() for column in rows.fieldnames or ()]
    if COLUMNS[0] not in header:
        raise BadInput(f"{path}: the first line is {', '.join(header) or 'empty'}; expected the columns "
                       "concept,category (or concept alone). A plain list of words wants the suffix .txt")
    rows.fieldnames = header
    categories, words = {}, []
    for row in rows:
        word = " ".join((row["concept"] or "").split())
        words.append(word)
        group = " ".join((row.get("category") or "").split())
        if word and "category" in header and not group:
            raise BadInput(f"{path}, line {rows.line_num}: concept '{word}' has no category. "
                           "Give it one, or leave the column out")
        if categories.setdefault(word, group) != group:
            raise BadInput(f"{path}, line {rows.line_num}: concept '{word}' is in the categories "
                           f"'{categories[word]}' and '{group}'. Keep one of the lines")
    words, dropped = clean(words, path)
    return words, tuple(categories[word] for word in words) if "category" in header else (), dropped
