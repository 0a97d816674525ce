"""The report of the rehearsal on synthetic images; the paper's numbers appear in it as differences alone."""
from mammi.report import verdicts
from mammi.tables.numbers import value
from mammi.tables.rows import METRICS
from mammi.tables.wording import HEADINGS, short, shown

TITLE = "The paper's tables, rehearsed on the phantom"
HEAD = """**Synthetic images, for signs and orders only.** The rows are the paper's, their parts are not: a \
procedural chest-radiograph phantom for NIH ChestX-ray14, a small classifier for its DenseNet-121, small dissectors \
trained on the phantom for MedCLIP and its rivals, Open-i's nouns for MIMIC's. No number here says anything about \
patients, or how high the paper's numbers would come out; the published ones are in [paper.md](paper.md), and in no \
table here.

Cells: mean ± sd over the seeds (of target and dissector) [95% interval over n neurons: Wilson of the mean rate for \
hits, else bootstrap of neurons after averaging the seeds; it has no width where all neurons score the same]. `at \
most`: share of labels that the concept set contains. `gate`: what was found out about the dissector's weights. \
Differences: the same neurons resampled for both rows; hits by \
the exact McNemar test at each seed (neurons that the first row alone hits : the second alone), F1 and cosines by sign \
flips of the neurons' differences, seeds averaged first; p-values also after Holm's correction over all tests of the \
table. The row that the paper puts higher comes first; where it has no order, the later one."""


def frame(tables, found):
    """DataFrame: a line per row and metric that was computed."""
    import pandas as pd

    lines = []
    for table in tables.values():
        for row in table.rows.values():
            results = found.of("phantom", row)
            for metric in METRICS:
                if got := value(results, metric):
                    line = {"table": table.name, "row": row.rehearsed, "run": _settings(row, results, ()),
                            "gate": _gate(results)}
                    lines.append(line | {"metric": metric} | got._asdict() | {"seeds": " ".join(map(str, got.seeds))})
    return pd.DataFrame(lines)


def shown_table(table, found):
    """DataFrame of texts for one table of the report."""
    import pandas as pd

    rows = {label: found.of("phantom", row) for label, row in table.rows.items()}
    have = [metric for metric in METRICS if any(value(results, metric) for results in rows.values())]
    lines = []
    for row in table.rows.values():
        results = rows[row.label]
        line = {"row": row.rehearsed, "run": _settings(row, results, _shared(table, found)), "seeds": "", "n": ""}
        if not results:
            lines.append(line | {"seeds": f"not run: `{row.command('phantom')}`"})
            continue
        line["gate"] = _gate(results)
        values = {metric: got for metric in have if (got := value(results, metric))}
        line |= {"seeds": ", ".join(map(str, results)), "n": str(max((got.n for got in values.values()), default=""))}
        for metric in have:
            line[HEADINGS[metric]] = shown(values[metric], metric) if metric in values else ""
            if metric == "hit" and metric in values and values[metric].ceiling is not None:
                line["at most"] = short(values[metric].ceiling)
        lines.append(line)
    columns = ["row", "run", "seeds", "gate", "n", *(c for metric in have for c in (
        [HEADINGS[metric], "at most"] if metric == "hit" else [HEADINGS[metric]]))]
    return pd.DataFrame(lines).reindex(columns=columns).fillna("")


def _gate(results):
    return verdicts(result.metrics for result in results.values())


def beside(table, found):
    """Lines below a table: what all its rows share, and what the runs say of their metrics."""
    results = [result for row in table.rows.values() for result in found.of("phantom", row).values()]
    if not results:
        return []
    shared = _shared(table, found)
    lines = [f"In all rows: {', '.join(f'{group} {name}' for group, name in shared.items())}; "
             f"{results[0].same['number of images']} images."] if shared else []
    notes = {f"{HEADINGS.get(key, key)}: {'' if result.has(key) else 'n/a, '}{note.partition(' Next')[0]}": None
             for result in results for name, note in result.metrics.items()
             if name.endswith("_note") and note and (key := name.removesuffix("_note")) in METRICS}
    return lines + list(notes)


def _shared(table, found):
    """{group: name} of what all runs of a table have in common."""
    names = [result.names for row in table.rows.values() for result in found.of("phantom", row).values()]
    return {group: name for group, name in names[0].items() if all(other.get(group) == name for other in names)} \
        if names else {}


def _settings(row, results, shared):
    """``concept_set=mimic_nouns: openi_nouns (stand-in for mimic_nouns)``: as chosen, and what came of it."""
    text = ", ".join(f"{key}={option}" for key, option in row.options("phantom").items())
    names = next(iter(results.values())).names if results else {}
    other = [str(name) for group, name in names.items() if group not in shared and str(name) not in text
             and ("stand-in" in str(name) or group in row.settings)]
    return text + (f": {', '.join(other)}" if other else "")
