"""Run folders -> tables: what differs between the runs, and their key numbers with intervals (Markdown, CSV).

Runs on synthetic and on real images never share a table.
"""
import json
import logging
import re
from pathlib import Path
from types import NoneType
from typing import NamedTuple

from mammi.errors import BadInput
from mammi.files import replacing
from mammi.types import NOT_CHECKED

log = logging.getLogger(__name__)
KINDS = {False: "real", True: "synthetic"}
HEADINGS = {"real": "Real images", "synthetic": "Synthetic images: nothing here is a clinical result"}
# Settings that no number depends on.
NO_EFFECT = ("hydra", "paths", "tracking", "device", "batch_size", "offline", "skip_done")
KEY_METRICS = ("hit", "hit_ceiling", "hit_lemma", "hit_synonym", "hit_seen", "hit_withheld", "f1", "cos_",
               "cosy_n", "cosy_coverage", "cosy_auc", "cosy_mad", "cosy_regret", "cosy_rank_median",
               "accuracy", "macro_f1", "auroc", "auroc_", "target_less_", "concept_accuracy", "rule_fidelity",
               "rule_coverage", "rule_length", "saliency_mass", "mass", "chance", "mass_over_chance", "mass_actmap",
               "mass_less_actmap", "rank", "pointing", "drop", "drop_actmap", "faithfulness", "entropy", "gini", "ms")
CONTEXT = ("images", "n_explained", "n_truth", "n_neurons", "purity", "images_selected_median",
           "unique_all", "unique_top1", "n_empty", "n_dead")
EXTRAS = ("_se", "_low", "_high", "_note", "_name")  # what a run keeps beside a metric
DEFAULT = "default"
GATE = "gate"  # the verdict on the dissector: a column of every table of runs with one
SETTING_WIDTH = 22  # columns of the terminal; longer names are wrapped


class Run(NamedTuple):
    """One finished run: ``path`` below the reported folder, ``settings`` {key: text}, ``about`` its run.json."""

    path: str
    kind: str
    settings: dict
    metrics: dict
    folder: Path
    about: dict


def main(folder):
    """Print the tables of all finished runs below ``folder``; write ``report.md`` and ``report.csv`` into it.

    Where there are both kinds of images the CSVs are ``report_real.csv`` and ``report_synthetic.csv``.
    """
    from rich.console import Console

    folder, console = Path(folder), Console()
    runs, left_out = read(folder)
    parts = [f"# {folder.resolve().name}"]
    kinds = [kind for kind in KINDS.values() if any(run.kind == kind for run in runs)]
    for kind in kinds:
        some = [run for run in runs if run.kind == kind]
        shown, same, notes = table(some), _same(some), _notes(some)
        parts += [f"## {HEADINGS[kind]}", f"Same in all rows: {same}." if same else "", to_markdown(shown),
                  "\n".join(f"- {note}" for note in notes)]
        _print(console, HEADINGS[kind], shown, _shown(some))
        for line in [f"Same in all rows: {same}."] * bool(same) + notes:
            console.print(line, highlight=False, markup=False)
    if left_out:
        parts += ["## Left out", "\n".join(f"- {line}" for line in left_out)]
    _write(folder / "report.md", "\n\n".join(filter(None, parts)) + "\n")
    names = {kind: "report.csv" if len(kinds) == 1 else f"report_{kind}.csv" for kind in kinds}
    for stale in {"report.csv", "report_real.csv", "report_synthetic.csv"} - set(names.values()):
        (folder / stale).unlink(missing_ok=True)
    for kind, name in names.items():
        _write(folder / name, _frame([run for run in runs if run.kind == kind]).to_csv(index=False))
    console.print(f"Written: {', '.join(['report.md', *names.values()])} in {folder}", soft_wrap=True)


def rows(folder):
    """DataFrame with one row per finished run below ``folder``: run, data (``real``/``synthetic``), settings, metrics.

    A run whose files are damaged is left out and named in the log. :class:`BadInput` where no run is finished.
    """
    return _frame(read(folder)[0])


def read(folder):
    """([:class:`Run`] in natural order, [why a folder was left out]) of everything below ``folder``."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; give one that holds runs, such as outputs/run")
    begun = {path.parent for path in folder.rglob(".hydra")} | {path.parent for path in folder.rglob("metrics.json")}
    runs, left_out = [], []
    for path in sorted(begun, key=_natural):
        name = path.relative_to(folder).as_posix()
        if not (path / "metrics.json").exists():
            why = ("it failed, failed.txt says why" if (path / "failed.txt").exists() else
                   "no metrics.json, so it was interrupted or is of a task without metrics")
            left_out.append(f"{name}: {why}")
            continue
        try:
            runs.append(read_run(path, name))
        except ValueError as error:
            left_out.append(f"{name}: {error}")
    for line in left_out:
        log.warning("left out of the report: %s", line)
    if not runs:
        found = "\n  ".join(["", *left_out]) if left_out else " no run at all"
        raise BadInput(f"no finished run below {folder}; found:{found}\nNext: python run.py, then report on its folder")
    return runs, left_out


def table(runs):
    """DataFrame of texts: the settings that differ, then the key metrics as ``mean ± error [95 % interval]``.

    Runs that differ in nothing but seeds are followed by their mean and standard deviation (ddof 1).
    """
    import pandas as pd

    differing = _differing(runs)
    seeds = [key for key in differing if _is_seed(key)]
    groups = {}
    for run in runs:
        groups.setdefault(tuple(_setting(run, key) for key in differing if key not in seeds), []).append(run)
    every = [tuple(_setting(run, key) for key in differing) for run in runs]
    again = len(set(every)) < len(runs)  # the same settings twice: only the folder tells the runs apart
    metrics, lines, gated = _shown(runs), [], any(run.metrics[GATE] for run in runs)
    for group in groups.values():
        for run in group:
            lines.append({"run": run.path} if again else {})
            lines[-1] |= {"data": run.kind} | {key: _setting(run, key) for key in differing}
            lines[-1] |= {GATE: run.metrics[GATE]} if gated else {}
            lines[-1] |= {key: _cell(run.metrics, key) for key in metrics}
        # A seed that was run twice counts once.
        distinct = {tuple(_setting(run, key) for key in seeds): run.metrics for run in group}
        if len(distinct) > 1:
            numbers = pd.DataFrame([{key: m.get(key) for key in metrics} for m in distinct.values()], dtype=float)
            about = {key: value for key, value in lines[-1].items() if key not in (*metrics, *seeds, "run")}
            about |= {GATE: verdicts(run.metrics for run in group)} if gated else {}
            for name, values in ((f"mean of {len(distinct)}", numbers.mean()), ("sd", numbers.std(ddof=1))):
                lines.append(about | {seeds[0]: name} | {key: _number(float(values[key])) for key in metrics})
    return pd.DataFrame(lines).fillna("")


def verdicts(metrics):
    """What the gate said in runs with these ``metrics``, each verdict once."""
    return ", ".join(dict.fromkeys(of[GATE] for of in metrics if of.get(GATE)))


def to_markdown(frame):
    """A Markdown table of a DataFrame, without its index."""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.astype(str).values.tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
                     for line in lines)


def read_object(path):
    """The dict in a JSON file; ValueError says what is wrong with the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged ({error})") from error
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{path.name} is damaged (no JSON object)")
    return value


def read_run(path, name):
    """The :class:`Run` in the folder ``path``; ValueError says which of its files is damaged, and how."""
    about, metrics = read_object(path / "run.json"), read_object(path / "metrics.json")
    if not isinstance(about.get("synthetic"), bool):
        raise ValueError("run.json does not say whether the images are synthetic")
    for key, kind in (("choices", dict), ("names", dict), ("overrides", list)):
        if not isinstance(about.get(key, kind()), kind):
            raise ValueError(f"run.json is damaged ({key} is no {'object' if kind is dict else 'list'})")
    names, unasked = about.get("names", {}), {GATE: NOT_CHECKED if "dissector" in about.get("names", {}) else ""}
    metrics = unasked | {key: about[key] for key in ("images", "concepts", "seconds") if key in about} | metrics
    if not isinstance(metrics[GATE], str):
        raise ValueError(f"gate is no verdict: {metrics[GATE]!r}")
    for key, value in metrics.items():
        if is_shown(key) and not isinstance(value, (int, float, NoneType)):
            raise ValueError(f"{key} is no number: {value!r}")
    settings = {"name": about.get("name", "")}
    for group, option in about.get("choices", {}).items():
        called = str(names.get(group, option))
        settings[group] = called if str(option) in called else f"{option}: {called}"
    settings |= {key: str(names[key]) for key in ("layer", "activation") if key in names}
    if "seed" in about:
        settings["seed"] = str(about["seed"])
    for override in about.get("overrides", []):
        key, _, value = str(override).lstrip("+~").partition("=")
        if key not in settings:
            settings[key] = value or "(removed)"
    settings = {key: value for key, value in settings.items() if key.split(".")[0] not in NO_EFFECT and key != GATE}
    return Run(name, KINDS[about["synthetic"]], settings, metrics, path, about)


def _frame(runs):
    import pandas as pd

    return pd.DataFrame([{"run": run.path, "data": run.kind} | run.settings | run.metrics for run in runs])


def _setting(run, key):
    return run.settings.get(key, DEFAULT)


def _differing(runs):
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if len({_setting(run, key) for run in runs}) > 1]


def _same(runs):
    """What all runs share, in words: settings, and the metrics of :data:`CONTEXT` that are no column."""
    differing, columns = _differing(runs), _shown(runs)
    settings = [f"{key} = {value}" for key, value in runs[0].settings.items()
                if key not in differing and value not in ("", "None")]
    return ", ".join(settings + [f"{key} = {_cell(runs[0].metrics, key)}" for key in CONTEXT
                                 if key not in columns and runs[0].metrics.get(key) is not None])


def _notes(runs):
    """What runs say of their metrics, each once; ``n/a`` where the metric is missing."""
    notes = {}
    for run in runs:
        for key, note in run.metrics.items():
            if key.endswith("_note") and note:
                name = key.removesuffix("_note")
                notes[f"{name}: {'n/a, ' if run.metrics.get(name) is None else ''}{note}"] = None
    return list(notes)


def _shown(runs):
    """Metrics of :data:`KEY_METRICS` that any run has (a name with ``_`` at its end is a prefix), and those of
    :data:`CONTEXT` that differ."""
    have = dict.fromkeys(key for run in runs for key, value in run.metrics.items()
                         if not key.endswith(EXTRAS) and value is not None)
    return [key for wanted in KEY_METRICS for key in have
            if key == wanted or wanted.endswith("_") and key.startswith(wanted)] + \
           [key for key in CONTEXT if key in have and len({_cell(run.metrics, key) for run in runs}) > 1]


def _cell(metrics, key):
    if metrics.get(key) is None:
        return "n/a" if metrics.get(f"{key}_note") else ""
    text = _number(metrics[key])
    if metrics.get(f"{key}_se") is not None:
        text += f" ± {metrics[f'{key}_se']:.3f}"
    if metrics.get(f"{key}_low") is not None and metrics.get(f"{key}_high") is not None:
        text += f" [{metrics[f'{key}_low']:.3f}, {metrics[f'{key}_high']:.3f}]"
    return text


def _number(value):
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return ""
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:.1f}"


def is_shown(key):
    """Whether ``key`` is a metric of the tables, or one of its numbers."""
    key = re.sub("_(se|low|high)$", "", key)
    return not key.endswith(EXTRAS) and any(key == wanted or wanted.endswith("_") and key.startswith(wanted)
                                            for wanted in KEY_METRICS + CONTEXT)


def _is_seed(key):
    return key.split(".")[-1] == "seed"


def _natural(path):
    """Sort key under which run 10 comes after run 9."""
    return [[int(p) if p.isdigit() else p for p in re.split(r"(\d+)", part)] for part in path.parts]


def _print(console, title, frame, metrics):
    """The table in as many blocks of ``metrics`` as the terminal's width needs, the settings repeated in each."""
    from rich.table import Table
    from rich.text import Text

    frame = frame.map(lambda cell: cell.replace(" [", "\n["))  # the interval below its value
    width = {c: 2 + max(len(line) for cell in [c, *frame[c]] for line in cell.split("\n")) for c in frame}
    settings = [c for c in frame if c not in metrics]
    width |= {c: min(width[c], SETTING_WIDTH + 2) for c in settings}
    blocks, room = [[]], console.width - sum(width[c] for c in settings)
    for metric in metrics:
        if blocks[-1] and sum(width[c] for c in [*blocks[-1], metric]) > room:
            blocks.append([])
        blocks[-1].append(metric)
    for block in blocks:
        shown = Table(title=title if block is blocks[0] else None, title_justify="left", header_style="bold", box=None)
        for column in [*settings, *block]:
            of_setting = column in settings
            shown.add_column(column, justify="left" if of_setting else "right",
                             max_width=SETTING_WIDTH if of_setting else None)
        for line in frame[[*settings, *block]].values.tolist():
            shown.add_row(*map(Text, line))
        console.print(shown)


def _write(path, text):
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
