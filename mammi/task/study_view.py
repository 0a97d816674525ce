"""What a person sees of a study."""
import numpy as np

from mammi.files import replacing

SCORERS = {"target": ("target", "#2a9d5c"), "twin": ("random-weight twin", "#8a8a8a"),
           "brightness": ("mean brightness", "#d08c2a"), "dissector": ("dissector, zero-shot", "#4a6fa5")}
NAME_WIDTH = 16  # columns of the terminal for a label or a word; longer ones are cut
CONTROLS = {"twin": "its random-weight twin", "brightness": "the mean brightness of an image"}


def auroc_picture(table, facts, images, path):
    """AUROC of each label with its interval over patients: target, random twin, dissector."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    judged = table.dropna(subset="auroc_target").sort_values("auroc_target", kind="stable")
    at = np.arange(len(judged))
    fig, ax = plt.subplots(figsize=(7, .5 * len(judged) + 1.8))
    for shift, (name, (label, colour)) in zip((.27, .09, -.09, -.27), SCORERS.items()):
        value, low, high = (judged[f"auroc_{name}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
        ax.errorbar(value, at + shift, xerr=[(value - low).clip(0), (high - value).clip(0)], fmt="o", ms=4, lw=1,
                    color=colour, label=f"{label}, mean {_text(facts, f'auroc_{name}')}")
    ax.axvline(.5, color="black", lw=.6)
    ax.set(yticks=at, xlabel="AUROC, 95 % interval over patients", xlim=(0, 1))
    ax.set_yticklabels([f"{row.label} ({row.positives})" for row in judged.itertuples()])
    verdicts = "; ".join(f"{what}: {facts[f'target_beats_{name}']}" for name, what in CONTROLS.items())
    fig.suptitle(f"{images}, {facts['images']} images\nTarget beats {verdicts}", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    fig.legend(fontsize=7, loc="lower center", ncols=2, frameon=False)
    fig.tight_layout(rect=(0, .08, 1, 1))
    with replacing(path) as part:
        fig.savefig(part, dpi=110, format="png")
    plt.close(fig)


def summarise(table, facts, notes, folder):
    """Print a row per label, the means, the verdict, and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shown = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column, width in (("label", 0), ("n", 3), ("target", 12), ("twin", 4), ("grey", 4), ("dissect.", 8),
                          ("word", 0), ("twin's", 0)):
        shown.add_column(column, justify="right" if width else "left", min_width=width or None, no_wrap=True,
                         max_width=None if width else NAME_WIDTH)
    for row in [*table.to_dict("records"), {"label": "mean", **facts}]:
        words = [row.get(f"top_concept_{name}") for name in ("target", "twin")]
        shown.add_row(row["label"], str(row.get("positives", "")), _short(row, "auroc_target"),
                      *(_text(row, f"auroc_{name}").split(" ")[0] for name in SCORERS if name != "target"),
                      *(word if isinstance(word, str) else "" for word in words))
    console.print(shown)
    console.print("n positives; AUROC, the target's with its 95 % interval over patients, blank where n is below 10;"
                  " grey: mean brightness.")
    for name, what in CONTROLS.items():
        console.print(f"Target beats {what}: [bold]{facts[f'target_beats_{name}']}[/] "
                      f"(difference of the means {_text(facts, f'target_less_{name}')})", soft_wrap=True)
    for note in notes:
        console.print(f"[yellow]{note}[/]")
    console.print(f"Table and pictures: {folder}/study.csv, auroc.png, target/neurons.png, twin/neurons.png",
                  soft_wrap=True)


def _short(row, name):
    return _text(row, name).replace("(0", "").replace(" to 0", "-").replace(")", "")


def _text(row, name):
    value = row.get(name)
    if value is None or value != value:
        return ""
    return f"{value:.2f} ({row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f})"
