"""Pictures of a run: what each neuron looks at and is called, and how its words scored."""
import textwrap

import numpy as np

from mammi.files import replacing
from mammi.selection import by_activation

SHOWN, COLUMNS = 24, 5  # neurons and images per neuron of the picture
LONGEST = 25  # characters of a word that fit beside the images
LEGEND = ("frame: the image carries the neuron's label (green), does not (red), unknown (grey); below: activation; "
          "a green word is accepted, exactly or as a synonym")
NO_SELECTION = "the images of highest activation, since this method selects none; "
RIGHT, WRONG, UNKNOWN = "#2a9d5c", "#c8553d", "#8a8a8a"


def shown_neurons(n):
    """Up to SHOWN neuron numbers, evenly over the layer."""
    return np.unique(np.linspace(0, n - 1, min(n, SHOWN)).round().astype(int))


def neuron_picture(annotations, evidence, neurons, path, method="", verdict=""):
    """Each neuron's name and words beside its highest representative images (highest first), in two columns.

    Where the method selects no images, those of highest activation among all; a dead neuron then has none.
    A frame is green where the image carries the neuron's label, red where not, grey where there is no such label;
    the number under an image is its activation. A word is green where evaluation accepts it. ``method`` stands first in
    the title, the gate's ``verdict`` on the dissector last.
    """
    plt = _pyplot()
    shown = shown_neurons(len(annotations.neurons))
    wide = 2 if len(shown) > 6 else 1
    lines = -(-len(shown) // wide)
    fig, axes = plt.subplots(lines, wide * (COLUMNS + 1), squeeze=False, figsize=(6.6 * wide, 0.98 * lines + 0.5),
                             gridspec_kw={"width_ratios": ([2.1] + [1] * COLUMNS) * wide, "wspace": 0.06})
    for ax in axes.flat:
        ax.axis("off")
    for at, i in enumerate(shown):
        block = (COLUMNS + 1) * (at // lines)
        line = axes[at % lines][block:block + COLUMNS + 1]
        _words(line[0], annotations, neurons, i)
        _images(line[1:], annotations, evidence, i)
    part = "" if len(shown) == len(annotations.neurons) else f", {len(shown)} of {len(annotations.neurons)} neurons"
    kind = "synthetic images" if evidence.images.synthetic else "real images"
    fig.text(0.5, 1 - 0.12 / fig.get_figheight(), f"{method and method + ': '}{evidence.target.name} / "
             f"{evidence.target.layer}{part}, {evidence.images.name} ({kind}), {evidence.concepts.name}, "
             f"{evidence.dissector.name}{verdict and f' ({verdict})'}",
             ha="center", va="top", fontsize=9)
    legend = textwrap.wrap(LEGEND if annotations.selected is not None else NO_SELECTION + LEGEND,
                           int(18 * fig.get_figwidth()))
    fig.text(0.5, 0.06 / fig.get_figheight(), "\n".join(legend), ha="center", fontsize=7, color=UNKNOWN)
    fig.subplots_adjust(0.01, (0.19 + 0.11 * len(legend)) / fig.get_figheight(), 0.99, 1 - 0.4 / fig.get_figheight(),
                        hspace=0.28)
    _save(fig, path)


def _images(axes, annotations, evidence, i):
    top = _top(annotations, evidence, i)[:len(axes)]
    if not len(top):
        return
    label = _column(evidence.images, annotations.neurons[i])
    for ax, picture, image in zip(axes, evidence.images.load(top).images, top):
        ax.imshow(np.asarray(picture), cmap="gray" if picture.mode != "RGB" else None)
        truth = np.nan if label is None else evidence.images.labels[image, label]
        ax.axis("on")
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(f"{evidence.activations[image, i]:.2f}", fontsize=6, labelpad=1)
        for spine in ax.spines.values():
            spine.set(color=UNKNOWN if np.isnan(truth) else RIGHT if truth else WRONG, linewidth=1.8)


def _top(annotations, evidence, i):
    if annotations.selected is not None:
        return by_activation(evidence.activations, annotations.selected, i)
    if annotations.status[i] == "dead":
        return []
    return np.argsort(-np.asarray(evidence.activations[:, i]), kind="stable")


def _words(ax, annotations, neurons, i):
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.text(0, 0.98, annotations.neurons[i], fontsize=8.5, weight="bold", va="top")
    words, scores = annotations.concepts[i], annotations.scores[i]
    if not words:
        ax.text(0, 0.72, annotations.status[i], fontsize=7.5, color=UNKNOWN, va="top", style="italic")
        return
    judged = "hit" in neurons and not np.isnan(neurons["hit"].iloc[i])
    accepted = neurons["accepted"].iloc[i].split("; ") if judged else ()
    for k, (word, score) in enumerate(list(zip(words, scores))[:4]):
        colour = UNKNOWN if not judged else RIGHT if word in accepted else WRONG
        short = word if len(word) <= LONGEST else word[:LONGEST - 1] + "…"
        ax.text(0, 0.72 - 0.19 * k, f"{short}  {score:.2f}", fontsize=7.5, va="top", color=colour)
    if len(words) > 4:
        ax.text(0.9, 0.02, f"+{len(words) - 4}", fontsize=7, ha="right", color=UNKNOWN)


def _column(images, name):
    lower = [n.lower() for n in images.label_names]
    return lower.index(name.lower()) if name.lower() in lower else None


def score_plot(annotations, evidence, path):
    """Best score and, where the method selects any, images selected: neuron by neuron, or histograms of many."""
    plt = _pyplot()
    names, n = annotations.neurons, len(annotations.neurons)
    few = n <= 40
    panels = {} if annotations.selected is None else {"images selected": annotations.selected.sum(0)}
    panels["score of the best word"] = np.array([s[0] if s else np.nan for s in annotations.scores])
    fig, axes = plt.subplots(1, len(panels), figsize=(4.5 * len(panels), 0.22 * n + 1.2 if few else 4), sharey=few,
                             squeeze=False)
    for ax, (title, values) in zip(axes[0], panels.items()):
        if few:
            ax.barh(np.arange(n), values, color="#4a6fa5")
            ax.set(yticks=np.arange(n), ylim=(n - 0.5, -0.5))
            ax.set_yticklabels(names, fontsize=8)
        else:
            ax.hist(values[np.isfinite(values)], bins=40, color="#4a6fa5")
            ax.set_ylabel("neurons")
        if not np.isfinite(values).any():
            ax.set(xticks=[])
            ax.text(0.5, 0.5, "no neuron has a word", transform=ax.transAxes, ha="center", color=UNKNOWN)
        ax.set_title(title, fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    fig.suptitle(f"{evidence.target.name} / {evidence.target.layer}, {len(evidence.images)} images", fontsize=9)
    fig.tight_layout()
    _save(fig, path)


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(fig, path):
    import matplotlib.pyplot as plt

    with replacing(path) as part:
        fig.savefig(part, dpi=110, format=str(path).rsplit(".", 1)[-1])
    plt.close(fig)
