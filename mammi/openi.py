"""Sentences of the Open-i (Indiana University) chest X-ray reports, and which finding each one asserts.

The reports lie inside the torchxrayvision package (CC BY-NC-ND 4.0) and are read from there at run time; none of
their text is part of this repository. The matching is a keyword search with a negation filter, not a labeller: it
is good enough to collect phrasings of a finding, and not to measure how often a finding occurs.
"""
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from mammi.errors import MissingAsset
from mammi.reports import read_reports

NO_FINDING = "No Finding"
DEVICES = ("Pacemaker", "Sternotomy", "Catheter", "Tube")

# What names a finding (the 14 NIH names in the spelling and order of the MAMMI list) or a device.
KEYWORDS = {label: re.compile(pattern, re.IGNORECASE) for label, pattern in {
    "Atelectasis": r"\batelecta",
    "Cardiomegaly": r"\bcardiomegal|\bcardiac enlargement|"
                    r"\benlarge(d|ment of the)( \w+)? (heart|cardiac|cardio)|"
                    r"\b(heart|cardiac|cardiomediastinal)( \w+){0,4} enlarged",
    "Effusion": r"(?<!pericardial )\beffusion|\bhydrothora|\bpleural fluid",
    "Infiltration": r"\binfiltrat",
    "Mass": r"\bmass(es|like)?\b(?! effect)",
    "Nodule": r"\bnodul",
    "Pneumonia": r"\b(broncho)?pneumoni(a|as|c)\b",
    "Pneumothorax": r"\b(hydro)?pneumothora",
    "Consolidation": r"\bconsolidat",
    "Edema": r"\bo?edema",
    "Emphysema": r"(?<!subcutaneous )\bemphysem",
    "Fibrosis": r"\bfibro(sis|tic)|\bscar(s|red|ring)?\b",
    "Pleural thickening": r"\bpleural( \w+){0,3} thicken|\bthicken\w*( \w+){0,4} pleura",
    "Hernia": r"\b(?<!inguinal )herni",
    "Pacemaker": r"\bpacemaker|\bpacer\b|\bdefibrillator|\bicd\b",
    "Sternotomy": r"\bsternotom|\bsternal wire",
    "Catheter": r"\bcatheter|\bpicc\b|\bcentral (venous )?line|\bport-?a-?cath|\bmediport",
    "Tube": r"\btubes?\b",
}.items()}

# A sentence with one of these asserts nothing safely: dropped where it names a finding.
NEGATION = re.compile(
    r"\b(no|non|not|without|negative|free|den(y|ies)|absent|absence|resol\w+|clear(ed|ing)?|normal\w*|unremarkable|"
    r"never|neither|nor|rather than|remov(al|ed)|unlikely|less likely|exclude\w*|rule out|evaluate|histor(y|ical)|"
    r"regress\w*|upper limits|borderline)\b", re.IGNORECASE)

# A sentence with one of these, and no word of finding or device, speaks of a chest without findings.
NORMAL = re.compile(
    r"\bnormal (chest|heart|cardi|examination)|\blungs?( \w+){0,4} (are|is|appear) clear|\bclear (lung|bilateral)|"
    r"\bno (acute|active|evidence of (acute|active))( (?!bon|oss)\w+)? "
    r"?(cardio|pulmonary|disease|abnormal|finding|process|chest)|"
    r"\b(heart|cardi)\w*( \w+){0,6} (normal|unremarkable)|\bno (focal )?airspace (disease|abnormal)",
    re.IGNORECASE)


def archive():
    """Path of the report archive in the installed torchxrayvision package, which is not imported for it."""
    spec = find_spec("torchxrayvision")
    folders = spec.submodule_search_locations if spec else []
    for folder in folders:
        path = Path(folder) / "data" / "NLMCXR_reports.tgz"
        if path.is_file():
            return path
    raise MissingAsset("the Open-i reports (NLMCXR_reports.tgz) come inside the torchxrayvision package, which is not "
                       "installed or lacks them. Next: pip install 'torchxrayvision>=1.5.7,<1.6'")


@lru_cache(maxsize=2)
def reports(path=None):
    """{report id: FINDINGS and IMPRESSION text} in order of id; ``path`` another copy of the .tgz of XML files."""
    return {report.id: " ".join(report.text.split()) for report in read_reports(path or archive(), "openi")}


@lru_cache(maxsize=2)
def sentences(path=None):
    """Unique sentences of all reports, first-seen order; de-identification marks (XXXX) are left in place."""
    found = {}
    for text in reports(path).values():
        text = re.sub(r"(?<!\w)\d{1,2}\.\s+", "", text)  # enumerated impressions: "1. ... 2. ..."
        for sentence in re.split(r"(?<=[.?!])\s+", text):
            sentence = sentence.strip()
            if re.search(r"[A-Za-z]{3}", sentence):
                found.setdefault(sentence)
    return tuple(found)


def findings(sentence):
    """Labels that ``sentence`` names, negated or not: a frozenset of keys of :data:`KEYWORDS`."""
    return frozenset(label for label, pattern in KEYWORDS.items() if pattern.search(sentence))


@lru_cache(maxsize=2)
def by_findings(path=None):
    """{frozenset of labels: sentences that assert exactly these}.

    The key ``{"No Finding"}`` holds sentences about a normal chest, the empty key neutral ones (about neither a
    finding nor normality). Left out: a finding under negation, hedged as absent or as history; sentences with
    de-identification marks; shorter than 12 or longer than 160 characters. Use a sentence for an image whose
    labels include the whole key.
    """
    groups = {}
    for sentence in sentences(path):
        if "XXX" in sentence.upper() or not 12 <= len(sentence) <= 160:
            continue
        named, negated = findings(sentence), NEGATION.search(sentence)
        if named and negated:
            continue
        if not named and NORMAL.search(sentence):
            named = frozenset([NO_FINDING])
        elif not named and negated:
            continue
        groups.setdefault(named, []).append(sentence)
    return {key: tuple(group) for key, group in groups.items()}


def by_label(path=None):
    """({label: sentences that assert this label and no other}, neutral sentences).

    Labels: the 14 NIH findings, :data:`DEVICES`, and ``No Finding``; a label without a sentence has an empty tuple.
    """
    groups = by_findings(path)
    single = {label: groups.get(frozenset([label]), ()) for label in (*KEYWORDS, NO_FINDING)}
    return single, groups.get(frozenset(), ())
