"""Finished run folders -> the rows they make. What cannot be used is named with its reason; nothing is mixed."""
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput
from mammi.report import NO_EFFECT, read_object, read_run
from mammi.tables.rows import COUNTS, METRICS, PROFILES

# What may be said beside a row's own settings. Anything else makes another experiment.
FREE = ("experiment", "profile", "profile.seeds", "name", "seed", "offline", "skip_done", "gate", "gate.golden")
FILES = ("probing_set.root", "probing_set.images", "concept_set.path", "dissector.weights",  # where the paper's are
         "method.captions.path", "method.captions.kind", "method.covid.images.root", "method.nih.images.root",
         "method.nih.images.images")


class Result(NamedTuple):
    """One finished run of a row. ``neurons``: DataFrame of neurons.csv; ``same``: what the row's seeds must share."""

    path: str
    seed: int
    names: dict
    metrics: dict
    neurons: object
    same: dict

    def has(self, metric):
        return self.metrics.get(metric) is not None


class Found(NamedTuple):
    """``results`` {(profile, table, row label): {seed: Result}}; ``left_out`` [(profile or None, why)];
    ``unfinished`` number of the tables' folders without a result."""

    results: dict
    left_out: list
    unfinished: int

    def of(self, profile, row):
        """{seed: Result} of a row, by seed; {} where it was not run."""
        return dict(sorted(self.results.get((profile, row.table, row.label), {}).items()))

    def reasons(self, profile):
        return [why for of, why in self.left_out if of in (profile, None)]


def read(folder, tables):
    """:class:`Found` of everything below ``folder``; :class:`BadInput` where no run of ``tables`` is finished."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}. Next: make table1, or give the folder that holds your runs")
    finished = sorted({path.parent for path in folder.rglob("metrics.json")}, key=_age, reverse=True)
    begun = {path.parent for path in folder.rglob(".hydra")} - set(finished)
    found = Found({}, [], sum(_in_a_table(path, tables) for path in begun))
    for path in finished:
        _sort_in(path, path.relative_to(folder).as_posix(), tables, found)
    if not found.results:
        left = "".join(f"\n  {why}" for _, why in found.left_out) or " none at all"
        raise BadInput(f"no finished run of {', '.join(tables)} below {folder}; found:{left}\n"
                       f"Next: make table1 (python run.py experiment=table1), then make tables")
    return found


def _sort_in(path, name, tables, found):
    """Put the run in ``path`` into ``found``: as a row's result or as left out. Runs come newest first."""
    try:
        run = read_run(path, name)
    except ValueError as error:
        if _in_a_table(path, tables):
            found.left_out.append((None, f"{name}: {error}"))
        return
    if run.about.get("name") not in tables:
        return
    profile = run.about.get("choices", {}).get("profile")
    try:
        row = row_of(run, tables[run.about["name"]])
        result = result_of(run)
        others = found.results.setdefault((profile, row.table, row.label), {})
        if result.seed in others:
            raise ValueError(f"an older run of {row.table}, {row.label}, seed {result.seed}; the newest counts: "
                             f"{others[result.seed].path}")
        if newest := next(iter(others.values()), None):
            for key, value in result.same.items():
                if value != newest.same[key]:
                    raise ValueError(f"its {key} is {value}, but the newest run of {row.label} has "
                                     f"{newest.same[key]} ({newest.path})")
        others[result.seed] = result
    except ValueError as error:
        found.left_out.append((profile if profile in PROFILES else None, f"{name}: {error}"))


def row_of(run, table):
    """The :class:`~mammi.tables.rows.Row` that ``run`` makes; ValueError says why it makes none."""
    choices, names = run.about.get("choices", {}), run.about.get("names", {})
    profile = choices.get("profile")
    if PROFILES.get(profile) != run.kind:
        raise ValueError(f"profile={profile} on {run.kind} images is neither the paper's run nor its rehearsal")
    keys = {key for row in table.rows.values() for key in row.settings}
    if more := unlike(run, keys):
        raise ValueError(f"{more} is no setting of {table.name}")
    said = {key: choices.get(key, names.get(key.rpartition(".")[-1])) for key in keys}
    for row in table.rows.values():
        if row.options(profile) == said:
            if profile == "paper" and (why := other_than_the_paper(run)):
                raise ValueError(why)
            return row
    raise ValueError(f"{', '.join(f'{k}={v}' for k, v in sorted(said.items()))} is no row of {table.name}")


def unlike(run, keys):
    """The first override of ``run`` that is none of ``keys`` and that a number could depend on, or None."""
    free = {*keys, *FREE, *(FILES if run.about.get("choices", {}).get("profile") == "paper" else ())}
    for override in run.about.get("overrides", []):
        key = str(override).lstrip("+").partition("=")[0]
        if key not in free and key.split(".")[0] not in NO_EFFECT:
            return override
    return None


def other_than_the_paper(run):
    """Why a run is not on the paper's own files, or None: a stand-in, or a word list of another name."""
    choices, names = run.about.get("choices", {}), run.about.get("names", {})
    for group, name in names.items():
        if "stand-in" in str(name):
            return f"its {group} is a stand-in: {name}"
    if names.get("concept_set") != choices.get("concept_set"):
        return f"its concept set is {names.get('concept_set')}, not the paper's {choices.get('concept_set')}"
    return None


def result_of(run):
    """The :class:`Result` of a finished run; ValueError where its neurons.csv is damaged or says other numbers."""
    import pandas as pd

    if not isinstance(run.about.get("seed"), int):
        raise ValueError("run.json has no seed")
    try:
        neurons = pd.read_csv(run.folder / "neurons.csv", dtype={"name": str}, keep_default_na=False,
                              na_values={key: [""] for key in METRICS})
    except OSError as error:
        raise ValueError(f"neurons.csv cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"neurons.csv is damaged ({error})") from error
    for key in ("neuron", "name", *(m for m in METRICS if m not in COUNTS and run.metrics.get(m) is not None)):
        if key not in neurons:
            raise ValueError(f"neurons.csv is damaged (it has no column {key})")
        if key in METRICS:
            neurons[key] = pd.to_numeric(neurons[key], errors="coerce")
            if not abs(neurons[key].mean() - run.metrics[key]) < 1e-6:
                raise ValueError(f"neurons.csv and metrics.json do not agree: {key} is {neurons[key].mean():.4f} and "
                                 f"{run.metrics[key]:.4f}")
    names = run.about.get("names", {})
    same = {**names, "number of images": run.about.get("images"), "number of words": run.about.get("concepts"),
            "list of neurons": tuple(neurons["name"])}
    return Result(run.path, run.about["seed"], names, run.metrics, neurons, same)


def latest(folder, suits):
    """The newest finished run below ``folder`` that ``suits``, or None; damaged ones are passed over."""
    for path in sorted({path.parent for path in Path(folder).rglob("metrics.json")}, key=_age, reverse=True):
        try:
            run = read_run(path, path.relative_to(folder).as_posix())
        except ValueError:
            continue
        if suits(run):
            return run
    return None


def _age(path):
    """Sort key: when the run finished; its folder where that is the same."""
    return (path / "metrics.json").stat().st_mtime, path.as_posix()


def _in_a_table(path, tables):
    """Whether the run in ``path`` is one of a table, as far as its folder or its run.json tell."""
    try:
        name = read_object(path / "run.json").get("name")
    except ValueError:
        name = None
    return isinstance(name, str) and name in tables or any(part in tables for part in path.resolve().parts)
