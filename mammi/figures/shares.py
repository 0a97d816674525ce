"""Figure 2b: do neurons of frequent classes get more images? Shares of the classes and of the selected images."""
import numpy as np

from mammi.errors import BadInput
from mammi.figures.draw import BLACK, COLUMN, bars, figure, legend_below, look
from mammi.figures.runs import SPREAD, read_csv, shared, spread
from mammi.lemma import lemmas

NAME, RUNS, VARIES = "figure2b", "figure2b", ("selection",)


def rows(run):
    """A row per neuron of one run: selection, name, q and r.

    q  share of the neuron's class among all labels of the probing set, N_c / sum N
    r  the neuron's share of the selected images, n_c / sum n
    """
    neurons = read_csv(run, "neurons.csv", ["name"], ["images_selected"])
    labels = _labels(read_csv(run, "images.csv", ["id"]), neurons["name"])
    selected = neurons["images_selected"]
    if selected.isna().any() or not selected.sum():
        raise ValueError("neurons.csv: no selected images, so they have no shares")
    if not sum(labels):
        raise ValueError("images.csv: no image carries a label")
    q, r = np.divide(labels, sum(labels)), selected / selected.sum()
    return [{"selection": run.about["choices"]["selection"], "name": name, "q": a, "r": b}
            for name, a, b in zip(neurons["name"], q, r)]


def _labels(images, names):
    """How many images carry the label that each neuron is called by."""
    columns = {lemmas(column.removesuffix(" (label)")): column for column in images}
    if lacking := [name for name in names if lemmas(name) not in columns]:
        raise ValueError(f"images.csv has no label called {lacking[0]}")
    return [int((images[columns[lemmas(name)]] == 1).sum()) for name in names]


def fold(frame):
    """The plotted numbers: a row per selection and neuron, the class with most labels first.

    value            r, mean over seeds; ``low`` and ``high``: smallest and largest of several
    total_variation  of q and r, mean over seeds, the same in all rows of a selection; so is
    spearman         NaN where all r are equal
    """
    import pandas as pd

    parts = []
    for selection, some in frame.groupby("selection", sort=True):
        seeds = [seed for _, seed in some.groupby("run", sort=False)]
        about = {"seeds": len(seeds), "interval": SPREAD[True] if len(seeds) > 1 else "",
                 "total_variation": np.mean([total_variation(s["q"], s["r"]) for s in seeds]),
                 "spearman": np.mean([spearman(s["q"], s["r"]) for s in seeds])}
        parts += [{"selection": selection, "name": name, "q": neuron["q"].mean(), "value": neuron["r"].mean(),
                   "low": neuron["r"].min(), "high": neuron["r"].max()} | about
                  for name, neuron in some.groupby("name", sort=False)]
    data = pd.DataFrame(parts)
    return data.sort_values(["selection", "q"], ascending=[True, False], kind="stable", ignore_index=True)


def total_variation(q, r):
    """Half the sum of |q - r| of two distributions, in [0, 1]: the share of images that would have to move."""
    if len(q) != len(r):
        raise BadInput(f"{len(q)} shares against {len(r)}: expected as many")
    return float(np.abs(np.asarray(q, float) - np.asarray(r, float)).sum() / 2)


def spearman(q, r):
    """Rank correlation in [-1, 1], ties by mean ranks; NaN where either is constant."""
    from scipy.stats import spearmanr

    return float(spearmanr(q, r).statistic) if np.ptp(q) > 0 and np.ptp(r) > 0 else np.nan


def draw(data, runs, kind):
    """A line per neuron, the most frequent class on top: a tick at q, a dot at r of each selection."""
    names = list(dict.fromkeys(data["name"]))
    fig = figure(COLUMN, 0.2 * len(names) + 2, "Figure 2b: shares of classes and of selected images", kind,
                 shared(runs, VARIES))
    ax = fig.subplots()
    at = np.arange(len(names))
    q = data.drop_duplicates("name")["q"]
    ax.scatter(q, at, marker="|", s=90, color=BLACK, linewidths=1.8, label="q: share of the labels", zorder=3)
    selections = list(dict.fromkeys(data["selection"]))
    for k, selection in enumerate(selections):
        some = data[data["selection"] == selection].set_index("name").loc[names]
        colour, label = look(selection)
        rho = some["spearman"].iloc[0]
        label = (f"r: {label}; total variation {some['total_variation'].iloc[0]:.2f}, "
                 f"Spearman {'n/a (all equal)' if np.isnan(rho) else f'{rho:.2f}'}")
        ax.errorbar(some["value"], at + 0.3 * (k - (len(selections) - 1) / 2), xerr=bars(some), fmt="o", color=colour,
                    elinewidth=0.8, label=label)
    ax.set(yticks=at, ylim=(len(names) - 0.5, -0.5), xlim=(0, None), xlabel="share")
    ax.set_yticklabels(names)
    ax.grid(axis="x")
    legend_below(ax, spread(data))
    return fig
