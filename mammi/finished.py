"""What a finished run left in its folder; a folder that holds none is told with what to give instead."""
import json
import re
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput, near
from mammi.report import read_object, read_run

FILES = ("metrics.json", "run.json", "annotations.csv", "neurons.csv")  # without one of them it is no annotation
HITS = ("hit", "hit_lemma", "hit_synonym")  # from strict to lenient


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


def read(folder):
    """The :class:`Finished` annotation in ``folder``; else :class:`BadInput` that names the runs one could mean."""
    folder = Path(folder)
    if folder.is_file():
        raise BadInput(f"{folder} is a file. Next: give the folder of a run, such as {folder.parent}")
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
