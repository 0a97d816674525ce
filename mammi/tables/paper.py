"""The report of the paper's own configuration: published beside obtained, or what the run needs."""
from mammi.tables.needs import explained, needs
from mammi.tables.numbers import value
from mammi.tables.wording import HEADINGS, shown

TITLE = "The paper's tables: published and obtained"
HEAD = """Published: Kim, Ahn and Kim, MAMMI (MICCAI 2024), with its standard errors. Obtained: finished runs of \
`profile=paper` on the paper's own files, with 95% intervals over n neurons (Wilson for hits, else bootstrap); a run \
with a stand-in, on synthetic images or with another setting does not count. The ceiling is the share of labels that \
the concept set contains. The paper does not say whether its count of distinct words is of all words of a neuron or of \
the first alone: both are shown."""
NOTHING = """**No row has been run: the files were not at hand.** What would make them: get the files listed below \
(`python -m mammi assets profile=paper` says which of them are here) and name them in the command: `python run.py \
experiment=table1 profile=paper paths.data=FOLDER paths.target_weights=FILE paths.medclip=FILE \
paths.medclip_vocab=FILE paths.mpnet=FOLDER paths.clip=FILE`, the same with `table2` to `table5`. Then `make tables` \
writes this file again, and `make verify-paper` compares the row that all five tables share with its published \
numbers."""


def frame(tables, found, manifest):
    """DataFrame: a line per published number, what was obtained, or in ``lacks`` what that needs."""
    import pandas as pd

    lines = []
    for table in tables.values():
        for row in table.rows.values():
            results = found.of("paper", row)
            for metric, published in row.published.items():
                got = value(results, metric)
                lacks = "" if got else ("not run" if not results else "not computed") + ": needs " + ", ".join(
                    needs(manifest, row, metric))
                line = {"table": table.name, "row": row.label, "metric": metric, "published": published.value,
                        "published_se": published.spread}
                numbers = got._asdict() if got else {}
                line |= {key: numbers.get(name) for key, name in (
                    ("obtained", "mean"), ("sd", "sd"), ("low", "low"), ("high", "high"), ("n", "n"),
                    ("ceiling", "ceiling"))}
                lines.append(line | {"seeds": " ".join(map(str, numbers.get("seeds", ()))), "lacks": lacks})
    return pd.DataFrame(lines)


def shown_table(table, found, manifest):
    """DataFrame of texts for one table of the report."""
    import pandas as pd

    lines = []
    for row in table.rows.values():
        results = found.of("paper", row)
        for metric, published in row.published.items():
            got = value(results, metric)
            state = "not run" if not results else "not computed"
            lines.append({"row": row.label, "metric": HEADINGS[metric], "published": str(published),
                          "obtained [95%]": shown(got, metric, 4) if got else
                          f"{state}: needs {', '.join(needs(manifest, row, metric))}",
                          "n": str(got.n) if got else "",
                          "ceiling": f"{got.ceiling:.4f}" if got and got.ceiling is not None else ""})
    return pd.DataFrame(lines)


def opening(found):
    return HEAD if any(profile == "paper" for profile, *_ in found.results) else f"{HEAD}\n\n{NOTHING}"


def closing(tables, manifest):
    """The files that the rows need, each once."""
    names = [name for table in tables.values() for row in table.rows.values() for metric in row.published
             for name in needs(manifest, row, metric)]
    return "## What the runs need\n\n" + "\n".join(f"- {line}" for line in explained(manifest, dict.fromkeys(names)))
