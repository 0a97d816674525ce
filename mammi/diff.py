"""Two finished runs side by side: what differs in the set-up, and neuron by neuron what that changed."""
import json
import re
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput, near
from mammi.report import EXTRAS, NO_EFFECT, read_object, read_run

FILES = ("metrics.json", "run.json", "annotations.csv", "neurons.csv")  # without one of them it is no annotation
HITS = ("hit", "hit_lemma", "hit_synonym")  # from strict to lenient
SAME = 1e-6  # scores that differ by no more are the same: another machine rounds otherwise
ABSENT = "(absent)"


class Finished(NamedTuple):
    """What a run left.

    settings, config, versions  {key: text}; ``config`` is {} where the run kept none
    metrics                     {key: value}
    neurons                     DataFrame, a row each
    """

    folder: Path
    settings: dict
    config: dict
    versions: dict
    metrics: dict
    neurons: object


class Difference(NamedTuple):
    """What :func:`compare` found, A first.

    settings, versions  [(key, text of A, text of B)], those that differ
    aside               the same for settings that no number depends on
    metrics             [(key, value of A, value of B)], those that differ
    neurons             DataFrame, a row per neuron of either run; the column ``change`` says what changed, "" nothing
    by                  ``name`` or ``index``: how the neurons were matched
    tests               {metric of HITS: (hit in A alone, hit in B alone, neurons, p)} of the exact McNemar test
    """

    settings: list
    versions: list
    aside: list
    metrics: list
    neurons: object
    by: str
    tests: dict

    @property
    def same(self):
        """Nothing differs but what no number depends on."""
        return not (self.settings or self.versions or self.metrics or (self.neurons["change"] != "").any())


def read(folder):
    """The :class:`Finished` annotation in ``folder``; else :class:`BadInput` that names the runs one could mean."""
    folder = Path(folder)
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        hint = near(folder.name, sorted(beside)) if beside else "Give a run's folder, below outputs/."
        raise BadInput(f"there is no folder {folder}. {hint}")
    if lacking := [name for name in FILES if not (folder / name).is_file()]:
        raise BadInput(f"{folder} {_what_else(folder, lacking)}")
    try:
        run = read_run(folder, folder.name)
        about = read_object(folder / "run.json")
        config, versions, neurons = _config(folder), _versions(folder), _neurons(folder)
    except ValueError as error:
        raise BadInput(f"{folder}: {error}. Run it again (its reproduce.sh), then compare") from error
    counts = {key: str(about[key]) for key in ("images", "concepts") if key in about}
    metrics = {key: value for key, value in run.metrics.items() if key not in counts}
    return Finished(folder, {"data": run.kind} | run.settings | counts, config, versions, metrics, neurons)


def compare(a, b):
    """:class:`Difference` of two :class:`Finished` runs; scores within 1e-6 of each other count as the same."""
    whole = [run.settings | (run.config if a.config and b.config else {}) for run in (a, b)]
    settings = _differing(*whole)
    aside = [row for row in settings if row[0].split(".")[0] in (*NO_EFFECT, "name")]
    metrics = [(key, one, other) for key, one, other in _differing(a.metrics, b.metrics, None)
               if not key.endswith((*EXTRAS, "seconds")) and not _close(one, other)]
    neurons, by = _matched(a.neurons, b.neurons)
    return Difference([row for row in settings if row not in aside], _differing(a.versions, b.versions), aside, metrics,
                      neurons, by, {key: test for key in HITS if (test := _mcnemar(neurons, key))})


def _what_else(folder, lacking):
    """Why ``folder``, which lacks those files, is no finished annotation, and what to give instead."""
    below = sorted({path.parent for path in folder.rglob("annotations.csv")
                    if (path.parent / "metrics.json").is_file()} - {folder}, key=lambda path: path.as_posix())
    if below:
        shown = "".join(f"\n  {path}" for path in below[-10:])
        return (f"is not one annotation but holds {len(below)}. Give one of them"
                f"{' (the last ten)' if len(below) > 10 else ''}:{shown}")
    if (folder / ".hydra").is_dir() and "metrics.json" in lacking:
        beside = [path.name for path in sorted(folder.parent.iterdir()) if all((path / n).is_file() for n in FILES)]
        return ("has no metrics.json: the run was interrupted, or still goes on. The same command goes on from the "
                f"cache; finished beside it: {', '.join(beside[-10:]) or 'none'}")
    return (f"holds no annotation ({', '.join(lacking)} missing): only runs of task=annotate, and the folders target "
            "and twin of task=study, can be compared")


def _config(folder):
    """{dotted key: text} of the run's config as it was composed; a study's parts share their parent's."""
    import yaml

    for path in (folder / ".hydra" / "config.yaml", folder.parent / ".hydra" / "config.yaml"):
        if path.is_file():
            try:
                return _flat(yaml.safe_load(path.read_text(encoding="utf-8")))
            except (yaml.YAMLError, AttributeError) as error:
                raise ValueError(f"{path.name} is damaged ({error})") from error
    return {}


def _versions(folder):
    """{package: version}, and the commit that ``reproduce.sh`` names."""
    versions = read_object(folder / "versions.json") if (folder / "versions.json").is_file() else {}
    script = folder / "reproduce.sh"
    found = re.search(r"^# mammi at commit ([^;\s]+)", script.read_text(), re.M) if script.is_file() else None
    return ({"commit": found[1]} if found else {}) | versions


def _flat(config, above=""):
    out = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            out |= _flat(value, f"{above}{key}.")
        else:
            out[f"{above}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return out


def _neurons(folder):
    """A row per neuron: name, status, words and their scores best first, hits, images (a set, None where unknown)."""
    import pandas as pd

    def table(name, *columns):
        try:
            rows = pd.read_csv(folder / name, keep_default_na=False, dtype={"name": str, "concept": str, "image": str})
        except ValueError as error:
            raise ValueError(f"{name} is damaged ({error})") from error
        if absent := [column for column in ("neuron", "name", *columns) if column not in rows]:
            raise ValueError(f"{name} is damaged (it has no column {absent[0]})")
        return rows

    frame = table("neurons.csv", "status", "images_selected")
    words = table("annotations.csv", "rank", "concept", "score")
    said = {i: list(zip(own["concept"], own["score"])) for i, own in words.sort_values("rank").groupby("neuron")}
    images = {}
    if (folder / "contributions.csv").is_file():
        images = {i: frozenset(own["image"]) for i, own in table("contributions.csv", "image").groupby("neuron")}
    out = frame[["neuron", "name", "status"]].copy()
    out["words"] = [tuple(word for word, _ in said.get(i, ())) for i in frame["neuron"]]
    out["score"] = [float(said[i][0][1]) if i in said else float("nan") for i in frame["neuron"]]
    for key in HITS:
        out[key] = pd.to_numeric(frame[key], errors="coerce") if key in frame else float("nan")
    out["n_images"] = pd.to_numeric(frame["images_selected"], errors="coerce")
    out["images"] = [images.get(i) for i in frame["neuron"]]
    return out


def _matched(a, b):
    """(DataFrame with a row per neuron of either run, how they were matched)."""
    import pandas as pd

    unique = all(frame["name"].is_unique for frame in (a, b))
    by = "name" if unique and set(a["name"]) & set(b["name"]) else "index"
    key = "name" if by == "name" else "neuron"
    one, other = a.set_index(key, drop=False), b.set_index(key, drop=False)
    order = [*one.index, *(k for k in other.index if k not in one.index)]
    return pd.DataFrame([_row(one.loc[k] if k in one.index else None, other.loc[k] if k in other.index else None)
                         for k in order]), by


def _row(a, b):
    """One neuron in both runs; either may lack it."""
    some = b if a is None else a
    row = {"neuron": some["neuron"], "name": some["name"]}
    for end, run in (("a", a), ("b", b)):
        row[f"top_{end}"] = "" if run is None or not run["words"] else run["words"][0]
        for column in ("score", "status", *HITS, "n_images"):
            row[f"{column}_{end}"] = None if run is None else run[column]
    mine, theirs = (() if run is None else run["words"] for run in (a, b))
    images = [None if run is None else run["images"] for run in (a, b)]
    row |= {"gained": "; ".join(w for w in theirs if w not in mine),
            "lost": "; ".join(w for w in mine if w not in theirs),
            "images_shared": None if None in images else len(images[0] & images[1])}
    if a is None or b is None:
        return row | {"change": f"in {'B' if a is None else 'A'} only"}
    changes = {"top word": row["top_a"] != row["top_b"], "words": set(mine) != set(theirs),
               "order": set(mine) == set(theirs) and mine != theirs and row["top_a"] == row["top_b"],
               "score": not _close(a["score"], b["score"]), "status": a["status"] != b["status"],
               "hit": not all(_close(a[key], b[key]) for key in HITS),
               "images": images[0] != images[1] if None not in images else not _close(a["n_images"], b["n_images"])}
    return row | {"change": ", ".join(what for what, changed in changes.items() if changed)}


def _mcnemar(neurons, key):
    """(hit in A alone, in B alone, neurons judged in both, two-sided p or None where none differs); None unjudged."""
    from scipy.stats import binomtest

    both = neurons.dropna(subset=[f"{key}_a", f"{key}_b"])
    if both.empty:
        return None
    one, other = both[f"{key}_a"].astype(float) == 1, both[f"{key}_b"].astype(float) == 1
    lost, gained = int((one & ~other).sum()), int((other & ~one).sum())
    return lost, gained, len(both), float(binomtest(gained, lost + gained).pvalue) if lost + gained else None


def _differing(a, b, absent=ABSENT):
    rows = [(key, a.get(key, absent), b.get(key, absent)) for key in {**a, **b}]
    return [(key, one, other) for key, one, other in rows if one != other]


def _close(a, b):
    """Equal numbers up to rounding, or both unknown (None, NaN)."""
    unknown = [value is None or value != value for value in (a, b)]
    if any(unknown):
        return all(unknown)
    try:
        return abs(float(a) - float(b)) <= SAME
    except (TypeError, ValueError):
        return a == b
