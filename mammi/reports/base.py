"""What a report is, and the kinds of sources."""
from typing import NamedTuple

SECTIONS = ("FINDINGS", "IMPRESSION")
KINDS = {"text": "a folder or archive of .txt files, a report each",
         "lines": "a .txt file with a report a line",
         "csv": "a .csv or .tsv table with a column of text",
         "openi": "a folder or archive of Open-i .xml files",
         "mimic": "MIMIC-CXR, p10/p10000032/s50414267.txt in a folder or archive",
         "r2gen": "R2Gen's annotation.json"}


class Report(NamedTuple):
    """``text``: a line per section or paragraph, "" where there is none; ``patient``, ``split``: "" where not known."""

    id: str
    text: str
    patient: str = ""
    split: str = ""
