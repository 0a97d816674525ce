"""What a person sees of explanations."""
import numpy as np

from mammi.files import replacing

SHOWN, WIDE = 24, 2   # rows of the picture, and side by side
HEAT, TRUTH = "inferno", "#3ddc97"
COLUMNS = ("image", "heat map", "overlay", "activation map")
HEADINGS = {"mass": "mass", "rank": "rank", "pointing": "pointing", "drop": "drop", "faithfulness": "faithful",
            "entropy": "entropy", "gini": "Gini"}


def picture(title, rows, table, kept, images, subject, name, path):
    """Image | heat map | overlay | activation map of up to SHOWN rows, evenly spread; the truth outlined."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    own = table[table["explainer"] == name].reset_index(drop=True)
    shown = np.unique(np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().astype(int))
    wide = WIDE if len(shown) > 3 else 1
    lines = -(-len(shown) // wide)
    columns = len(COLUMNS) if kept["actmap"] else len(COLUMNS) - 1
    fig, axes = plt.subplots(lines, wide * (columns + 1), squeeze=False, figsize=(wide * (1.05 * columns + 1.35),
                                                                                 1.1 * lines + .75),
                             gridspec_kw={"width_ratios": ([1.25] + [1] * columns) * wide})
    for ax in axes.flat:
        ax.axis("off")
    for at, i in enumerate(shown):
        block = (columns + 1) * (at // lines)
        line = axes[at % lines][block:block + columns + 1]
        batch = images.load([rows[i].image], masks=getattr(getattr(subject, "target", None), "needs_masks", False))
        grey = subject.prepare(batch)[0].mean(0).cpu().numpy()
        heat, truth = kept["attributions"][i].astype(float), kept["truth"][i]
        _words(line[0], rows[i], own.iloc[i])
        maps = [None, heat, heat, *(values.astype(float) for values in kept["actmap"][i:i + 1])]
        for k, (ax, values) in enumerate(zip(line[1:], maps)):
            if k != 1:
                ax.imshow(grey, cmap="gray")
            if values is not None:
                ax.imshow(values, cmap=HEAT, vmin=0, vmax=max(values.max(), 1e-6),
                          alpha=None if k == 1 else np.clip(values, 0, 1) * .75)
            if truth is not None and truth.any():
                ax.contour(truth, [.5], colors=TRUTH, linewidths=.8)
            if at % lines == 0:
                ax.set_title(COLUMNS[k], fontsize=7)
    height = fig.get_figheight()
    fig.subplots_adjust(.01, .06 / height + .15 / height, .99, 1 - .6 / height, .05, .08)
    kind = "synthetic images" if images.synthetic else "real images"
    part = f", {len(shown)} of {len(rows)}" if len(shown) < len(rows) else ""
    fig.text(.5, 1 - .08 / height, f"{title} ({kind}){part}", ha="center", va="top", fontsize=8.5)
    fig.text(.5, .05 / height, "green: where it is drawn; drop: of the activation, by deleting as many of the highest "
             "pixels as are drawn", ha="center", fontsize=6, color="#767676")
    with replacing(path) as part:
        fig.savefig(part, dpi=130, format="png")
    plt.close(fig)


def _words(ax, row, numbers):
    ax.set(xlim=(0, 1), ylim=(0, 1))
    lines = [row.readout.name] + [row.concept] * (row.concept != row.readout.name)
    ax.text(0, .97, "\n".join(line if len(line) < 20 else line[:19] + "…" for line in lines), fontsize=7, weight="bold",
            va="top")
    told = [f"activation {numbers['activation']:.2f}"]
    told += [f"{key} {numbers[key]:.2f}" for key in ("drop", "mass") if numbers[key] == numbers[key]]
    if numbers["note"]:
        told.append(numbers["note"] if len(numbers["note"]) < 26 else numbers["note"][:25] + "…")
    ax.text(0, .62, "\n".join(told), fontsize=6, va="top", color="#444444")


def summarise(title, table, facts, notes, synthetic, name, folder):
    """Print a row per explainer with its means, then chance, notes and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shown = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0))
    shown.add_column("explainer", no_wrap=True, min_width=max(map(len, table["explainer"].unique())))
    for heading in [*HEADINGS.values(), "ms"]:
        shown.add_column(heading, justify="right")
    for who in dict.fromkeys(table["explainer"]):
        end = "" if who == name else f"_{who}"
        cells = [_cell(facts, f"{metric}{end}") for metric in HEADINGS]
        ms = table.loc[table["explainer"] == who, "ms"].mean()
        shown.add_row(who, *cells, f"{ms:.1f}" if ms else "", style="bold" if who == name else "")
    console.print(shown)
    console.print(f"{facts['n_explained']} explanations on {facts['images']} images, 95 % intervals over patients; "
                  f"{facts['n_truth']} with a mask or box. ms: an explanation.", highlight=False)
    console.print(f"Of {name} mass is a mean over {facts['mass_n']} explanations, drop over {facts['drop_n']}; "
                  f"{facts['n_zero_maps']} maps are 0 everywhere.", highlight=False)
    if facts["n_truth"]:
        console.print(f"Chance: a mass of {facts['chance']:.3f}, the truth's area where the mass is known; {name} has "
                      f"[bold]{facts['mass_over_chance']:.2f}[/] times that.", highlight=False)
    for note in notes:
        console.print(f"[yellow]{note}[/]")
    console.print("[bold]SYNTHETIC images: nothing here is a clinical result.[/]" if synthetic else "Real images.")
    console.print(f"Pictures and tables: {folder}/explain.png, explain_metrics.csv, masks.npz", soft_wrap=True)


def _cell(facts, key):
    value = facts.get(key)
    if value is None or value != value:
        return ""
    return f"{value:.2f}\n[dim]{facts[f'{key}_low']:.2f} to {facts[f'{key}_high']:.2f}[/]"
