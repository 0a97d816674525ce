"""How well a fitted decoder does on validation images: what its masks delete, how large they are, what they look like.
"""
import numpy as np
import torch

from mammi.explainer.losses import FIRES, distance, occlude
from mammi.progress import track
from mammi.types import Readout

MOST = 20       # validation images a unit is measured on: those of highest z
EMPTY = .005    # mean of E below which a unit's masks are as good as empty
UNITS, COLUMNS = 8, 5  # of the picture


@torch.no_grad()
def measure(nemt, target, val, strength, batch_size):
    """({unit: positions of validation images}, {name: what the card says}).

    A unit's ``drop`` is the mean of z(x) - z(x (1 - E)) over up to 20 images on which it fires most (what is deleted
    becomes the mean pixel, whatever the fit's occlusion), ``area`` the mean of E. Of a decoder with one channel for
    all, ``change`` is the distance of the layer's readings instead.
    """
    layer, names = nemt.card["layer"], nemt.card["unit_names"]
    positions = np.split(np.arange(len(val)), range(batch_size, len(val), batch_size))
    if strength is None:
        some = {nemt.card["units"][0]: np.arange(min(len(val), MOST))}
        E, before, after = _deleted(nemt, target, val, some, batch_size)
        change = float(distance(before, after))
        return some, {"images": len(E), "area": float(E.mean()), "change": change}
    z = torch.cat([strength(target.forward(target.prepare(val.load(block)), [layer])[layer].pooled).cpu()
                   for block in track(positions, f"{target.name} on validation images", batch_size, len(val))])
    some = {}
    for k, unit in enumerate(nemt.card["units"]):
        order = torch.argsort(-z[:, k], stable=True)[:MOST]
        some[unit] = order[z[order, k] > FIRES].numpy()
    E, before, after = _deleted(nemt, target, val, some, batch_size)
    units, at = [], 0
    for k, own in enumerate(some.values()):
        part = slice(at, at + len(own))
        at = part.stop
        drop = strength(before[part])[:, k] - strength(after[part])[:, k]
        area = E[part].mean((1, 2))
        units.append({"unit": names[k], "images": len(own), "z": float(strength(before[part])[:, k].mean()),
                      "drop": float(drop.mean()), "area": float(area.mean())})
    seen = [row for row in units if row["images"]]
    means = {key: float(np.mean([row[key] for row in seen])) if seen else None for key in ("z", "drop", "area")}
    return some, {"units_on_validation": units, "mean_over_units": means}


def empty(rows):
    """A note on the units whose masks are as good as empty, or none."""
    names = [row["unit"] for row in rows if row["images"] and row["area"] < EMPTY]
    listed = f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
    return [f"the masks of {len(names)} units are as good as empty (mean of E below {EMPTY}), for deleting a small "
            f"region hardly lowers them: {listed}"] if names else []


@torch.no_grad()
def _deleted(nemt, target, val, some, batch_size):
    """(E (n, H, W), readings before, readings after deletion (n, N)) of all (unit, image) pairs, unit by unit."""
    layer = nemt.card["layer"]
    pairs = [(unit, int(i)) for unit, own in some.items() for i in own]
    E, before, after = [], [], []
    for start in track(range(0, len(pairs), batch_size), "validation", batch_size, len(pairs)):
        part = pairs[start:start + batch_size]
        x = target.prepare(val.load([i for _, i in part]))
        E.append(nemt(target, x, [Readout(layer, unit) for unit, _ in part]))
        before.append(target.forward(x, [layer])[layer].pooled)
        after.append(target.forward(occlude(x, 1 - E[-1]), [layer])[layer].pooled)
    return (torch.cat(E), torch.cat(before), torch.cat(after)) if pairs else (torch.zeros(0, 1, 1),) * 3


@torch.no_grad()
def picture(some, nemt, target, val, path):
    """Up to eight units, of each up to five validation images with E over them."""
    import matplotlib

    from mammi.files import replacing

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = {unit: own[:COLUMNS] for unit, own in some.items() if len(own)}
    shown = dict(list(shown.items())[:UNITS])
    if not shown:
        return
    names = dict(zip(nemt.card["units"], nemt.card["unit_names"]))
    fig, axes = plt.subplots(len(shown), COLUMNS, squeeze=False, figsize=(1.5 * COLUMNS, 1.5 * len(shown) + .3))
    for ax in axes.flat:
        ax.axis("off")
    for line, (unit, own) in zip(axes, shown.items()):
        x = target.prepare(val.load(own))
        for ax, image, E in zip(line, x.cpu(), nemt(target, x, [Readout(nemt.card["layer"], unit)] * len(own)).cpu()):
            ax.imshow(image.mean(0), cmap="gray")
            ax.imshow(np.ma.masked_less(E, .05), cmap="inferno", vmin=0, vmax=1, alpha=.5)
        line[0].set_title(names[unit] if len(names) == nemt.card["decoder"]["channels"] else "all units",
                          fontsize=8, loc="left")
    fig.suptitle(f"{nemt.card['target']}, {nemt.card['layer']}: E on {val.name}"
                 f"{' (synthetic images)' if val.synthetic else ''}", fontsize=8)
    fig.subplots_adjust(.01, .01, .99, 1 - .5 / fig.get_figheight(), .05, .2)
    with replacing(path) as part:
        fig.savefig(part, dpi=110, format="png")
    plt.close(fig)


def print_measured(card, path):
    """Print what the masks delete, unit by unit, and where the weights lie."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rows = card.get("units_on_validation")
    if rows:
        table = Table(box=None, header_style="bold")
        for column in ("unit", "images", "z", "drop by deletion", "area of E"):
            table.add_column(column, justify="left" if column == "unit" else "right")
        for row in rows[:40]:
            numbers = [f"{row[key]:.3f}" for key in ("z", "drop", "area")] if row["images"] else ["never fires", "", ""]
            table.add_row(row["unit"], str(row["images"]), *numbers)
        console.print(table)
        if len(rows) > 40:
            console.print(f"... {len(rows) - 40} more units in card.json")
    else:
        console.print(f"{card['images']} validation images: area of E {card['area']:.3f}, change of the layer "
                      f"{card['change']:.3f}")
    for note in card["notes"]:
        console.print(note)
    console.print(f"loss by epoch: {', '.join(f'{value:.3f}' for value in card['loss_by_epoch'])}")
    console.print(f"Weights: {path}", soft_wrap=True)
