"""A result is known by its content: what already has one need not be computed again (``skip_done=true``)."""
import logging
import os
import shutil
from pathlib import Path

from mammi import finished
from mammi.files import digest
from mammi.report import NO_EFFECT, read_object
from mammi.sources import code

log = logging.getLogger(__name__)
# Top keys of the config that say nothing about one job's numbers; the task is always annotate.
APART = (*NO_EFFECT, "name", "profile", "rows", "task", "explainer")
OF_A_JOB = (".*", "run.log", "run.json", "failed.txt", "metrics.json", "wandb*")  # what stays with the job that ran


def content(settings, target, probing_set, concepts, dissector):
    """Digest of all that an annotation depends on; None where ``settings`` is.

    settings  the config, interpolations resolved, without :data:`APART`. Files that it names count by size and time,
              parts (``_target_``) by their code
    """
    if settings is None:
        return None
    labels = [] if probing_set.labels is None else [probing_set.labels]
    return digest("content 1", settings, *_named(settings), target.fingerprint(target.layer), list(probing_set.keys),
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


def _named(settings):
    """What ``settings`` name: [(path, size, time)] of files (of folders, that they are there), and the parts' code."""
    texts = list(_texts(settings))
    there = [(text, os.stat(text)) for _, text in texts if text and os.path.exists(text)]
    files = [(text, about.st_size, about.st_mtime_ns) if os.path.isfile(text) else (text,) for text, about in there]
    return files, code(["mammi.evidence", *(text for key, text in texts if key == "_target_")])


def _texts(value, key=None):
    """(key, text) of the texts in nested dicts and lists."""
    if isinstance(value, str):
        yield key, value
    for name, one in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from _texts(one, name)
