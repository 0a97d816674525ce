"""What a person sees of a target's performance."""
import numpy as np

from mammi.files import replacing

SHOWN, WIDE = 20, 5  # classes in the picture and in the terminal, those with most positives; panels in a row
CURVE, BAND = "#4a6fa5", "#c8553d"


def roc_picture(table, scores, truth, title, path):
    """ROC curve of each judged class; the dot is the threshold that was chosen on the validation set."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.metrics import roc_curve

    judged = table[table["not_judged"] == ""]
    shown = judged.sort_values("positives", ascending=False, kind="stable").head(SHOWN).sort_index()
    lines = -(-len(shown) // WIDE)
    fig, axes = plt.subplots(lines, WIDE, figsize=(2 * WIDE, 2.25 * lines + .7), squeeze=False, sharex=True,
                             sharey=True)
    for ax in axes.flat[len(shown):]:
        ax.axis("off")
    for ax, (k, row) in zip(axes.flat, shown.iterrows()):
        there = ~np.isnan(truth[:, k])
        ax.plot([0, 1], [0, 1], color="#bbbbbb", lw=.8)
        ax.plot(*roc_curve(truth[there, k] == 1, scores[there, k])[:2], color=CURVE, lw=1.3)
        ax.plot(1 - row.specificity, row.sensitivity, "o", ms=4, color=BAND)
        ax.set_title(f"{row.label} ({row.positives})\n{row.auroc:.2f} ({row.auroc_low:.2f} to {row.auroc_high:.2f})",
                     fontsize=7)
        ax.tick_params(labelsize=6)
        ax.set_aspect("equal")
    for ax in axes[:, 0]:
        ax.set_ylabel("sensitivity", fontsize=7)
    for ax in axes.flat[max(len(shown) - WIDE, 0):len(shown)]:
        ax.set_xlabel("1 - specificity", fontsize=7)
        ax.tick_params(labelbottom=True)
    some = f"; {len(shown)} of {len(judged)} judged classes" if len(shown) < len(judged) else ""
    fig.suptitle(f"{title}. Class (positives), AUROC with its 95 % interval over patients; dot: threshold of the "
                 f"validation set{some}", fontsize=8)
    fig.tight_layout()
    with replacing(path) as part:
        fig.savefig(part, dpi=110, format="png")
    plt.close(fig)


def summarise(title, table, facts, notes, synthetic, folder):
    """Print a row per class, the means, what was published, and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shown = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column in ("class", "n", "AUROC", "interval", "AUPRC", "from", "sens.", "spec.", "F1"):
        left = column == "class"
        shown.add_column(column, justify="left" if left else "right", no_wrap=not left, min_width=5 * (not left))
    for row in table.head(SHOWN).to_dict("records"):
        why = row["not_judged"].split(" and ")[0]  # whole in performance.csv
        numbers = ["", f"[dim]{why}[/]"] if why else _numbers(row)
        shown.add_row(row["label"], str(row["positives"]), *numbers)
    means = {name.removeprefix("mean_"): value for name, value in facts.items() if name.startswith("mean_")}
    shown.add_row("mean", "", *_numbers(means), style="bold")
    console.print(shown)
    if len(table) > SHOWN:
        console.print(f"... {len(table) - SHOWN} more classes in performance.csv")
    console.print("n positives; 95 % interval over patients; from: the probability that counts as present, chosen on "
                  "the validation set.")
    console.print(f"{facts['images']:,} test images of {facts['patients']:,} patients. {facts['classes_judged']} of "
                  f"{facts['classes']} classes judged, the others having below 10 positives or negatives.")
    console.print(f"Mean AUROC [bold]{means['auroc']:.3f}[/] ({means['auroc_low']:.3f} to {means['auroc_high']:.3f}).")
    if facts.get("published_note"):
        console.print(f"{facts['published_note']}.", highlight=False)
    for note in notes:
        console.print(f"[yellow]{note}[/]")
    console.print("[bold]SYNTHETIC images: nothing here is a clinical result.[/]" if synthetic else "Real images.")
    console.print(f"Tables and curves: {folder}/performance.csv, thresholds.csv, performance.png", soft_wrap=True)


def _numbers(row):
    known = {name: "" if value != value else f"{value:.2f}" for name, value in row.items() if isinstance(value, float)}
    if "threshold" in row:
        known["threshold"] = f"{row['threshold']:.3f}" if row["threshold"] == row["threshold"] else ""
    return [known["auroc"], f"{known['auroc_low']}-{known['auroc_high']}",
            *(known.get(name, "") for name in ("auprc", "threshold", "sensitivity", "specificity", "f1"))]
