"""Figure 3 as it is printed."""
import textwrap

import numpy as np

from mammi.figures.draw import GREEN, GREY, PAGE, STYLE, save

LABELS = {"mammi": "MAMMI", "tsi": "TSI", "tsi_paper": "TSI", "falcon": "FALCON", "falcon_paper": "FALCON",
          "clip_dissect": "CLIP-D."}
HEAT, LONGEST = "inferno", 17  # letters of a word that fit
LEGEND = ("{}. Below an image: the predicted class's probability and threshold; ✓ it has that label, ✗ it has "
          "not; green: where the finding is drawn. φ: Shapley value, and its share of the output. Words: the best of "
          "each method, – none. Overall maps: the three leading neurons, weighed by their φ for this image, and by the "
          "mean φ of the images with its label{}.")


def draw(cases, shown, words, evidence, without, stem):
    """``stem``.png and .pdf, a line per case: image and truth | neuron and its words, twice | both overall maps.

    without  classes that no image has the label of: their mean is over the images with the prediction
    """
    import matplotlib

    with matplotlib.rc_context(STYLE | {"font.size": 6}):
        from matplotlib.figure import Figure

        most = max(len(own.neurons) for own in shown)
        widths = [1, .08] + [1, 1.02] * most + [.06, 1, 1]
        target, concepts = evidence.target, evidence.concepts
        small = textwrap.wrap(LEGEND.format(
            f"{target.name} / {target.layer}, {evidence.images.name} ({len(evidence.images):,} images), "
            f"{concepts.name} ({len(concepts):,} words), {evidence.dissector.name}",
            f" (of {', '.join(without)}, which none has: with that prediction)" if without else ""), 155)
        line, above, below = 1.2, .68, .23 + .09 * len(small)
        fig = Figure((PAGE, line * len(cases) + above + below))
        height = fig.get_figheight()
        axes = fig.subplots(len(cases), len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
        for ax in axes.flat:
            ax.axis("off")
        fig.subplots_adjust(.015, below / height, .992, 1 - above / height, .03, .27)
        for row, (case, own) in enumerate(zip(cases, shown)):
            _image(axes[row, 0], case, own, evidence.images)
            for n, k in enumerate(own.neurons):
                ax = axes[row, 2 + 2 * n]
                _map(ax, own, own.maps[n])
                ax.set_title(f"neuron {k}", fontsize=6.2, pad=2)
                _words(axes[row, 3 + 2 * n], case, int(k), words)
            for ax, values, what in zip(axes[row, -2:], (own.sample, own.of_class), ("this image", "its class")):
                _map(ax, own, values)
                ax.set_title(what, fontsize=6.2, pad=2)
            axes[row, -2].text(1.03, -.05, f"cosine {own.cosine:.3f}", transform=axes[row, -2].transAxes, ha="center",
                               va="top", fontsize=5.6, color=GREY)
        _head(fig, axes, most, height)
        kind = "synthetic" if evidence.images.synthetic else "real"
        fig.text(.5, 1 - .07 / height, "What predictions rest on, what the neurons are called, and where they fire "
                 f"({kind} images)", ha="center", va="top", fontsize=8.5)
        fig.text(.5, .05 / height, "\n".join(small), ha="center", va="bottom", fontsize=5.4, color=GREY)
        save(fig, stem)


def _head(fig, axes, most, height):
    """What the columns are, above the first line."""
    spans = [(axes[0, 0], axes[0, 0], "prediction"),
             (axes[0, 2], axes[0, 1 + 2 * most], "leading neurons by Shapley value, and their names"),
             (axes[0, -2], axes[0, -1], "overall map of")]
    for first, last, what in spans:
        left, right = first.get_position().x0, last.get_position().x1
        top = 1 - .37 / height
        fig.text((left + right) / 2, top, what, ha="center", va="bottom", fontsize=6.8, weight="bold")
        fig.add_artist(_line(left, right, top - .03 / height))


def _line(left, right, y):
    from matplotlib.lines import Line2D

    return Line2D((left, right), (y, y), lw=.6, color="black")


def _image(ax, case, own, images):
    ax.imshow(own.grey, cmap="gray")
    ax.set_title(case.name, fontsize=6.4, weight="bold", pad=2)
    if own.truth is not None:
        ax.contour(own.truth, [.5], colors=GREEN, linewidths=1)
    told = f"p {case.probability:.2f} (≥ {case.threshold:.2f}) {_labelled(images, case)}"
    ax.text(.5, -.05, told, transform=ax.transAxes, ha="center", va="top", fontsize=5.6, color=GREY)


def _labelled(images, case):
    lower = [name.lower().replace("_", " ") for name in images.label_names]
    name = case.name.lower().replace("_", " ")
    if images.labels is None or name not in lower:
        return ", no label"
    value = images.labels[case.image, lower.index(name)]
    return ", label unknown" if np.isnan(value) else "✓" if value else "✗"


def _map(ax, own, values):
    ax.imshow(own.grey, cmap="gray")
    if values.max() > 0:
        part = values / values.max()
        ax.imshow(part, cmap=HEAT, vmin=0, vmax=1, alpha=.65 * part ** .7)
    if own.truth is not None:
        ax.contour(own.truth, [.5], colors=GREEN, linewidths=.6)


def _words(ax, case, k, words):
    share = f" ({100 * case.phi[k] / case.output:.0f} %)" if case.output > 0 else ""
    ax.text(.03, 1, f"φ {case.phi[k]:.2f}{share}", fontsize=5.8, va="top", color=GREY)
    for line, (name, found) in enumerate(words.items()):
        word = found.concepts[k][0] if found.concepts[k] else "–"
        y = .8 - .21 * line
        ax.text(.03, y, LABELS.get(name, name), fontsize=5, va="top", color=GREY)
        ax.text(.03, y - .075, word if len(word) <= LONGEST else word[:LONGEST - 1] + "…", fontsize=6.6, va="top")
    ax.set(xlim=(0, 1), ylim=(0, 1))


def summarise(cases, shown, words, facts, notes, synthetic, folder):
    """Print a row per neuron shown, and where the figure lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column in ("class", "neuron", "phi", *(LABELS.get(name, name) for name in words)):
        table.add_column(column, justify="right" if column in ("neuron", "phi") else "left")
    for case, own in zip(cases, shown):
        for k in own.neurons:
            table.add_row(case.name, str(k), f"{case.phi[k]:.2f}",
                          *(found.concepts[k][0] if found.concepts[k] else "–" for found in words.values()))
    console.print(table)
    console.print(f"Mean cosine of an image's map and its class's: {facts['map_cosine']:.2f} over {facts['cases']} "
                  "predictions.", highlight=False)
    for note in dict.fromkeys(notes):
        console.print(f"[yellow]{note}[/]")
    console.print("[bold]SYNTHETIC images: nothing here is a clinical result.[/]" if synthetic else "Real images.")
    console.print(f"Figure: {folder}/figure3.png, figure3.pdf; its numbers: figure3.csv", soft_wrap=True)
