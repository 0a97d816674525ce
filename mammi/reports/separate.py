"""Reports that are a file each, in a folder or archive: plain text, Open-i's XML, the MIMIC-CXR layout."""
import re
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from lzma import LZMAError
from pathlib import PurePosixPath
from xml.etree import ElementTree

from mammi.errors import BadInput, near
from mammi.reports.base import KINDS, SECTIONS, Report
from mammi.text_files import decode

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
ENDINGS = {"text": ".txt", "mimic": ".txt", "openi": ".xml"}
MIMIC = re.compile(r"(?:^|/)(?:(p\d{8})/)?(s\d{8})\.txt$")
HEADING = re.compile(r"^[ \t]*([A-Z][A-Z /()&,-]*):", re.M)  # "FINDINGS:", "FINDINGS AND IMPRESSION:"
BLANK_LINE = re.compile(r"\n\s*\n")
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError)
LOCKED = (RuntimeError, NotImplementedError)                 # zipfile's, of a password or an unknown compression
HIDDEN = (".", "__MACOSX")                                   # what macOS and editors leave behind


def read_separate(path, kind, sections):
    """The reports below ``path``, ordered by id, shorter ids first. Ids are names without suffix, or whole paths
    where two files share a name."""
    if kind not in (None, *ENDINGS):
        raise BadInput(f"{path} is a folder or archive, and concept_set.kind={kind} is {KINDS[kind]}. Next: give the "
                       f"file itself, or a kind of {', '.join(ENDINGS)}")
    with _files(path) as files:
        kind = kind or _kind(files, path)
        names = [name for name in files if name.lower().endswith(ENDINGS[kind])]
        if kind == "mimic":
            names = [name for name in names if MIMIC.search(name)] or names
        if not names:
            raise BadInput(f"{path} holds 0 reports: no {ENDINGS[kind]} file, which concept_set.kind={kind} needs")
        texts = [decode(files[name](), name) for name in names]
    for section in sections if kind != "text" else ():
        if section not in SECTIONS and not any(section.removesuffix("S") in text.upper() for text in texts):
            raise BadInput(f"concept_set.sections: no report in {path} has a section {section}. "
                           f"{near(section, SECTIONS)}")
    reports = [parse(name, text, kind, sections) for name, text in zip(names, texts)]
    if len({report.id for report in reports}) < len(reports):
        reports = [report._replace(id=name.rsplit(".", 1)[0]) for name, report in zip(names, reports)]
    return sorted(reports, key=lambda report: (len(report.id), report))


def parse(name, text, kind, sections):
    """The report in the one file ``name``."""
    if kind == "openi":
        return Report(PurePosixPath(name).stem, _openi(name, text, sections))
    found = MIMIC.search(name) if kind == "mimic" else None
    patient, study = found.groups() if found else (None, None)
    return Report(study or PurePosixPath(name).stem, _mimic(text, sections) if kind == "mimic" else text.strip(),
                  patient or "")


@contextmanager
def _files(path):
    """{name: function that reads its bytes} of what is below ``path``, in the order in which it is fast to read."""
    try:
        if path.is_dir():
            yield _visible({file.relative_to(path).as_posix(): file.read_bytes
                            for file in sorted(path.rglob("*")) if file.is_file()})
        elif path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                yield _visible({name: partial(archive.read, name) for name in archive.namelist()})
        else:
            with tarfile.open(path) as archive:
                yield _visible({member.name: partial(_bytes, archive, member)
                                for member in archive if member.isfile()})
    except BROKEN as error:
        kind = "a folder that can be read" if path.is_dir() else "a whole archive"
        raise BadInput(f"{path} is not {kind}: {error}. Next: fetch it again") from error
    except LOCKED as error:
        raise BadInput(f"{path} cannot be unpacked: {error}. Next: unpack it yourself, then give the folder") from error


def _bytes(archive, member):
    return archive.extractfile(member).read()


def _visible(files):
    return {name: read for name, read in files.items()
            if not any(part.startswith(HIDDEN) for part in PurePosixPath(name).parts)}


def _kind(names, path):
    if any(MIMIC.search(name) for name in names):
        return "mimic"
    texts, xmls = (sum(name.lower().endswith(ending) for name in names) for ending in (".txt", ".xml"))
    if texts and xmls:
        raise BadInput(f"{path} holds {texts} .txt and {xmls} .xml files. Next: say which are the reports: "
                       "concept_set.kind=text or concept_set.kind=openi")
    if not texts and not xmls:
        there = ", ".join(sorted(names)[:5]) or "nothing"
        raise BadInput(f"{path} holds 0 reports: no .txt and no .xml file. There is {there}. Next: concept_set.path= "
                       "the folder that holds them, or the .csv or .json file itself")
    return "text" if texts else "openi"


def _openi(name, text, sections):
    try:
        parts = ElementTree.fromstring(text).iter("AbstractText")
    except ElementTree.ParseError as error:
        raise BadInput(f"report {name} is not XML: {error}. Next: correct it or take it out") from error
    texts = (" ".join((part.text or "").split()) for part in parts if (part.get("Label") or "").upper() in sections)
    return "\n".join(filter(None, texts))


def _mimic(text, sections):
    """Text under headings in capitals that name one of ``sections``, else the last paragraph; a line a paragraph."""
    marks = list(HEADING.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    wanted = [text[mark.end():end] for mark, end in zip(marks, ends)
              if any(section.removesuffix("S") in mark[1] for section in sections)]
    if not "".join(wanted).strip():
        wanted = [HEADING.sub("", BLANK_LINE.split(text.strip())[-1])]
    paragraphs = (" ".join(part.split()) for section in wanted for part in BLANK_LINE.split(section))
    return "\n".join(filter(None, paragraphs))
