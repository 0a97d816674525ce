"""Words of a concept set as files: the words, how often reports use them, what was left out, captions for FALCON."""
import pandas as pd

from mammi.concept_set.text_file import packaged
from mammi.files import replacing
from mammi.lemma import lemmas
from mammi.reports import captions
from mammi.synonyms import load_synonyms

SHOWN = 30  # words of the picture
LEVELS = {"": "as they stand", "_lemma": "in the singular", "_synonym": "with synonyms"}
NO_REPORTS = "these words come from no reports here: no frequencies, no captions"


def concepts(concept_set, cache, out):
    """Leave the words of ``concept_set``, and what is known of where they come from, in ``out``.

    words.txt       one a line: a concept set itself (``concept_set=text_file concept_set.path=.../words.txt``)
    concepts.csv    word; document_frequency (reports that use it) and share of all reports; category
    dropped.csv     word, why, document_frequency of each word left out, of sets that can say
    captions.txt    distinct sentences of the reports, one a line: what FALCON takes for its captions
    frequency.png   the most frequent words, and frequency over rank
    metrics.json    numbers of words, reports, captions; how many of the 14 NIH labels are among the words, which is
                    the ceiling of the hit rate: as they stand, by lemma, by lemma of a synonym
    Returns (the :class:`~mammi.types.Concepts`, metrics).
    """
    found, reports, left_out = concept_set.load(cache), concept_set.reports(), concept_set.left_out(cache)
    metrics, missing = ceilings(found.words)
    metrics |= {"concepts": len(found), "phrases": sum(" " in word for word in found.words),
                "dropped": found.dropped, "missing_labels": missing}
    table = pd.DataFrame({"word": found.words})
    if reports is not None:
        lines = captions(reports)
        out.text("captions.txt", "".join(f"{line}\n" for line in lines))
        metrics |= {"reports": len(reports), "reports_without_text": sum(not report.text for report in reports),
                    "captions": len(lines)}
    if found.frequency:
        table["document_frequency"] = found.frequency
        table["share"] = table["document_frequency"] / len(reports) if reports is not None else float("nan")
        picture(found, out.file("frequency.png"))
    if found.categories:
        table["category"] = found.categories
    if left_out is not None:
        out.csv("dropped.csv", pd.DataFrame(left_out, columns=["word", "why", "document_frequency"]))
    out.text("words.txt", "".join(f"{word}\n" for word in found.words))
    out.csv("concepts.csv", table)
    out.about(names={"concept_set": found.name}, source=found.source, synthetic=False)
    out.json("metrics.json", metrics)
    summarise(found, metrics, left_out, out.path)
    return found, metrics


def ceilings(words):
    """({labels_in_set, hit_ceiling, both also with _lemma and _synonym}, {"", "_lemma", "_synonym": labels not there}).

    The 14 NIH labels are looked for among ``words`` in lower case, as lemmas, as lemmas of their synonyms.
    """
    labels = packaged("nih_labels.txt", "nih_labels", "").load().words
    synonyms = {lemmas(name): others for name, others in load_synonyms().items()}
    lower, folded = {word.lower() for word in words}, {lemmas(word) for word in words}
    there = {"": [label.lower() in lower for label in labels],
             "_lemma": [lemmas(label) in folded for label in labels],
             "_synonym": [not folded.isdisjoint(map(lemmas, (label, *synonyms.get(lemmas(label), ()))))
                          for label in labels]}
    metrics, missing = {"labels": len(labels)}, {}
    for level, seen in there.items():
        metrics |= {f"labels_in_set{level}": sum(seen), f"hit{level}_ceiling": sum(seen) / len(labels)}
        missing[level] = [label for label, one in zip(labels, seen) if not one]
    return metrics, missing


def picture(found, path):
    """The SHOWN most frequent words, and all frequencies over their rank."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    order = sorted(range(len(found)), key=lambda i: (-found.frequency[i], found.words[i]))
    counts = [found.frequency[i] for i in order]
    n = min(SHOWN, len(order))
    fig, (bars, curve) = plt.subplots(1, 2, figsize=(9, .16 * n + 1.4))
    bars.barh(range(n), counts[:n], color="#4a6fa5")
    bars.set(yticks=range(n), ylim=(n - .5, -.5), xlabel="reports that use the word")
    bars.set_yticklabels([found.words[i] for i in order[:n]], fontsize=7)
    curve.loglog(range(1, len(order) + 1), counts, color="#4a6fa5")
    curve.set(xlabel="rank of the word", ylabel="reports that use it")
    for ax in (bars, curve):
        ax.spines[["top", "right"]].set_visible(False)
    fig.suptitle(f"{found.name}: {len(found):,} words", fontsize=9)
    fig.tight_layout()
    with replacing(path) as part:
        fig.savefig(part, dpi=110, format="png")
    plt.close(fig)


def summarise(found, metrics, left_out, folder):
    """Print what was kept, what was left out and why, and which of the NIH labels the words can name."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    phrases = f", {metrics['phrases']:,} of them phrases" * (metrics["phrases"] > 0)
    console.print(f"[bold]{found.name}[/]: {len(found):,} words{phrases}. {found.source}", highlight=False,
                  soft_wrap=True)
    if "reports" in metrics:
        console.print(f"{metrics['reports']:,} reports ({metrics['reports_without_text']:,} without text), "
                      f"{metrics['captions']:,} captions", highlight=False)
    else:
        console.print(NO_REPORTS)
    if found.dropped:
        table = Table(box=None, header_style="bold")
        for column, justify in (("left out", "left"), ("words", "right"), ("for example", "left")):
            table.add_column(column, justify=justify)
        for why, count in sorted(found.dropped.items(), key=lambda item: (-item[1], item[0])):
            some = sorted((row for row in left_out or () if row[1] == why), key=lambda row: (-row[2], row[0]))
            table.add_row(why, f"{count:,}", ", ".join(f"{word} ({n:,})" for word, _, n in some[:3]))
        console.print(table)
    there = ", ".join(f"{metrics[f'labels_in_set{level}']} {how}" for level, how in LEVELS.items())
    never = metrics["missing_labels"]["_synonym"]
    console.print(f"Of the {metrics['labels']} NIH labels among the words: {there}"
                  f"{'. In no form: ' * bool(never)}{', '.join(never)}", highlight=False, soft_wrap=True)
    files = "words.txt, concepts.csv" + ", dropped.csv" * (left_out is not None) + \
        ", captions.txt" * ("captions" in metrics)
    console.print(f"Written: {files}, metrics.json in {folder}", soft_wrap=True, highlight=False)
