"""Concept sets side by side: hits from strict to lenient and F1, with the most that each set allows."""
import numpy as np

from mammi.evaluation.metrics import LABELS
from mammi.figures.draw import BLACK, BLUE, COLUMN, GREEN, ORANGE, PURPLE, bars, figure, legend_below
from mammi.figures.runs import interval, over_seeds, shared, spread

NAME, RUNS, VARIES = "concept_sets", "table1", ("concept_set",)
SHOWN = {"hit": BLUE, "hit_lemma": GREEN, "hit_synonym": ORANGE, "f1": PURPLE}


def rows(run):
    """A row per metric of one run: concept set with its size, metric, value with its interval, ceiling of hits."""
    name = f"{run.about['names']['concept_set']}, {run.about['concepts']:,} words"
    return [{"concept_set": name, "metric": metric, "ceiling": interval(run, f"{metric}_ceiling")["value"]}
            | interval(run, metric) for metric in SHOWN]


def fold(frame):
    """The plotted numbers, over seeds: a row per concept set (best F1 first) and metric, its ceiling (NaN: of F1)."""
    data = over_seeds(frame, ["concept_set", "metric"])
    if data.empty:
        return data
    data = data.merge(frame.groupby(["concept_set", "metric"], as_index=False)["ceiling"].max())
    best = data[data["metric"] == "f1"].set_index("concept_set")["value"]
    return data.sort_values("concept_set", key=lambda names: -names.map(best), kind="stable", ignore_index=True)


def draw(data, runs, kind):
    """A block of lines per concept set; the black tick is the most it allows."""
    names = list(dict.fromkeys(data["concept_set"]))
    fig = figure(COLUMN, 0.75 * len(names) + 1.6, "Concept sets", kind, shared(runs, VARIES))
    ax = fig.subplots()
    for k, (metric, colour) in enumerate(SHOWN.items()):
        some = data[data["metric"] == metric]
        at = np.array([names.index(name) for name in some["concept_set"]]) + 0.17 * (k - 1.2)
        ax.errorbar(some["value"], at, xerr=bars(some), fmt="o", color=colour, elinewidth=1, label=LABELS[metric])
        ax.scatter(some["ceiling"], at, marker="|", s=45, color=BLACK, linewidths=1.5,
                   label="most the set allows" if metric == "f1" else None)
    for y, name in enumerate(names):
        ax.text(0, y - 0.36, name, fontsize=6.5, va="center")
    ax.set(yticks=[], xlim=(-0.02, 1.04), ylim=(len(names) - 0.4, -0.55), xlabel="share of neurons; F1")
    ax.grid(axis="x")
    ax.spines["left"].set_visible(False)
    legend_below(ax, spread(data), ncols=3)
    return fig
