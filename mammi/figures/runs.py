"""Which finished runs a figure is made of, what they have in common, and its numbers over their seeds."""
import numpy as np

IGNORED = ("name", "experiment", "seed", "skip_done", "offline")  # what two runs of one figure may differ in
ALIKE = ("target", "layer", "probing_set", "concept_set", "dissector")  # told of in small print
SPREAD = {True: "min to max", False: "95% interval"}  # of several seeds, of one


def choose(runs, name, varies):
    """The runs of one figure out of ``runs`` (:class:`mammi.report.Run`, of one kind), and why others are left out.

    name    of the experiment; ``name_...`` counts too
    varies  settings that the figure is about: ``concept_set``, ``selection.alpha`` ...

    All else must be equal. Of several set-ups the one with most points is taken (the last by folder where two have as
    many); of two runs of the same point and seed the last by folder, whose name is a date.
    """
    setups = {}
    for run in runs:
        called = run.settings["name"]
        if called == name or called.startswith(f"{name}_"):
            setup = tuple(sorted((k, v) for k, v in run.settings.items() if k not in (*IGNORED, *varies)))
            point = (*(run.settings.get(key) for key in varies), run.settings.get("seed"))
            setups.setdefault(setup, {})[point] = run
    if not setups:
        return [], []
    taken = max(reversed(setups), key=lambda setup: len(setups[setup]))
    left_out = [f"{name}: {len(points)} of another set-up ({_difference(setup, taken)})"
                for setup, points in setups.items() if setup != taken]
    return list(setups[taken].values()), left_out


def _difference(setup, taken):
    setup, taken = dict(setup), dict(taken)
    return ", ".join(f"{key}={setup.get(key, 'default')}" for key in sorted({*setup, *taken})
                     if setup.get(key) != taken.get(key))


def shared(runs, varies):
    """One line: what all ``runs`` have in common. A stand-in is named as the run names it."""
    settings, names = runs[0].settings, runs[0].about.get("names", {})
    parts = [f"{key.replace('_', ' ')} {names[key]}" for key in ALIKE
             if key in names and key not in varies]
    parts += [f"{key}={value}" for key, value in settings.items() if "." in key and key not in varies]
    images = sorted({run.about["images"] for run in runs if "images" in run.about})
    return ", ".join([*parts, *(f"{n:,} images" for n in images)])


def read_csv(run, name, texts=(), numbers=()):
    """The table ``name`` of a run's folder. ValueError where it cannot be read, lacks one of the columns ``texts`` and
    ``numbers``, or has something else than numbers in the latter."""
    import pandas as pd

    try:
        frame = pd.read_csv(run.folder / name, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise ValueError(f"{name} cannot be read ({error})") from error
    if lacking := [column for column in (*texts, *numbers) if column not in frame]:
        raise ValueError(f"{name} has no column {lacking[0]}")
    for column in numbers:
        try:
            frame[column] = pd.to_numeric(frame[column])
        except ValueError as error:
            raise ValueError(f"{name}: {column} has no numbers ({error})") from error
    return frame


def setting(run, key):
    """The number that was typed for ``key``; ValueError where none was."""
    try:
        return float(run.settings[key])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{key}={run.settings.get(key)}: expected a number among the run's overrides") from error


def interval(run, metric):
    """{value, low, high} of a metric, NaN where the run has none of it."""
    return {part: float(np.nan if (value := run.metrics.get(metric + suffix)) is None else value)
            for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high"))}


def over_seeds(frame, keys):
    """A row per distinct ``keys``: mean of ``value``, ``low`` and ``high``, number of ``seeds``, what ``interval`` is.

    Of several seeds low and high are the smallest and largest value, of a single one its own interval. Rows without a
    value are left out.
    """
    import pandas as pd

    rows = []
    for key, some in frame.dropna(subset="value").groupby(list(keys), sort=False):
        several = len(some) > 1
        low, high = (some["value"], some["value"]) if several else (some["low"], some["high"])
        rows.append(dict(zip(keys, key)) | {"value": some["value"].mean(), "low": low.min(), "high": high.max(),
                                            "seeds": len(some), "interval": SPREAD[several]})
    return pd.DataFrame(rows)


def spread(data, mark="bars"):
    """In words what the points of ``data`` and their ``mark`` (bars, band) are, from its columns seeds and interval."""
    least, most = data["seeds"].min(), data["seeds"].max()
    mean = "" if most == 1 else f"mean of {most if least == most else f'{least} to {most}'} seeds"
    marks = " or ".join(filter(None, dict.fromkeys(data["interval"])))
    return "; ".join(filter(None, [mean, marks and f"{mark}: {marks}"]))
