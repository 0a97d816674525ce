"""Which reader a source needs, and which of its reports are asked for."""
from pathlib import Path, PurePosixPath

from mammi.errors import BadInput, MissingAsset, near
from mammi.files import digest
from mammi.reports.base import KINDS, SECTIONS
from mammi.reports.separate import ARCHIVES, ENDINGS, parse, read_separate
from mammi.reports.table import read_annotation, read_lines, read_table
from mammi.text_files import read_text

SUFFIXES = {".txt": "lines", ".csv": "csv", ".tsv": "csv", ".json": "r2gen", ".xml": "openi"}  # of a file by itself


def read_reports(path, kind=None, sections=SECTIONS, splits=None, columns=None):
    """Tuple of :class:`Report`: a table's in its own order, those of separate files by id, shorter ids first.

    path      file, folder or archive (.zip, .tar, .tgz ...)
    kind      a key of :data:`KINDS`; None: by the suffix, of a folder or archive by the names of the files in it
    sections  of Open-i and MIMIC-CXR; a MIMIC-CXR report in which none of them has text gives its last paragraph
    splits    names, such as ["test"]: only reports of these; None: all
    columns   of a table: {"text": column or several, "id": ..., "patient": ..., "split": ...}; what is left out is
              looked for under a usual name

    Rows alike in id, text, patient and split are one report (R2Gen lists one per image). A line's end in a .txt
    report ends a sentence; MIMIC-CXR's are wrapped lines, which are joined again.
    """
    path = _there(path)
    if kind is not None and kind not in KINDS:
        raise BadInput(f"concept_set.kind={kind} is no kind of reports. {near(str(kind), KINDS)}")
    columns = {key: column for key, column in (columns or {}).items() if column is not None}
    sections = tuple(name.upper() for name in ([sections] if isinstance(sections, str) else sections))
    if path.is_dir() or path.name.lower().endswith(ARCHIVES):
        reports = read_separate(path, kind, sections)
    else:
        kind = kind or _kind(path)
        if kind == "csv":
            reports = read_table(path, columns)
        elif kind in ENDINGS:
            reports = [parse(path.name, read_text(path), kind, sections)]
        else:
            reports = {"lines": read_lines, "r2gen": read_annotation}[kind](path)
    if columns and kind != "csv":
        raise BadInput(f"concept_set.columns.{next(iter(columns))} is for tables, and {path} is not read as one. Next: "
                       f"leave it out{', or concept_set.kind=csv' * path.is_file()}")
    reports = tuple(dict.fromkeys(reports))
    return reports if splits is None else _of(splits, reports, path)


def content(path):
    """Hash of all that :func:`read_reports` goes by at ``path``: bytes, suffixes, names below a folder, not its own."""
    path = _there(path)
    if not path.is_dir():
        return digest([suffix.lower() for suffix in path.suffixes], path.read_bytes())
    return digest(*((file.relative_to(path).as_posix(), digest(file.read_bytes())) for file in sorted(path.rglob("*"))
                    if file.suffix.lower() in ENDINGS.values() and file.is_file()))


def _there(path):
    path = Path(path).expanduser()
    if not path.exists():
        raise MissingAsset(f"no reports at {path}. Next: concept_set.path=PATH, one of: {'; '.join(KINDS.values())}")
    return path


def _kind(path):
    suffix = PurePosixPath(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in SUFFIXES:
        raise BadInput(f"{path.name} does not say by its suffix what reports it holds. Next: concept_set.kind= one of "
                       f"{', '.join(KINDS)}")
    return SUFFIXES[suffix]


def _of(splits, reports, path):
    splits = [splits] if isinstance(splits, str) else list(splits)
    if not splits:
        raise BadInput("concept_set.splits=[]: no split is named. Next: name one, or null for all reports")
    there = list(dict.fromkeys(report.split for report in reports if report.split))
    if not there:
        raise BadInput(f"concept_set.splits={splits}: the reports in {path} name no split. Next: leave it out, or name "
                       "a table's column: concept_set.columns.split=COLUMN")
    for split in splits:
        if split not in there:
            raise BadInput(f"concept_set.splits={splits}: {path} has no split {split!r}. {near(str(split), there)}")
    return tuple(report for report in reports if report.split in splits)
