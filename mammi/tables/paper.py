"""The report of the paper's own configuration: published beside obtained, or what the run needs."""
from mammi.report import verdicts
from mammi.tables.needs import explained, needs
from mammi.tables.numbers import value
from mammi.tables.wording import HEADINGS, short, shown

TITLE = "The paper's tables: published and obtained"
HEAD = """Published: Kim, Ahn and Kim, MAMMI (MICCAI 2024), with its standard errors. Obtained: finished runs of \
`profile=paper` on the paper's own files, with 95% intervals over n neurons (Wilson for hits, else bootstrap); a run \
with a stand-in, on synthetic images or with another setting does not count. The ceiling is the share of labels that \
the concept set contains. The paper does not say whether its count of distinct words is of all words of a neuron or of \
the first alone: both are shown. gate: what was found out about the dissector's weights."""
NOTHING = """**No row has been run: the files were not at hand.** What would make them: get the files listed below \
(`python -m mammi assets profile=paper` says which of them are here) and name them in the command: `python run.py \
experiment=table1 profile=paper paths.data=FOLDER paths.target_weights=FILE paths.medclip=FILE \
paths.medclip_vocab=FILE paths.mpnet=FOLDER paths.clip=FILE paths.words_20k=FILE`, the same with `table2` to `table5` \
(and `paths.reports=FOLDER` for FALCON). Then `make tables` \
writes this file again, and `make verify-paper` compares the row that all five tables share with its published \
numbers."""


def frame(tables, found, manifest):
    """DataFrame: a line per published number, what was obtained, or in ``lacks`` what that needs."""
    import pandas as pd

    lines = []
    for table in tables.values():
        for row, metric, got, lacks in _numbers(table, found, manifest):
            published, numbers = row.published[metric], got._asdict() if got else {}
            lines.append({"table": table.name, "row": row.label, "metric": metric, "published": published.value,
                          "published_se": published.spread, "obtained": numbers.get("mean")}
                         | {key: numbers.get(key) for key in ("sd", "low", "high", "n", "ceiling")}
                         | {"seeds": " ".join(map(str, numbers.get("seeds", ()))), "gate": _gate(row, found),
                            "lacks": lacks and f"{lacks[0]}: needs {', '.join(lacks[1])}"})
    return pd.DataFrame(lines)


def shown_table(table, found, manifest):
    """DataFrame of texts for one table of the report; what several metrics of a row need is said once."""
    import pandas as pd

    lines, said = [], (None, [])
    for row, metric, got, lacks in _numbers(table, found, manifest):
        cell = shown(got, metric, 4) if got else ""
        if lacks:
            state, names = lacks
            again = said[0] == row.label and set(said[1]) <= set(names)
            more = [name for name in names if name not in said[1]] if again else names
            cell = f"{state}: needs " + ", ".join(["the same"] * again + more)
            said = said if again else (row.label, names)
        lines.append({"row": row.label, "metric": HEADINGS[metric], "published": str(row.published[metric]),
                      "obtained [95%]": cell, "gate": _gate(row, found) if got else "", "n": str(got.n) if got else "",
                      "ceiling": short(got.ceiling, 4) if got and got.ceiling is not None else ""})
    return pd.DataFrame(lines)


def _gate(row, found):
    return verdicts(result.metrics for result in found.of("paper", row).values())


def _numbers(table, found, manifest):
    """(row, metric, its :class:`Value` or None, None or (``not run`` or ``not computed``, what that needs))."""
    for row in table.rows.values():
        results = found.of("paper", row)
        for metric in row.published:
            got = value(results, metric)
            yield row, metric, got, None if got else ("not computed" if results else "not run",
                                                      needs(manifest, row, metric))


def opening(found):
    return HEAD if any(profile == "paper" for profile, *_ in found.results) else f"{HEAD}\n\n{NOTHING}"


def closing(tables, manifest):
    """The files that the rows need, each once."""
    names = [name for table in tables.values() for row in table.rows.values() for metric in row.published
             for name in needs(manifest, row, metric)]
    return "## What the runs need\n\n" + "\n".join(f"- {line}" for line in explained(manifest, dict.fromkeys(names)))
