"""All methods on planted units, whose concepts are known exactly, against the units' noise."""
import numpy as np

from mammi.errors import number
from mammi.evaluation.metrics import wilson
from mammi.figures.draw import BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, RED, SKY, bars, figure
from mammi.figures.runs import setting, shared, spread

NAME, RUNS, VARIES = "leaderboard", "leaderboard", ("method", "selection", "target.noise")
METHODS = {"mammi": ("MAMMI", BLUE, "o"), "www": ("WWW (mammi, top k)", SKY, "s"),
           "clip_dissect": ("CLIP-Dissect", ORANGE, "D"), "falcon": ("FALCON", GREEN, "^"),
           "falcon_whole": ("FALCON, whole images", BLACK, "<"),
           "tsi": ("TSI, which sees the masks and\nchooses among their names", RED, "v"),
           "max_correlation": ("max correlation", PURPLE, "P"), "random": ("random words", GREY, "x")}


def rows(run):
    """One row: method (``www`` is mammi on top k), noise, hit by synonyms as ``value``, units ``n``, words per unit."""
    choices, hit, n = run.about["choices"], run.metrics.get("hit_synonym"), run.metrics.get("n_named")
    words = run.metrics.get("concepts_per_neuron")
    if hit is None or not n:
        raise ValueError("metrics.json has no hit_synonym of named units")
    method = "www" if (choices["method"], choices["selection"]) == ("mammi", "top_k") else choices["method"]
    return [{"method": method, "noise": setting(run, "target.noise"), "value": number("hit_synonym", hit, 0, 1),
             "n": number("n_named", n, 1, whole=True),
             "words": number("concepts_per_neuron", words, 0) if words else np.nan}]


def fold(frame):
    """The plotted numbers: a row per method and noise, mean hit over seeds, with ``low`` and ``high``.

    They are Wilson's 95 % interval of the mean rate at the n units of one seed: the units are the same in each seed,
    so seeds do not multiply n. ``seed_min`` and ``seed_max`` are the smallest and largest hit of a seed.
    """
    import pandas as pd

    parts = []
    for (method, noise), some in frame.sort_values("noise", kind="stable").groupby(["method", "noise"], sort=False):
        n, rate = int(some["n"].min()), some["value"].mean()
        low, high = wilson(rate * n, n)
        parts.append({"method": method, "noise": noise, "value": rate, "low": low, "high": high,
                      "interval": f"Wilson's 95% interval for {n} units", "n": n, "seeds": len(some),
                      "seed_min": some["value"].min(), "seed_max": some["value"].max(), "words": some["words"].mean()})
    return pd.DataFrame(parts)


def draw(data, runs, kind):
    """A line per method, the best on average first in the legend; points are set apart so that bars do not overlap.

    Any of a unit's words may hit, so the legend says how many a method gives.
    """
    fig = figure(PAGE, 3.4, "Planted units: which method names them", kind, shared(runs, VARIES))
    ax = fig.subplots()
    order = data.groupby("method")["value"].mean().sort_values(ascending=False, kind="stable").index
    noises = sorted(set(data["noise"]))
    apart = 0.09 * min(np.diff(noises), default=1)
    for k, method in enumerate(order):
        label, colour, marker = METHODS.get(method, (method, BLACK, "."))
        some = data[data["method"] == method]
        words = some["words"].mean()
        label += "" if np.isnan(words) else f"; {words:.1f} words"
        ax.errorbar(some["noise"] + apart * (k - (len(order) - 1) / 2), some["value"], yerr=bars(some), marker=marker,
                    color=colour, elinewidth=0.7, label=label)
    ax.set(ylim=(-0.02, 1.02), xlabel="noise of the units", ylabel="hit, synonyms")
    ax.set_xticks(noises, [f"{noise:g}" for noise in noises])
    ax.grid(axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), alignment="left", labelspacing=0.7,
              title=spread(data).replace("; ", "\n").replace(" for ", "\nfor ") + "; words: mean of a unit")
    return fig
