"""Pictures of a run: what each neuron looks at and is called, and how its words scored."""
import numpy as np

from mammi.files import replacing
from mammi.selection import by_activation

ROWS, COLUMNS = 20, 7  # neurons and images of the picture
RIGHT, WRONG, UNKNOWN = "#2a9d5c", "#c8553d", "#8a8a8a"


def shown_neurons(n):
    """Up to ROWS neuron numbers, evenly over the layer."""
    return np.unique(np.linspace(0, n - 1, min(n, ROWS)).round().astype(int))


def neuron_picture(annotations, evidence, neurons, path):
    """One row per neuron: its name, its words, its highest representative images (highest first).

    A frame is green where the image carries the neuron's label, red where not, grey where there is no such label;
    the number under an image is its activation.
    """
    plt = _pyplot()
    rows = shown_neurons(len(annotations.neurons))
    fig, axes = plt.subplots(len(rows), COLUMNS + 1, figsize=(1.25 * (COLUMNS + 2.2), 1.36 * len(rows) + 0.5),
                             squeeze=False, gridspec_kw={"width_ratios": [2.6] + [1] * COLUMNS})
    images, activations = evidence.images, evidence.activations
    for line, i in zip(axes, rows):
        for ax in line:
            ax.axis("off")
        _words(line[0], annotations, neurons, i)
        if annotations.selected is None:
            continue
        top = by_activation(activations, annotations.selected, i)[:COLUMNS]
        if not len(top):
            continue
        batch = images.load(top)
        label = _column(images, annotations.neurons[i])
        for ax, picture, image in zip(line[1:], batch.images, top):
            ax.imshow(np.asarray(picture), cmap="gray" if picture.mode != "RGB" else None)
            truth = np.nan if label is None else images.labels[image, label]
            colour = UNKNOWN if np.isnan(truth) else RIGHT if truth else WRONG
            ax.axis("on")
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"{activations[image, i]:.2f}", fontsize=6, labelpad=1)
            for spine in ax.spines.values():
                spine.set(color=colour, linewidth=1.8)
    kind = "synthetic images" if images.synthetic else "real images"
    fig.suptitle(f"{evidence.target.name} / {evidence.target.layer}, {images.name} ({kind}), {evidence.concepts.name}, "
                 f"{evidence.dissector.name}" + ("" if len(rows) == len(annotations.neurons) else
                                                 f": {len(rows)} of {len(annotations.neurons)} neurons"), fontsize=9)
    fig.tight_layout(pad=0.3, rect=(0, 0, 1, 1 - 0.35 / fig.get_size_inches()[1]))
    _save(fig, path)


def _words(ax, annotations, neurons, i):
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.text(0, 0.92, annotations.neurons[i], fontsize=9, weight="bold", va="top")
    words, scores = annotations.concepts[i], annotations.scores[i]
    if not words:
        ax.text(0, 0.62, annotations.status[i], fontsize=8, color=UNKNOWN, va="top", style="italic")
        return
    hit = neurons["hit"].iloc[i] if "hit" in neurons else None
    accepted = hit is not None and bool(neurons[[c for c in ("hit", "hit_synonym") if c in neurons]].iloc[i].max() == 1)
    colour = UNKNOWN if hit is None or np.isnan(hit) else RIGHT if accepted else WRONG
    for k, (word, score) in enumerate(list(zip(words, scores))[:4]):
        ax.text(0, 0.66 - 0.17 * k, f"{word}  {score:.3f}", fontsize=8, va="top", color=colour)
    if len(words) > 4:
        ax.text(0.98, 0.02, f"+{len(words) - 4}", fontsize=7, ha="right", color=UNKNOWN)


def _column(images, name):
    lower = [n.lower() for n in images.label_names]
    return lower.index(name.lower()) if name.lower() in lower else None


def score_plot(annotations, evidence, path):
    """Images selected and best score, neuron by neuron (sorted when there are many)."""
    plt = _pyplot()
    names, n = annotations.neurons, len(annotations.neurons)
    few = n <= 40
    count = np.zeros(n) if annotations.selected is None else annotations.selected.sum(0)
    best = np.array([s[0] if s else np.nan for s in annotations.scores])
    fig, axes = plt.subplots(1, 2, figsize=(9, 0.22 * n + 1.2 if few else 4), sharey=few)
    for ax, values, title in zip(axes, (count, best), ("images selected", "score of the best word")):
        if few:
            ax.barh(np.arange(n), values, color="#4a6fa5")
            ax.set(yticks=np.arange(n), ylim=(n - 0.5, -0.5))
            ax.set_yticklabels(names, fontsize=8)
        else:
            ax.hist(values[np.isfinite(values)], bins=40, color="#4a6fa5")
            ax.set_ylabel("neurons")
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
