"""What a person sees of a study."""
import numpy as np

from mammi.files import replacing

SCORERS = {"target": ("target", "#2a9d5c"), "twin": ("random-weight twin", "#8a8a8a"),
           "dissector": ("dissector, zero-shot", "#4a6fa5")}


def auroc_picture(table, facts, images, path):
    """AUROC of each label with its interval over patients: target, random twin, dissector."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    judged = table.dropna(subset="auroc_target").sort_values("auroc_target", kind="stable")
    at = np.arange(len(judged))
    fig, ax = plt.subplots(figsize=(7, .42 * len(judged) + 1.4))
    for shift, (name, (label, colour)) in zip((.2, 0, -.2), SCORERS.items()):
        value, low, high = (judged[f"auroc_{name}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
        ax.errorbar(value, at + shift, xerr=[(value - low).clip(0), (high - value).clip(0)], fmt="o", ms=4, lw=1,
                    color=colour, label=f"{label}, mean {_text(facts, f'auroc_{name}')}")
    ax.axvline(.5, color="black", lw=.6)
    ax.set(yticks=at, xlabel="AUROC, 95 % interval over patients", xlim=(0, 1))
    ax.set_yticklabels([f"{row.label} ({row.positives})" for row in judged.itertuples()])
    ax.set_title(f"{images}, {facts['images']} images. Target beats its random-weight twin: "
                 f"{facts['target_beats_random_twin']}", fontsize=9)
    ax.legend(fontsize=7, loc="lower left")
    fig.tight_layout()
    with replacing(path) as part:
        fig.savefig(part, dpi=110, format="png")
    plt.close(fig)


def summarise(table, facts, notes, folder):
    """Print a row per label, the means, the verdict, and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console, shown = Console(), Table(box=None, header_style="bold")
    for column in ("label", "positives", *SCORERS, "word of target", "word of twin"):
        shown.add_column(column, justify="left" if column == "label" or "word" in column else "right")
    for row in table.to_dict("records"):
        words = [row.get(f"top_concept_{name}") for name in ("target", "twin")]
        shown.add_row(row["label"], str(row["positives"]), *(_text(row, f"auroc_{name}") for name in SCORERS),
                      *(word if isinstance(word, str) else "" for word in words))
    shown.add_row("mean", "", *(_text(facts, f"auroc_{name}") for name in SCORERS), "", "")
    console.print(shown)
    console.print("AUROC with 95 % intervals over patients; blank where there are fewer than 10 positives.")
    console.print(f"Target beats its random-weight twin: [bold]{facts['target_beats_random_twin']}[/] "
                  f"(difference of the means {_text(facts, 'auroc_difference')})")
    for note in notes:
        console.print(f"[yellow]{note}[/]")
    console.print(f"Table and pictures: {folder}/study.csv, auroc.png, target/neurons.png, twin/neurons.png",
                  soft_wrap=True)


def _text(row, name):
    value = row.get(name)
    if value is None or value != value:
        return ""
    return f"{value:.2f} ({row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f})"
