"""Figure 2a: how much depends on alpha of Eq. (1)."""
from mammi.evaluation.metrics import LABELS
from mammi.figures.draw import BLUE, COLUMN, GREY, ORANGE, PURPLE, figure
from mammi.figures.runs import interval, over_seeds, setting, shared, spread

NAME, RUNS, VARIES = "figure2a", "figure2a", ("selection.alpha",)
PAPER = 0.93
PANELS = ("hit", "f1", "cos_")  # the last: every cosine that the runs have
COLOURS = (BLUE, ORANGE, PURPLE)


def rows(run):
    """A row per metric of one run: alpha, metric, value with its interval, and what the run notes of the metric."""
    alpha = setting(run, "selection.alpha")
    return [{"alpha": alpha, "metric": metric, "note": run.metrics.get(f"{metric}_note", "")} | interval(run, metric)
            for metric in LABELS if metric in PANELS or metric.startswith("cos_")]


def fold(frame):
    """The plotted numbers: a row per metric and alpha, over seeds."""
    return over_seeds(frame.sort_values("alpha", kind="stable"), ["metric", "note", "alpha"])


def draw(data, runs, kind):
    """One panel each for hit, F1 and the cosines, below one another; the paper's alpha is marked."""
    notes = [f"{LABELS[metric]}: {note}" for metric, note in dict.fromkeys(zip(data["metric"], data["note"])) if note]
    fig = figure(COLUMN, 4.8, "Figure 2a: scores by alpha", kind, "; ".join([shared(runs, VARIES), *notes]))
    axes = fig.subplots(len(PANELS), 1, sharex=True)
    for ax, panel in zip(axes, PANELS):
        cosines = panel == "cos_"
        here = [m for m in LABELS if m in set(data["metric"]) and (m.startswith(panel) if cosines else m == panel)]
        for metric, colour in zip(here, COLOURS):
            some = data[data["metric"] == metric]
            ax.fill_between(some["alpha"], some["low"], some["high"], color=colour, alpha=0.2, linewidth=0)
            ax.plot(some["alpha"], some["value"], "o-", color=colour, label=LABELS[metric])
        ax.axvline(PAPER, color=GREY, linestyle="--", linewidth=0.8)
        ax.set(ylim=(-0.02, 1.02), ylabel="cosine" if cosines else LABELS[panel])
        ax.grid(axis="y")
        if cosines and here:
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, ncols=len(here))
    axes[0].text(PAPER, 1.02, f"the paper's: {PAPER}", ha="center", va="bottom", color=GREY, fontsize=6.5)
    axes[-1].set_xlabel(f"alpha\n{spread(data, 'band')}")
    return fig
