"""``python -m mammi verify``: the one run behind a row of every table, beside its published numbers."""
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput, number
from mammi.finished import read as read_finished
from mammi.manifest import Manifest
from mammi.report import read_run
from mammi.tables.rows import tables
from mammi.tables.runs import latest, other_than_the_paper, unlike
from mammi.tables.wording import HEADINGS

N = 14  # classes of NIH ChestX-ray14
ROUNDING = .00005  # the paper prints four decimals; hits and F1 are fractions of 14 neurons, so nothing else may differ
COSINE_TOLERANCE = .005  # encoders in another precision or version move a cosine by less
MAKE = ("python run.py experiment=table1 concept_set=mimic_nouns profile=paper paths.data=FOLDER and the other files "
        "that python -m mammi assets profile=paper names")


class Check(NamedTuple):
    metric: str
    published: float
    obtained: float | None
    tolerance: float

    @property
    def passed(self):
        return self.obtained is not None and abs(self.obtained - self.published) <= self.tolerance + 1e-9


def main(folder=None, outputs="outputs", cosine_tolerance=COSINE_TOLERANCE):
    """Print a line per number; True where all pass. Without ``folder`` the newest such run below ``outputs``."""
    from rich.console import Console
    from rich.table import Table

    number("--cosine-tolerance", cosine_tolerance, 0, 1)
    run = _run(Path(folder)) if folder else _latest(Path(outputs))
    found = checks(run, cosine_tolerance)
    shown = Table("number", "published", "obtained", "tolerance", "", title=str(run.folder), title_justify="left",
                  header_style="bold", box=None)
    for check in found:
        what = "n/a" if check.obtained is None else f"{check.obtained:.4f}"
        shown.add_row(HEADINGS[check.metric], f"{check.published:.4f}", what, f"± {check.tolerance:g}",
                      "[green]pass[/]" if check.passed else "[red]FAIL[/]")
    console, passed = Console(highlight=False), all(check.passed for check in found)
    console.print(shown)
    for check in found:
        if check.obtained is None:
            console.print(f"{HEADINGS[check.metric]}: {run.metrics.get(f'{check.metric}_note', 'not computed')}",
                          markup=False)
    console.print(f"gate: {run.metrics['gate']} (of the dissector's weights; gate.csv beside the run says why)")
    hits = round(run.metrics["hit"] * N)
    console.print(f"{hits} of {N} neurons hit. {'All numbers pass.' if passed else 'NOT the published numbers.'}")
    return passed


def checks(run, cosine_tolerance=COSINE_TOLERANCE):
    """[:class:`Check`] of the four numbers; :class:`BadInput` where ``run`` is not the paper's configuration."""
    if why := _not_the_paper(run):
        raise BadInput(f"{run.folder}: {why}. Only the paper's own configuration can be compared with its numbers. "
                       f"Next: {MAKE}")
    published = tables()["table1"].rows["MIMIC nouns"].published
    return [Check(metric, float(of.value), run.metrics.get(metric),
                  cosine_tolerance if metric.startswith("cos_") else ROUNDING) for metric, of in published.items()]


def _not_the_paper(run):
    """Why ``run`` is not the run behind the row that all tables share, or None."""
    choices, names = run.about.get("choices", {}), run.about.get("names", {})
    if run.kind != "real":
        return "its images are synthetic"
    if choices.get("profile") != "paper":
        return f"it is a run of profile={choices.get('profile')}"
    for group, option in _parts().items():
        if choices.get(group) != option:
            return f"{group}={choices.get(group)}, the paper's is {group}={option}"
    if why := other_than_the_paper(run):
        return why
    if names.get("layer") != "final" or names.get("activation") != "logit":
        return f"it is of layer {names.get('layer')} as {names.get('activation')}, the paper's is final as logit"
    if more := unlike(run, (*_parts(), "target.layer", "target.activation")):
        return f"{more} is no setting of the paper's run"
    if run.metrics.get("n_named") != N:
        return f"it has {run.metrics.get('n_named')} named neurons, the paper's {N}"
    if run.metrics.get("hit") is None:
        return "it has no hit rate"
    return None


def _parts():
    """{group: option} of the paper's run."""
    needs = dict(need.split("/") for need in Manifest().options["profile"]["paper"].needs)
    return needs | {"selection": "adaptive", "method": "mammi", "evaluation": "final_layer"}


def _run(folder):
    read_finished(folder)  # tells what is wrong with a folder that is no finished run
    return read_run(folder, folder.name)


def _latest(outputs):
    if not outputs.is_dir() or not (run := latest(outputs, lambda run: _not_the_paper(run) is None)):
        raise BadInput(f"no finished run of the paper's configuration below {outputs}. Next: {MAKE}, then make "
                       "verify-paper; or give a run: make verify-paper RUN=FOLDER")
    return run
