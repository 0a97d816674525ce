"""``python -m mammi tables``: run folders -> paper.md and phantom.md, their CSV and LaTeX; the two are never mixed."""
import re
from pathlib import Path

from mammi.errors import BadInput
from mammi.files import replacing
from mammi.manifest import Manifest
from mammi.report import to_markdown
from mammi.tables import paper, phantom
from mammi.tables.numbers import comparisons
from mammi.tables.rows import PROFILES, tables
from mammi.tables.runs import read
from mammi.tables.wording import compared, orders

NOTES = "notes.md"  # written by hand beside the reports: `## table1` and what to say of it


def main(folder, to):
    """Fold the finished runs of the paper's tables below ``folder`` into reports in ``to``; print what is in them.

    Writes paper.md, phantom.md, and of each a CSV of its numbers, a CSV of its tests, and LaTeX. :class:`BadInput`
    where nothing is finished or ``to`` cannot be written; a damaged run is left out and named.
    """
    from rich.console import Console

    of, to = tables(), Path(to)
    found, manifest, notes = read(folder, of), Manifest(), _notes(to)
    compare = {(profile, name): comparisons(table, {label: found.of(profile, row) for label, row in table.rows.items()})
               for profile in PROFILES for name, table in of.items()}
    for name, table in of.items():
        called = {label: row.rehearsed for label, row in table.rows.items()}
        compare["phantom", name] = [c._replace(greater=called[c.greater], less=called[c.less])
                                    for c in compare["phantom", name]]
    shown = {("paper", name): paper.shown_table(table, found, manifest) for name, table in of.items()}
    shown |= {("phantom", name): phantom.shown_table(table, found) for name, table in of.items()}
    frames = {"paper": paper.frame(of, found, manifest), "phantom": phantom.frame(of, found)}
    opening = {"paper": [f"# {paper.TITLE}", paper.opening(found), "Written by `make tables`, not to be edited."],
               "phantom": [f"# {phantom.TITLE}", phantom.HEAD, f"Written by `make tables`, but for {NOTES}."]}
    closing = {"paper": [paper.closing(of, manifest)], "phantom": []}
    files = {}
    for profile in PROFILES:
        parts = opening[profile]
        for name, table in of.items():
            parts += [f"## {table.heading}", to_markdown(shown[profile, name])]
            if profile == "phantom" and (beside := phantom.beside(table, found)):
                parts.append("\n".join(f"- {line}" for line in beside))
            if compare[profile, name]:
                parts += [to_markdown(compared(compare[profile, name], published=profile == "paper")),
                          orders(compare[profile, name])]
            parts += [notes[name]] if profile == "phantom" and name in notes else []
        if reasons := found.reasons(profile):
            parts += ["## Left out", "\n".join(f"- {reason}" for reason in reasons)]
        files[f"{profile}.md"] = "\n\n".join([*parts, *closing[profile]]) + "\n"
        files[f"{profile}.csv"] = frames[profile].to_csv(index=False)
        files[f"{profile}_tests.csv"] = _tests(of, compare, profile).to_csv(index=False)
        files[f"{profile}.tex"] = _latex(of, shown, profile)
    try:
        for name, text in files.items():
            with replacing(to / name) as part:
                part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--to {to} cannot be written ({error}): give another folder") from error
    _print(Console(highlight=False), of, found, compare)
    print(f"Written to {to}: {', '.join(files)}")


def _notes(to):
    """{table: what notes.md in ``to`` says of it}."""
    path = to / NOTES
    if not path.is_file():
        return {}
    parts = re.split(r"^## (\S+)\n", path.read_text(encoding="utf-8"), flags=re.M)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2]) if text.strip()}


def _tests(of, compare, profile):
    """DataFrame: a line per test; comparisons of counts have a line without one."""
    import pandas as pd

    columns = ["table", "metric", "greater", "less", "order", "published", "n", "difference", "low", "high", "seeds",
               "test", "seed", "only_greater", "only_less", "p", "p_holm"]
    if profile == "phantom":
        columns.remove("published")  # published and synthetic numbers share no table
    lines = []
    for name in of:
        for c in compare[profile, name]:
            about = c._asdict() | {"table": name, "seeds": " ".join(map(str, c.seeds)), "order": c.verdict}
            lines += [about | test._asdict() | {"test": test.name} for test in c.tests] or [about]
    return pd.DataFrame(lines).reindex(columns=columns)


def _latex(of, shown, profile):
    kind = "Synthetic images. " if PROFILES[profile] == "synthetic" else ""
    return "\n".join(shown[profile, name].replace("`", "", regex=True).to_latex(
        index=False, escape=True, caption=f"{kind}{table.title.capitalize()}.", label=f"tab:{profile}_{name}")
        for name, table in of.items())


def _print(console, of, found, compare):
    from rich.table import Table

    for profile, kind in PROFILES.items():
        if not any(found.of(profile, row) for table in of.values() for row in table.rows.values()):
            console.print(f"profile={profile} ({kind} images): no row was run")
            continue
        shown = Table(title=f"profile={profile} ({kind} images)", title_justify="left", header_style="bold", box=None)
        for column in ("", "rows run", "seeds", "not run", "orders that come out"):
            shown.add_column(column)
        for table in of.values():
            runs = {label: found.of(profile, row) for label, row in table.rows.items()}
            ordered = [c.verdict for c in compare[profile, table.name] if c.verdict]
            seeds = sorted({seed for results in runs.values() for seed in results})
            shown.add_row(table.heading.partition(":")[0], f"{sum(map(bool, runs.values()))} of {len(runs)}",
                          ", ".join(map(str, seeds)), "; ".join(label for label in runs if not runs[label]),
                          f"{ordered.count('comes out')} of {len(ordered)}" if ordered else "")
        console.print(shown)
    for _, reason in found.left_out:
        console.print(f"left out: {reason}", markup=False, style="yellow")
    if found.unfinished:
        console.print(f"folders of these tables without a finished run (failed or interrupted): {found.unfinished}")
