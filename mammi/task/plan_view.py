"""What a person sees of a forecast."""

WHAT = {"target": "target reads images", "dissector": "dissector sees images", "texts": "texts are embedded",
        "gate images": "the gate: images", "gate texts": "the gate: texts"}


def summarise(facts, folder):
    """Print the passes, then time, memory and disk, each with what it rests on."""
    from rich.console import Console
    from rich.table import Table

    console, names = Console(), facts["names"]
    console.print(f"[bold]Plan[/]: {facts['images']:,} images ({names['probing_set']}), {facts['neurons']:,} neurons "
                  f"({names['target']}, {names['layer']}), {facts['concepts']:,} concepts ({names['concept_set']})",
                  highlight=False)
    table = Table(box=None, header_style="bold")
    for column in ("pass", "to compute", "of", "time", "known from"):
        table.add_column(column, justify="right" if column in ("to compute", "of", "time") else "left")
    for name, step in facts["passes"].items():
        least = "" if step["least"] == step["compute"] else f"{step['least']:,} to "
        table.add_row(WHAT[name], f"{least}{step['compute']:,}", f"{step['of']:,}", duration(step["seconds"]),
                      step["basis"])
    console.print(table)
    steps = facts["passes"].values()
    if any(step["compute"] for step in steps):
        said = duration(facts["seconds"])
        about = "" if said.startswith("under") else "about " if all(
            step["least"] == step["compute"] for step in steps) else "at most about "
        console.print(f"Time: [bold]{about}{said}[/], {_basis(facts)}; evaluation and pictures come on top.",
                      highlight=False)
    else:
        console.print("Time: all is in the cache; evaluation and pictures remain.")
    memory, disk = facts["memory"], facts["disk"]
    arrays = ", ".join(f"{name} {size(n)}{' (in a file)' if name in memory['in_files'] else ''}"
                       for name, n in memory["arrays"].items())
    held = "" if memory["process"] is None else f"{size(memory['process'])} so far with models and one batch, and "
    console.print(f"Memory: about [bold]{size(memory['total'])}[/]: {held}{arrays}.", highlight=False)
    during = f", {size(disk['during_the_run'])} more while it runs" if disk["during_the_run"] else ""
    console.print(f"Disk: [bold]{size(disk['needed'])}[/] into the cache{during}; {size(disk['free'])} are free.",
                  highlight=False)
    if not disk["suffices"]:
        console.print("[bold red]Not enough disk for the cache: free some, or give a folder on another disk "
                      "(paths.cache=FOLDER).[/]")
    console.print(f"Written: {folder}/plan.json", soft_wrap=True, highlight=False)


def duration(seconds):
    """Seconds, minutes or hours in words; ``none`` of nothing."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s" if seconds else "none"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(n):
    """Bytes in KiB, MiB or GiB."""
    for unit in ("KiB", "MiB"):
        n /= 1024
        if n < 1024:
            return f"{n:.0f} {unit}"
    return f"{n / 1024:.1f} GiB"


def _basis(facts):
    """What was measured, of what is to be computed."""
    measured, passes = facts["measured"], facts["passes"]
    said = []
    todo = {name for name, step in passes.items() if step["compute"]}
    if todo & {"target", "dissector", "gate images"}:
        said.append(f"{measured['images']} images (" + ", ".join(
            f"{name} {_speed(measured['seconds'][name])}" for name in ("decode", "target", "dissector")) + " each)")
    if todo & {"texts", "gate texts"}:
        said.append(f"{measured['texts']} texts ({_speed(measured['seconds']['text'])} each)")
    return f"measured now on {' and '.join(said)}"


def _speed(seconds):
    return f"{1000 * seconds:.3g} ms"
