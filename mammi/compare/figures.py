"""The three figures of Mammo-CLIP Dissect: similarity by depth, clinical words against controls, broad categories.

Layers are numbered from the image to the output; the small print names those that are shown.
"""
import numpy as np

from mammi.compare.layers import NULL, OFFICIAL
from mammi.compare.tables import ALL
from mammi.figures.draw import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, RED, SKY, STYLE, figure, save

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
STACK = (BLUE, SKY, GREEN, ORANGE, RED, PURPLE, "#8C8C2A", "#5D4E8C", "#B0B0B0")
SHOWN = 3  # layers of the bar charts: the first, the middle and the last, as in the paper
WHICH = {OFFICIAL: "official threshold", NULL: "permutation null, 95 %"}


def draw(comparison, kind, about, folder):
    """``similarity``, ``clinical`` and ``categories``, .png and .pdf each, in ``folder``.

    kind, about  ``real`` or ``synthetic``, and small print
    """
    from matplotlib import rc_context

    shown = _shown(comparison)
    about += " Layers: " + ", ".join(f"{depth + 1} {_name(comparison, depth)}" for depth in shown) + "."
    with rc_context(STYLE):
        save(_depth(comparison, kind, about), folder / "similarity")
        save(_clinical(comparison, shown, kind, about), folder / "clinical")
        save(_categories(comparison, shown, kind, about), folder / "categories")


def _depth(comparison, kind, about):
    """Mean best score by layer, with both thresholds."""
    fig = figure(PAGE, 3.2, "How well the best word fits a unit, by depth", kind, about)
    ax = fig.subplots()
    for model, colour in zip(comparison.models, COLOURS * len(comparison.models)):
        own = sorted((layer for layer in comparison.layers if layer.model == model), key=lambda one: one.depth)
        x = [layer.depth + 1 for layer in own]
        ax.plot(x, [layer.score.mean() for layer in own], "o-", color=colour, label=model)
        if NULL in comparison.thresholds:
            ax.plot(x, [layer.limits(0)[NULL] for layer in own], ":", color=colour, label=f"{model}: null, 95 %")
    depths = comparison.depths
    ax.plot([depth + 1 for depth in depths], [comparison.official[depth] for depth in depths], "--", color=GREY, lw=.8,
            label="official threshold")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(ylabel="mean top-1 similarity (soft-WPMI)", xlabel="layer, from the image to the output")
    ax.grid(axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(1, .5))
    return fig


def _clinical(comparison, shown, kind, about):
    """Units above each threshold with a clinical and with a control word, as many null units beside them."""
    fig = figure(PAGE, 3, "Units whose best word is clinical, or a control word", kind,
                 about + ("" if comparison.control.any() else " These words have no control."))
    axes = fig.subplots(1, len(comparison.thresholds), squeeze=False)[0]
    parts = (("clinical", ~comparison.control, -1), ("control", comparison.control, 1))
    width = .8 / len(comparison.models)
    for ax, threshold in zip(axes, comparison.thresholds):
        for m, (model, colour) in enumerate(zip(comparison.models, COLOURS * len(comparison.models))):
            for part, some, side in parts:
                at = np.arange(len(shown)) + (m + .5) * width - .4 + side * width / 4
                held = [comparison.held[model, depth, threshold] for depth in shown]
                n = np.array([one.observed[some].sum() for one in held])
                low, high = np.percentile([one.samples[:, some].sum(1) for one in held], [2.5, 97.5], axis=1)
                ax.bar(at, n, width * .46, color=colour if part == "clinical" else "white", edgecolor=colour, lw=.6,
                       hatch="" if part == "clinical" else "/////", label=f"{model}, {part}",
                       yerr=[(n - low).clip(0), (high - n).clip(0)], error_kw={"lw": .6})
                if held[0].chance is not None:
                    ax.plot(at, [one.chance[:, some].sum(1).mean() for one in held], "_", color="black", ms=5,
                            label=None if m or side > 0 else "as many null units")
        ax.set(title=WHICH[threshold], xticks=range(len(shown)), ylabel="units" if ax is axes[0] else None)
        ax.set_xticklabels([f"layer {depth + 1}" for depth in shown])
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, .5))
    return fig


def _categories(comparison, shown, kind, about):
    """Share of each broad category among the units above each threshold; their number above each bar."""
    level = "broad_category" if "broad_category" in comparison.levels else "category"
    kinds, member = comparison.levels[level]
    fig = figure(PAGE, 4, f"What units above the threshold stand for, by {level.replace('_', ' ')}", kind, about)
    axes = fig.subplots(1, len(comparison.thresholds), squeeze=False, sharey=True)[0]
    groups = [*shown, ALL]
    columns = [(group, model) for group in groups for model in comparison.models]
    at = np.array([g * (len(comparison.models) + 1) + m for g in range(len(groups))
                   for m in range(len(comparison.models))])
    for ax, threshold in zip(axes, comparison.thresholds):
        n = np.array([comparison.held[model, group, threshold].observed @ member for group, model in columns], float)
        shares = n / np.maximum(n.sum(1, keepdims=True), 1)
        for k, name in enumerate(kinds):
            ax.bar(at, shares[:, k], .85, shares[:, :k].sum(1), color=STACK[k % len(STACK)], label=name)
        for place, total in zip(at, n.sum(1)):
            ax.text(place, 1.01, f"{total:.0f}", ha="center", fontsize=5)
        ax.set(title=WHICH[threshold], xticks=at, ylim=(0, 1.06), ylabel="share of units" if ax is axes[0] else None)
        ax.set_xticklabels([f"{model}, {group if group == ALL else f'layer {group + 1}'}" for group, model in columns],
                           rotation=90, fontsize=6)
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, .5))
    return fig


def _shown(comparison):
    depths = comparison.depths
    return depths if len(depths) <= SHOWN else [depths[0], depths[len(depths) // 2], depths[-1]]


def _name(comparison, depth):
    return " / ".join(dict.fromkeys(layer.name for layer in comparison.layers if layer.depth == depth))
