"""Histograms over neurons: images selected and score of the best word, adaptive against a fixed number of images."""
import numpy as np

from mammi.figures.draw import PAGE, figure, legend_below, look
from mammi.figures.runs import SPREAD, read_csv, shared, spread

NAME, RUNS, VARIES = "histograms", "table2", ("selection", "layer", "target.layer")
BINS = 12  # of the scores
VALUES = {"images_selected": "images selected per neuron", "score": "score of the best word"}


def rows(run):
    """A row per neuron of one run: selection, layer, images selected, score of the best word (NaN without one)."""
    neurons = read_csv(run, "neurons.csv", numbers=["neuron", "images_selected"])
    words = read_csv(run, "annotations.csv", numbers=["neuron", "rank", "score"])
    best = words[words["rank"] == 1].set_index("neuron")["score"]
    about = {"selection": run.about["choices"]["selection"], "layer": run.about["names"]["layer"]}
    return [about | {"images_selected": n, "score": best.get(i, np.nan)}
            for i, n in zip(neurons["neuron"], neurons["images_selected"])]


def fold(frame):
    """The plotted numbers: a row per layer, quantity, selection and bin; ``value`` is the share of neurons in it.

    Bins are [start, end); of images they double, and a dead neuron, which has none, is in none. Over seeds ``value`` is
    the mean, ``low`` and ``high`` the smallest and largest share.
    """
    import pandas as pd

    parts = []
    for layer, of_layer in frame.groupby("layer", sort=True):
        for quantity in VALUES:
            if not of_layer[quantity].notna().any():
                continue
            edges = _edges(of_layer[quantity].dropna(), quantity)
            for selection, some in of_layer.groupby("selection", sort=True):
                shares = np.array([np.histogram(run[quantity].dropna(), edges)[0] / len(run)
                                   for _, run in some.groupby("run", sort=False)])
                about = {"neurons": len(some) // len(shares), "seeds": len(shares),
                         "interval": SPREAD[True] if len(shares) > 1 else ""}
                parts += [{"layer": layer, "quantity": quantity, "selection": selection, "start": a, "end": b,
                           "value": column.mean(), "low": column.min(), "high": column.max()} | about
                          for a, b, column in zip(edges, edges[1:], shares.T)]
    return pd.DataFrame(parts)


def _edges(values, quantity):
    if quantity == "images_selected":
        return 2.0 ** np.arange(np.floor(np.log2(max(values.max(), 1))) + 2)
    return np.linspace(min(values.min(), 0), values.max() + 1e-9, BINS + 1)


def draw(data, runs, kind):
    """A row of panels per layer: images selected (logarithmic) and scores, a stepped line per selection."""
    layers = list(dict.fromkeys(data["layer"]))
    fig = figure(PAGE, 1.7 * len(layers) + 1.1, "Images and scores of the neurons", kind, shared(runs, VARIES))
    axes = fig.subplots(len(layers), len(VALUES), squeeze=False)
    for line, layer in zip(axes, layers):
        for ax, quantity in zip(line, VALUES):
            panel = data[(data["layer"] == layer) & (data["quantity"] == quantity)]
            for selection, some in panel.groupby("selection", sort=True):
                colour, label = look(selection)
                edges = [*some["start"], some["end"].iloc[-1]]
                ax.stairs(some["value"], edges, color=colour, linewidth=1.4, label=label)
                ax.stairs(some["high"], edges, baseline=some["low"], fill=True, color=colour, alpha=0.2, linewidth=0)
            if quantity == "images_selected":
                ticks = sorted({*panel["start"], *panel["end"]})
                ax.set_xscale("log", base=2)
                ax.set_xticks(ticks, [f"{n:.0f}" for n in ticks])
            ax.set_title(f"{layer}, {data[data['layer'] == layer]['neurons'].max()} neurons", loc="left")
            ax.set(ylim=(0, None), ylabel="share of neurons", xlabel=VALUES[quantity])
            ax.grid(axis="y")
    legend_below(axes[-1, -1], spread(data, "band"), ncols=2)
    return fig
