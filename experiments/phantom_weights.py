"""Train the phantom's shipped weights again, by the commands on their cards, and compare a number on validation images.

    make phantom-weights                                    all of them (about 40 minutes on two cores)
    python experiments/phantom_weights.py target_seed0      some of them

The number is the mean AUROC; of a decoder of explanation masks (nemt_...) the mean drop of a class's probability when
its mask is deleted. Fails where it differs by more than 0.01. The new weights lie in outputs/phantom_weights; nothing
shipped changes.
"""
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "mammi" / "phantom" / "weights"
MEANS = ("validation_auroc_mean", "zero_shot_auroc_mean")
TOLERANCE = 0.01


def mean(card):
    """The mean AUROC of a target's or a dissector's card, the mean drop of a decoder's."""
    if "mean_over_units" in card:
        return card["mean_over_units"]["drop"]
    return next(card[key] for key in MEANS if key in card)


def overrides(card):
    """What follows ``python run.py`` in the command on a card (a line, or its overrides)."""
    command = card["command"]
    return shlex.split(command)[2:] if isinstance(command, str) else command


def again(name, card):
    """The card of a new fit by the command on ``card``."""
    folder = ROOT / "outputs" / "phantom_weights" / name
    command = [sys.executable, "run.py", *overrides(card), f"hydra.run.dir={folder}"]
    print(f"{name}: python run.py {shlex.join(overrides(card))}", flush=True)
    # One thread, as the shipped ones were trained: sums in another order lead training elsewhere.
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return json.loads((folder / "card.json").read_text())


def main(names):
    names = names or sorted(path.stem for path in SHIPPED.glob("*.json"))
    rows = []
    for name in names:
        card = json.loads((SHIPPED / f"{name}.json").read_text())
        rows.append((name, mean(card), mean(again(name, card))))
    print("\n| weights | on the card | again | |\n|---|---|---|---|")
    for name, shipped, new in rows:
        print(f"| {name} | {shipped:.4f} | {new:.4f} | {'ok' if abs(new - shipped) <= TOLERANCE else 'DIFFERS'} |")
    sys.exit(any(abs(new - shipped) > TOLERANCE for _, shipped, new in rows))


if __name__ == "__main__":
    main(sys.argv[1:])
