"""What came of the jobs of a sweep: one that fails leaves the others alone, and the end lists which failed and why."""
import textwrap
import traceback
from pathlib import Path

from mammi.files import replacing

FAILED = "failed.txt"  # in a job's folder: its first paragraphs are the reasons, a bug's traceback follows
BUG, LONGEST = "Traceback (most recent call last)", 300


def fail(folder, error, taught=None):
    """Keep in ``folder`` why a job failed: the message ``taught`` to the user, or of a bug the traceback."""
    said = "".join(traceback.format_exception_only(error))
    text = taught or f"{textwrap.shorten(said, LONGEST)}\n\n{''.join(traceback.format_exception(error))}"
    with replacing(Path(folder) / FAILED) as part:
        part.write_text(text.strip() + "\n", encoding="utf-8")


def summary(jobs):
    """Which of ``jobs`` [(overrides, folder)] failed, what they were, and each reason once; empty where none did."""
    failed = {i: _reasons(folder / FAILED) for i, (_, folder) in enumerate(jobs) if (folder / FAILED).is_file()}
    if not failed:
        return ""
    same = set.intersection(*(set(overrides) for overrides, _ in jobs)) if len(jobs) > 1 else set()
    more = " The others are not run again by the same command with skip_done=true."
    lines = [f"{len(failed)} of {len(jobs)} jobs failed; {FAILED} in the folder of each says more."
             + more * (len(failed) < len(jobs))]
    lines += [f"  #{i} {' '.join(o for o in jobs[i][0] if o not in same)}" for i in failed]
    holds = {}
    for i, reasons in failed.items():
        for reason in reasons:
            holds.setdefault(reason, []).append(f"#{i}")
    return "\n".join(lines + [f"{', '.join(who)}: {reason}" for reason, who in holds.items()])


def _reasons(path):
    """The reasons in a ``failed.txt``, each in one line and without the name of our error's class."""
    reasons = []
    for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
        if paragraph.startswith(BUG):
            return [f"a bug: {reason}" for reason in reasons]
        reasons.append(" ".join(paragraph.split()).removeprefix("MissingAsset: ").removeprefix("BadInput: "))
    return reasons


class ListFailures:
    """A callback that Hydra calls by these names (``hydra.callbacks`` in ``conf/config.yaml``); jobs of one process."""

    def __init__(self):
        self.jobs = []

    def on_job_start(self, config, **_):
        (Path(config.hydra.runtime.output_dir) / FAILED).unlink(missing_ok=True)  # of an earlier attempt

    def on_job_end(self, config, **_):
        self.jobs.append((list(config.hydra.overrides.task), Path(config.hydra.runtime.output_dir)))

    def on_multirun_end(self, **_):
        if told := summary(self.jobs):
            raise SystemExit(f"\n{told}")  # an exception of ours would only become a warning of Hydra's

    def _pass(self, **_):
        """What else Hydra calls."""

    on_run_start = on_run_end = on_multirun_start = _pass
