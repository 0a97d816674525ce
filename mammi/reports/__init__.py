"""Radiology reports wherever they lie: one reader for folders, archives, tables, Open-i, MIMIC-CXR and R2Gen.

Concept sets take their nouns from them, FALCON its captions. What a source calls a report, an id or a section is
decided here and nowhere else.
"""
from mammi.reports.base import KINDS, SECTIONS, Report
from mammi.reports.read import content, read_reports
from mammi.reports.words import STOP_WORDS, captions, plain, sentences

__all__ = ["KINDS", "SECTIONS", "STOP_WORDS", "Report", "captions", "content", "plain", "read_reports",
           "sentences"]
