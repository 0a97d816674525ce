"""What a person sees of Med-MICN: an image beside its saliency, concepts and rule; the numbers of a run."""
import textwrap

import numpy as np

from mammi.files import replacing
from mammi.micn.metrics import NAMES
from mammi.micn.rules import ACTIVE, body

HEADINGS = {"accuracy": "accuracy", "macro_f1": "macro F1", "auroc": "AUROC"}
FACTS = {"concept_accuracy": "concept accuracy", "concept_accuracy_majority": "  of saying the most frequent",
         "concept_spearman": "concepts, rank correlation with label scores", "rule_fidelity": "rules predict the same",
         "rule_accuracy": "rules are right", "rule_coverage": "images with a rule", "rule_length": "literals of a rule",
         "rules_right_by_labels": "rules are right where labels fulfil them",
         "rules_right_by_labels_base": "  share of their classes among all",
         "sign_agreement": "sign of a literal is the label",
         "relevance": "mean relevance", "saliency_mass": "concept's saliency in its heat map (chance .20)",
         "saliency_mass_other": "  in the other concepts', mean", "saliency_iou": "overlap of both (chance .11)",
         "class_saliency_mass": "class's saliency in the heat map",
         "neurons_auroc": "MAMMI's neurons rank the labels, AUROC",
         "concepts_auroc": "the concept bottleneck does"}
MOST, WIDTH = 14, 38  # concepts of a picture; characters of a line of a rule


def draw(images, split, trained, rules, classes, words, explainer, path):
    """A row an image: the image and its class, saliency of the prediction, concepts (c0 at the bottom), the rule.

    Of more than MOST concepts those of highest probability are shown.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = min(len(words), MOST)
    fig, axes = plt.subplots(len(images), 4, squeeze=False, figsize=(11, max(2.2, .19 * shown + .5) * len(images) + .3),
                             gridspec_kw={"width_ratios": [1, 1, 1.1, 1.5]}, layout="constrained")
    pictures = split.images.load([one.position for one in images]).images
    for row, one, picture in zip(axes, images, pictures):
        p, said = one.position, trained.scores[one.position].argmax()
        pixels = np.asarray(picture)
        grey = {"cmap": "gray"} if pixels.ndim == 2 else {}
        row[0].imshow(pixels, **grey)
        told = f"predicted {classes[said]} ({trained.scores[p, said]:.2f})"
        row[0].set_title(f"{classes[split.y[p]]}\n{told}", fontsize=8)
        row[1].imshow(pixels, **grey)
        left, top, right, bottom = one.box
        row[1].imshow(one.of_class, cmap="inferno", alpha=.5, extent=(left - .5, right - .5, bottom - .5, top - .5))
        row[1].set(xlim=row[0].get_xlim(), ylim=row[0].get_ylim())
        row[1].set_title(f"{explainer} of {classes[said]}", fontsize=8)
        order = np.sort(np.argsort(-trained.concepts[p], kind="stable")[:shown])
        values = trained.concepts[p, order]
        row[2].barh(range(shown), values, color="#4a6fa5")
        for k, value in enumerate(values):
            row[2].text(value + .02, k, f"{value:.2f}", va="center", fontsize=6)
        row[2].set(yticks=range(shown), xlim=(0, 1.2), xticks=[0, .5, 1])
        row[2].set_yticklabels([f"c{i} {textwrap.shorten(words[i], 26, placeholder='…')}" for i in order], fontsize=6)
        row[2].tick_params(axis="x", labelsize=6)
        row[2].spines[["top", "right"]].set_visible(False)
        row[3].text(0, .98, _told(rules[p], said, trained.reasoning[0][p], classes, words), fontsize=7, va="top",
                    transform=row[3].transAxes)
        for ax in (row[0], row[1], row[3]):
            ax.axis("off")
    with replacing(path) as part:
        fig.savefig(part, dpi=110, format="png")
    plt.close(fig)


def _told(rules, said, truths, classes, words):
    parts = [f"{classes[r.cls]} <= {body(r, words) or 'anything'}   (truth {r.truth:.2f})" for r in rules]
    if not any(r.cls == said for r in rules):
        parts.append(f"no rule of {classes[said]} fires: its truth is {truths[said]:.2f}, {ACTIVE} is needed")
    return "\n\n".join("\n".join(textwrap.wrap(part, WIDTH)) for part in parts)


def summarise(names, table, facts, rules, notes, synthetic, folder):
    """Print the models side by side, what is known of concepts, rules and saliency, each class's most frequent rule."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    title = (f"{names['target']} / {names['layer']}, {names['probing_set']}: {facts['images_test']} images, "
             f"{facts['seeds']} seeds")
    models = Table(box=None, header_style="bold", title=title, title_justify="left")
    for column in ("model", *HEADINGS.values()):
        models.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for row in table.to_dict("records"):
        models.add_row(row["model"], *(_cell(row, name) for name in NAMES))
    console.print(models)
    console.print("Mean over the seeds (95 % interval over patients and seeds).")
    more = Table(box=None, show_header=False)
    for key, what in FACTS.items():
        if facts.get(key) is not None and facts[key] == facts[key]:
            more.add_row(what, _cell(facts, key))
    console.print(more)
    for name, own in rules.groupby("class", sort=False):
        top = own.iloc[0]
        console.print(f"{top['rule']}   ({top['images']} of {own['images'].sum()} images with a rule of {name})",
                      highlight=False, markup=False, soft_wrap=True)
    for note in notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)
    kind = "SYNTHETIC images: nothing here is a clinical result." if synthetic else "Real images."
    console.print(f"[bold]{kind}[/] Tables and pictures: {folder}/models.csv, rules_global.csv, alignment.png",
                  soft_wrap=True)


def _cell(row, name):
    value = row.get(name)
    if value is None or value != value:
        return "n/a"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return f"{value:.2f}" + (f" ({low:.2f}-{high:.2f})" if low is not None and low == low else "")
