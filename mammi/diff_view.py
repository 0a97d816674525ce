"""What a person sees of a comparison of two runs."""
from mammi.diff import ABSENT
from mammi.finished import HITS
from mammi.report import is_shown

SHOWN = 40  # neurons and settings; the rest is counted


def show(found, a, b):
    """Print ``found``, the :class:`mammi.diff.Difference` of the finished runs ``a`` and ``b``."""
    from rich.console import Console
    from rich.text import Text

    console = Console()

    def say(line, style=""):
        console.print(Text(line, style), soft_wrap=True)

    n = len(found.neurons)
    aside = f" Without effect on any number: {', '.join(key for key, _, _ in found.aside)}." if found.aside else ""
    if found.same:
        return say(f"the same: {n} neurons with their words, scores and images, {len(a.metrics)} metrics, set-up and "
                   f"versions.{aside}")
    say(f"A  {a.folder}\nB  {b.folder}", "bold")
    if a.settings["data"] != b.settings["data"]:
        say(f"A is on {a.settings['data']}, B on {b.settings['data']} images: their numbers do not compare.", "yellow")
    told = [row for row in found.settings if not _of_one_option(row, found.settings, a, b)]
    _table(console, "Set-up", ("", "A", "B"), told)
    if hidden := len(found.settings) - len(told):
        say(f"{hidden} settings more that only A's or only B's option has, none of them typed.")
    _table(console, "Versions", ("", "A", "B"), found.versions)
    if not found.settings and not found.versions:
        say("Set-up and versions: the same.")
    if found.aside:
        say(aside.strip())
    metrics = [(key, _number(one), _number(other), _less(other, one)) for key, one, other in found.metrics]
    _table(console, "Metrics", ("", "A", "B", "B - A"), [row for row in metrics if is_shown(row[0])])
    if others := [row[0] for row in metrics if not is_shown(row[0])]:
        say(f"These metrics differ, too: {', '.join(others)}.")
    if not metrics:
        say("Metrics: the same.")
    for key, test in found.tests.items():
        say(_tested(key, *test))
    changed = found.neurons[found.neurons["change"] != ""]
    kept = n - len(changed)
    say(f"Neurons, matched by {found.by}: {kept} of {n} are the same" + (":" if len(changed) else "."), "bold")
    _table(console, "", ("neuron", "words", "score", "hit", "images"),
           [_line(row) for row in changed.to_dict("records")])


def _of_one_option(row, rows, a, b):
    """Whether a setting differs because the option of its group has no such key on one side, and nobody typed it."""
    key, *values = row
    group = key.partition(".")[0]
    return ABSENT in values and key != group and group in {other[0] for other in rows} and \
        key not in {**a.settings, **b.settings}


def _table(console, title, columns, rows):
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("score", "hit"))
    for row in rows[:SHOWN]:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"... {len(rows) - SHOWN} more" + ("" if title else "; all with --csv FILE"), markup=False)


def _line(row):
    """The cells of one changed neuron: A's value, an arrow, B's; one value where both are the same."""
    if row["change"].endswith("only"):
        end = row["change"][3].lower()
        return (row["name"], f"{row[f'top_{end}'] or '-'} ({row['change']})", _score(row, end), _hit(row, end),
                _count(row[f"n_images_{end}"]))
    words = [_both(row["top_a"] or "-", row["top_b"] or "-")]
    words += [f"{sign} {row[what]}" for sign, what in (("+", "gained"), ("-", "lost")) if row[what]]
    hit = _both(_hit(row, "a"), _hit(row, "b"))
    if row["status_a"] != row["status_b"]:
        hit = f"{hit}\n{_both(row['status_a'], row['status_b'])}".strip()
    images, shared = _both(_count(row["n_images_a"]), _count(row["n_images_b"])), row["images_shared"]
    if shared == shared and shared is not None and "images" in row["change"]:
        images += f"\n{shared:.0f} shared"
    return row["name"], "\n".join(words), _both(_score(row, "a"), _score(row, "b")), hit, images


def _score(row, end):
    value = row[f"score_{end}"]
    return "-" if value is None or value != value else f"{value:.3f}"


def _both(a, b):
    return a if a == b else f"{a} → {b}"


def _hit(row, end):
    """The strictest level at which a word is right, ``no``, or nothing where it was not judged."""
    values = {key: row[f"{key}_{end}"] for key in HITS}
    for key, value in values.items():
        if value == 1:
            return "exact" if key == "hit" else key.removeprefix("hit_")
    return "no" if any(value == 0 for value in values.values()) else ""


def _tested(key, lost, gained, n, p):
    """The exact McNemar test in words; with few neurons that differ no p can be small, and that is said."""
    if p is None:
        return f"{key}: the same on each of the {n} neurons judged in both."
    least = 2 * .5 ** (lost + gained)
    few = f" ({lost + gained} that differ cannot give less than {min(least, 1):.2g})" if least > .05 else ""
    return (f"{key}: {lost} right in A alone, {gained} in B alone, of {n} judged in both: exact McNemar "
            f"p = {p:.2g}{few}.")


def _number(value):
    if value is None or value != value:
        return "n/a"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _count(value):
    return "" if value is None or value != value else f"{value:.0f}"


def _less(one, other):
    numbers = all(isinstance(value, (int, float)) and value == value for value in (one, other))
    if not numbers:
        return ""
    less = one - other
    return f"{less:+.4f}" if isinstance(less, float) else f"{less:+d}"
