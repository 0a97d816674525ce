"""A result is known by its content: what already has one need not be computed again (``skip_done=true``)."""
import logging
import os
import shutil
from functools import cache
from pathlib import Path

from mammi import finished
from mammi.files import digest, hash_of
from mammi.report import NO_EFFECT, read_object

log = logging.getLogger(__name__)
APART = (*NO_EFFECT, "name", "profile", "rows")  # top keys of the config that say nothing about one job's numbers
# Parts of a run that have no fingerprint of their own: their code counts.
CODE = ("method", "evaluation", "evidence.py", "matching.py", "selection.py", "lemma.py", "synonyms.py", "synonyms.yaml")
OF_A_JOB = (".*", "run.log", "run.json", "failed.txt", "metrics.json", "wandb*")  # what stays with the job that ran


def content(settings, target, probing_set, concepts, dissector):
    """Digest of all that an annotation depends on; None where ``settings`` is.

    settings  the config, interpolations resolved, without :data:`APART`. A file that it names counts by its size and
              time, too
    """
    if settings is None:
        return None
    labels = [] if probing_set.labels is None else [probing_set.labels]
    return digest("content 1", _code(), settings, _files(settings), target.fingerprint(target.layer), list(probing_set.keys),
                  list(probing_set.label_names), *labels, list(concepts.words), dissector.fingerprint)


def find(folder, content):
    """The first folder below ``folder`` with a finished result of ``content``, or None.

    One that is not whole, or that is damaged, is named in the log and not taken.
    """
    for path in sorted(Path(folder).rglob("run.json")):
        try:
            about = read_object(path)
        except ValueError:
            continue  # whose it is cannot be told
        if about.get("content") != content:
            continue
        try:
            finished.read(path.parent)
        except ValueError as error:
            log.warning("not taken although it is of this content: %s", error)
        else:
            return path.parent
    return None


def take(folder, out):
    """Copy the result in ``folder`` into the run folder ``out``, whose ``run.json`` keeps its own name and choices and
    says by ``copied_from`` where the numbers were computed."""
    log.info("Nothing to compute: %s has the same content, its results are copied", folder)
    if folder.resolve() == out.path.resolve():
        return
    shutil.copytree(folder, out.path, ignore=shutil.ignore_patterns(*OF_A_JOB), dirs_exist_ok=True)
    about = read_object(folder / "run.json")
    out.json("run.json", {"copied_from": str(folder)} | about | out.identity)
    out.json("metrics.json", read_object(folder / "metrics.json"))


@cache
def _code():
    """{path: sha256} of :data:`CODE`."""
    here = Path(__file__).parent
    files = [file for name in CODE for file in ([here / name] if "." in name else sorted((here / name).rglob("*.py")))]
    return {file.relative_to(here).as_posix(): hash_of(file) for file in files}


def _files(value):
    """[(path, size, time)] of the files among the texts in a nested ``value``; folders count as being there."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for one in value for found in _files(one)]
    if not isinstance(value, str) or not value or not os.path.exists(value):
        return []
    about = os.stat(value)
    return [(value, about.st_size, about.st_mtime_ns) if os.path.isfile(value) else (value,)]
