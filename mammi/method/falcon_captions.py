"""Captions for FALCON: the sentences of reports (protocol D.6)."""
from pathlib import Path

import numpy as np

from mammi import openi
from mammi.errors import BadInput, MammiError, MissingAsset, number
from mammi.reports import SECTIONS, captions, read_reports


class Captions:
    """Distinct sentences in first-seen order.

    path   None: the Open-i reports inside the installed torchxrayvision package. Else a text file with a caption a line
           (``captions.txt`` of ``task=concepts`` is one) or any source of reports; ``kind``, ``sections``, ``splits``
           and ``columns`` as in :func:`mammi.reports.read_reports`
    limit  take this many, evenly spread; None: all

    The paper's captions are MIMIC-CXR's reports. :class:`MissingAsset` without ``path`` where ``stand_ins`` is False.
    """

    def __init__(self, path=None, kind=None, sections=SECTIONS, splits=None, columns=None, limit=None, stand_ins=True):
        if limit is not None:
            number("method.captions.limit", limit, 1, whole=True)
        if path is None and not stand_ins:
            raise MissingAsset("FALCON's captions are sentences of the MIMIC-CXR reports, which are not here. Next: "
                               "paths.reports=FOLDER with method=falcon_paper, else method.captions.path=FOLDER (or "
                               "R2Gen's annotation.json, or captions of your own, one a line); or profile=phantom, "
                               "which goes on with Open-i's and says so")
        self.path, self.limit = Path(path).expanduser() if path else None, limit
        self._how = {"kind": kind, "sections": sections, "splits": splits, "columns": columns}

    def load(self):
        """(tuple of texts, a note on whose they are). :class:`MissingAsset` or :class:`BadInput` where there is none.
        """
        try:
            reports = read_reports(self.path or openi.archive(), **self._how)
        except MammiError as error:  # reports do not know who asks for them
            raise type(error)(str(error).replace("concept_set.", "method.captions.")) from error
        found = captions(reports)
        if not found:
            raise BadInput(f"method.captions.path={self.path}: none of its {len(reports)} reports or lines has "
                           "a sentence with a word of three letters. Next: give captions, one a line, or reports")
        n = len(found) if self.limit is None else min(self.limit, len(found))
        whose = self.path.name if self.path else "the Open-i reports (stand-in for MIMIC-CXR's)"
        return (tuple(found[i] for i in np.linspace(0, len(found) - 1, n).round().astype(int)),
                f"captions are {n:,} of the {len(found):,} sentences of {whose}")
