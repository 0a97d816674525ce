"""What both noun lists share: where the reports lie, and which uses are negated."""
import logging
from pathlib import Path

from mammi import openi
from mammi.concept_set.base import ConceptSet
from mammi.errors import BadInput
from mammi.reports import SECTIONS, content, read_reports
from mammi.tagging import versions

log = logging.getLogger(__name__)
EMPTY_NAMED = 5  # reports without text that are named

# A small NegEx: the SCOPE words after one of CUES are denied. A LIST word begins the count anew, an END closes it.
CUES = frozenset("no,not,without,never,neither,denies,absence of,negative for,free of,free from,clear of,rather than"
                 .split(","))
LIST = frozenset((",", "or", "nor"))
# "no change in the effusion", "does not exclude pneumonia": there is, or may be, one
END = frozenset(". ; : ? ! but however although though except which while change changes increase decrease difference "
                "exclude excluded excluding".split())
SCOPE = 6


class FromReports(ConceptSet):
    """A concept set out of reports: the packaged Open-i ones, or those at ``path``, as ``read_reports`` takes them."""

    suffix = "_nouns"  # of the name it gets from its reports

    def __init__(self, path=None, kind=None, sections=SECTIONS, splits=None, columns=None, name=None):
        self.path = Path(path).expanduser() if path else None
        self.name = name or (f"{self._what()} of {self.path.name}" if self.path else f"openi{self.suffix}")
        self._how = {"kind": kind, "sections": _list(sections), "splits": None if splits is None else _list(splits),
                     "columns": {key: value for key, value in (columns or {}).items() if value is not None}}

    def reports(self):
        return read_reports(self.path or openi.archive(), **self._how)

    def _texts(self):
        """Texts of the reports; those without are named in the log."""
        reports = self.reports()
        empty = [report.id for report in reports if not report.text]
        if not reports:
            raise BadInput(f"{self.path} holds no report. Expected at least one line or row of text")
        if len(empty) == len(reports):
            raise BadInput(f"{self.path or self.name}: there is no text in any of the {len(reports)} reports. In "
                           f"Open-i's .xml files it is looked for under {' and '.join(self._how['sections'])} "
                           "(concept_set.sections)")
        if empty:
            log.log(logging.WARNING if self.path else logging.INFO, "%d of %d reports have no text: %s%s", len(empty),
                    len(reports), ", ".join(empty[:EMPTY_NAMED]), " ..." * (len(empty) > EMPTY_NAMED))
        log.info("looking for nouns in %s reports (once)", f"{len(reports):,}")
        return [report.text for report in reports]

    def _made_from(self):
        """What the words depend on, for the cache: the reports' content, how they are read, the tagger."""
        return {"reports": content(self.path or openi.archive()), **self._how, "tagger": versions()}

    def _source(self):
        return (f"{self._what()} of the reports in {self.path.name}" if self.path else
                f"{self._what()} of the Open-i reports (Indiana University, CC BY-NC-ND 4.0) in torchxrayvision")

    def _what(self):
        return self.suffix.strip("_").replace("_", " ")


def _list(value):
    return [value] if isinstance(value, str) else list(value)


def negated(words):
    """Tuple of bool: which of a sentence's ``words`` (lower case, signs among them) are denied by what stands before.

    >>> negated("no effusion but a nodule".split())
    (False, True, False, False, False)
    """
    left, denied = 0, []
    for before, word, after in zip(["", *words], words, [*words[1:], ""]):
        cue = not CUES.isdisjoint((word, f"{word} {after}", f"{before} {word}"))
        if cue or left and word in LIST:
            left = SCOPE
        elif word in END:
            left = 0
        inside = left > 0 and not cue and word.isalpha() and word not in LIST
        denied.append(inside)
        left -= inside
    return tuple(denied)
