"""What a person sees when a run ends."""
import math

SHOWN = 20  # neurons
HEADLINES = ("hit", "hit_lemma", "hit_synonym", "hit_seen", "hit_withheld", "hit_synonym_seen", "hit_synonym_withheld",
             "f1", "cosy_n", "cosy_coverage", "cosy_auc", "cosy_mad", "cosy_regret", "cosy_rank_median", "purity",
             "images_selected_median", "concepts_per_neuron", "unique_all", "unique_top1", "n_empty", "n_dead")
PARTS = ("_se", "_low", "_high", "_note")
COLOURS = {"verified": "green", "plausible": "cyan", "failed": "red"}  # else yellow


def summarise(names, annotations, neurons, metrics, notes, synthetic, folder, verdict=None):
    """Print a table of neurons, the headline numbers with their intervals, what the gate says, where everything lies.

    verdict  :class:`mammi.types.Verdict` on the dissector
    """
    from rich.console import Console
    from rich.table import Table

    console = Console()
    title = f"{names['target']} / {names['layer']} ({names['activation']})"
    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    for column, justify in (("neuron", "left"), ("images", "right"), ("words", "left"), ("score", "right"),
                            ("hit", "left"), ("runner-up", "left")):
        table.add_column(column, justify=justify)
    for i in range(min(len(neurons), SHOWN)):
        row, words = neurons.iloc[i], annotations.concepts[i]
        text = ", ".join(words[:4]) + (f" +{len(words) - 4}" if len(words) > 4 else "")
        name = annotations.neurons[i].removeprefix(names["layer"])  # the title has it
        table.add_row(name, _number(row.get("images_selected"), "{:.0f}"),
                      text or f"[dim]{annotations.status[i]}[/]",
                      f"{annotations.scores[i][0]:.3f}" if words else "", _hit(row), str(row.get("runner_up") or ""))
    console.print(table)
    if len(neurons) > SHOWN:
        console.print(f"... {len(neurons) - SHOWN} more neurons in neurons.csv")

    numbers = Table(box=None, header_style="bold")
    for column in ("metric", "value", "95% interval", "at most"):
        numbers.add_column(column, justify="left" if column == "metric" else "right")
    cosines = [key for key in metrics if key.startswith("cos_") and not key.endswith(PARTS)]
    for key in [key for key in (*HEADLINES, *cosines) if key in metrics]:
        interval = f"{metrics[key + '_low']:.3f} to {metrics[key + '_high']:.3f}" if _is(metrics, key + "_low") else ""
        numbers.add_row(key, _number(metrics[key], "{:.3f}" if isinstance(metrics[key], float) else "{}"), interval,
                        f"{metrics[key + '_ceiling']:.3f}" if _is(metrics, key + "_ceiling") else "")
    console.print(numbers)
    for key, value in metrics.items():
        if key.endswith("_note") and value:
            console.print(f"[dim]{key.removesuffix('_note')}: {value.split(' Next')[0]}[/]")  # whole in metrics.json
    if verdict:
        _print_gate(console, names["dissector"], verdict)
    for note in notes:
        console.print(f"[yellow]{note}[/]")
    kind = "SYNTHETIC images: nothing here is a clinical result." if synthetic else "Real images."
    console.print(f"{names['probing_set']} | {names['concept_set']} | {names['dissector']}. [bold]{kind}[/]")
    console.print(f"Pictures and tables: {folder}/neurons.png, annotations.csv, metrics.json", soft_wrap=True)


def _print_gate(console, dissector, verdict):
    """A line in the verdict's colour, and one for each warning."""
    from rich.markup import escape

    colour = COLOURS.get(verdict.name, "yellow")
    meaning = ". Its words above mean nothing here; gate=strict refuses them" * (verdict.name == "failed")
    console.print(f"[bold {colour}]Gate: {dissector} is {verdict.name}[/]: [{colour}]{escape(verdict.says)}"
                  f"{meaning}[/]")
    for check in verdict.checks:
        if check.state == "fail" and not check.decisive:
            console.print(f"[yellow]Gate, {check.name}: {escape(check.says)}[/]")


def _is(metrics, key):
    return isinstance(metrics.get(key), (int, float)) and not math.isnan(metrics[key])


def _number(value, form):
    return "n/a" if value is None or value != value else form.format(value)


def _hit(row):
    for key in ("hit", "hit_lemma", "hit_synonym"):
        if row.get(key) == 1:
            return f"[green]{'exact' if key == 'hit' else key.removeprefix('hit_')}[/]"
    return "" if row.get("hit") is None or row.get("hit") != row.get("hit") else "[red]no[/]"
