"""Which layers a target has: what ``target.layer`` can be set to, and what each would give."""
import pandas as pd
import torch

from mammi.errors import BadInput, number
from mammi.probing_set.base import spread
from mammi.target import alarms
from mammi.target.base import TorchTarget
from mammi.target.read_out import read_out, spoken

COLUMNS = ("layer", "kind", "shape", "units", "read", "runs", "constant_units", "note")
SHOWN = 60  # rows in the terminal; of more, only modules of the first two levels


def layers(target, probing_set, batch_size, out):
    """Run one batch, spread evenly over ``probing_set``; leave ``layers.csv`` and ``metrics.json``; return the table.

    One row a module, in the order of the network, behind ``final`` and ``penultimate``:

    kind            the module's class; for the two named layers, which module they are
    shape           of its output, without the batch
    units, read     how many neurons it would give, and how they are read (``target.reducer``); empty where it cannot
    runs            how often it ran for the batch; 0: it never did, and cannot be chosen. Of several, the last counts
    constant_units  units that say the same of all images
    note            ``never ran``, ``constant`` (all units are), or why it cannot be read

    A constant layer is listed, not refused; pixels in another range than the network was trained on are a note.
    """
    count = min(number("batch_size", batch_size, 1, whole=True), len(probing_set))
    batch = probing_set.load(spread(len(probing_set), count), masks=target.needs_masks)
    notes = [] if count > 1 else ["one image cannot show which layers are constant: give more (batch_size)"]
    if isinstance(target, TorchTarget):
        table, more = survey(target, batch)
        notes += more
    else:
        row = _row(target.layer, type(target).__name__, target.read(batch, [target.layer])[target.layer].pooled)
        table = pd.DataFrame([{**row, "read": "as it is", "runs": 1}], columns=COLUMNS)
        notes.append(f"{target.name} is no torch network: {target.layer} is its only layer")
    facts = {"images": len(batch), "layers": len(table), "ran": int((table.runs > 0).sum()),
             "readable": int(table.units.notna().sum()), "constant": int((table.note == "constant").sum())}
    out.csv("layers.csv", table)
    out.about(names={"target": target.name, "probing_set": probing_set.name}, synthetic=probing_set.synthetic,
              notes=notes)
    out.json("metrics.json", facts)
    _show(table, target, facts, notes, out.file("layers.csv"))
    return table


@torch.no_grad()
def survey(target, batch):
    """(table, notes) of a :class:`TorchTarget` for one batch of images; no map is kept."""
    seen, runs, notes = {}, {}, []
    modules = {name: module for name, module in target.module.named_modules() if name}

    def keep(name, output):
        runs[name] = runs.get(name, 0) + 1
        kind = type(modules[name]).__name__
        try:
            pooled = read_out(output, target.reducer, target.prefix, len(batch)).pooled
        except BadInput as error:
            seen[name] = {**_row(name, kind, None, output), "note": str(error).partition(";")[0]}
        else:
            seen[name] = {**_row(name, kind, pooled, output),
                          "read": spoken(output.shape, target.reducer, target.prefix)}

    hooks = [module.register_forward_hook(lambda _module, _args, output, name=name: keep(name, output))
             for name, module in modules.items()]
    try:
        x = target.prepare(batch)
        readings = target.forward(x, list(target.taps))
    finally:
        for hook in hooks:
            hook.remove()
    try:
        with alarms.watched(target.module, x, target.span, target.name):
            target.module(x)
    except BadInput as error:
        notes.append(str(error))
    rows = []
    for name, reading in readings.items():
        tap = target.taps[name]
        where = f"{'input' if tap.input else 'ReLU' if tap.relu else 'output'} of {tap.module or 'the network'}"
        rows.append({**_row(name, where, reading.pooled), "read": "as it is" if tap.input or not tap.module else
                     seen.get(tap.module, {}).get("read"), "runs": 1})
    for name, module in modules.items():
        rows.append({**seen.get(name, {"layer": name, "kind": type(module).__name__, "note": "never ran"}),
                     "runs": runs.get(name, 0)})
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"units": "Int64", "constant_units": "Int64"}), notes


def _row(name, kind, pooled, output=None):
    """A row's facts; ``pooled`` (B, N) or None, ``output`` what the module returned."""
    output = pooled if output is None else output
    row = {"layer": name, "kind": kind, "note": ""}
    if torch.is_tensor(output):
        row["shape"] = " x ".join(map(str, output.shape[1:]))
    if pooled is not None:
        row["units"] = pooled.shape[1]
        if len(pooled) > 1:
            row["constant_units"] = int((pooled == pooled[:1]).all(0).sum())
            row["note"] = "constant" if row["constant_units"] == pooled.shape[1] else ""
    return row


def _show(table, target, facts, notes, path):
    from rich.console import Console
    from rich.table import Table

    shown = table if len(table) <= SHOWN else table[table.layer.str.count(r"\.") < 2]
    view = Table(title=f"{target.name}: layers", title_justify="left", header_style="bold", box=None)
    columns = ["layer", "kind", "shape", "units", "read", *["note"] * bool(shown.note.any())]
    for column in columns:
        width = 0 if column in ("kind", "note") else int(shown[column].astype(str).str.len().max())
        view.add_column(column, justify="right" if column == "units" else "left", overflow="fold", min_width=width)
    for row in shown.itertuples():
        colour = "green" if row.layer in ("final", "penultimate") else "dim" if row.note else None
        values = [getattr(row, column) for column in columns]
        view.add_row(*("" if pd.isna(value) else str(value) for value in values), style=colour)
    console = Console()
    console.print(view)
    if len(shown) < len(table):
        console.print(f"... and {len(table) - len(shown)} modules inside these, all in layers.csv")
    for note in notes:
        console.print(f"[yellow]{note}[/]")
    console.print(f"{facts['ran']} of {facts['layers']} layers ran on {facts['images']} images, {facts['constant']} of "
                  f"them constant. Choose one by target.layer=NAME. All of it: {path}", soft_wrap=True)
