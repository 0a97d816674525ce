"""Wrong weights before the gate: every fault of this folder, and the dissectors that are right.

    python experiments/gate/faults.py          about ten minutes on one core

Prints the tables of README.md beside this file; fails where a fault is called verified or a right one is not.
"""
import contextlib
import copy
import io
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments" / "benchmarks")]
from machine import machine  # noqa: E402

from experiments.gate import functional, models, structural  # noqa: E402
from mammi.errors import MammiError  # noqa: E402
from mammi.gate.gate import Gate, failed  # noqa: E402
from mammi.phantom.names import FINDINGS  # noqa: E402
from mammi.probing_set.phantom import Phantom  # noqa: E402
from mammi.text_encoder import SentenceEncoder  # noqa: E402
from mammi.types import VERDICTS  # noqa: E402

IMAGES = 400


def main():
    import torch

    torch.set_num_threads(1)
    encoder, gate, images = SentenceEncoder(), Gate(), Phantom(n=IMAGES, boost=.5)
    print(f"{machine()}\n{IMAGES} synthetic images, {len(FINDINGS)} labels\n")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        def verdict(model):
            return models.ask(gate, model, images, tempfile.mkdtemp(dir=folder))

        fitted = Path(folder) / "lit"
        with contextlib.redirect_stdout(io.StringIO()):
            models.lit(encoder, fitted)
        right = {f"{kind}, seed {seed}": lambda kind=kind, seed=seed: models.phantom(encoder, kind, seed)
                 for kind in models.KINDS for seed in models.SEEDS} | {
                     "lit, fitted here": lambda: models.lit(encoder, fitted)}
        print("| the right dissector | verdict | golden difference | zero-shot AUROC | p | p, names | warnings |\n"
              "|---|---|---|---|---|---|---|")
        for name, make in right.items():
            found = verdict(make())
            wrong += [name] * (found.name != "verified")
            print(f"| {name} | {found.name} | {_cells(found)} | {_warnings(found)} |", flush=True)
        for kind in ("phantom_nce, seed 0", "lit, fitted here"):
            print(f"\n| fault of {kind} | verdict | without golden | golden difference | zero-shot AUROC | p "
                  "| p, names | decided by |\n|---|---|---|---|---|---|---|---|")
            for name, fault in functional.FAULTS.items():
                found = [verdict(broken(right[kind](), fault, known)) for known in (True, False)]
                wrong += [name] * any(one.name == "verified" for one in found)
                why = ", ".join(check.name for check in failed(found[0].checks))
                print(f"| {name} | {found[0].name} | {found[1].name} | {_cells(found[0])} | {why} |", flush=True)
        print("\n| fault of a file | what happens |\n|---|---|")
        for name in structural.FAULTS:
            try:
                found = verdict(structural.load(name, tempfile.mkdtemp(dir=folder)))
                said = f"loads; the gate: {found.name} ({', '.join(check.name for check in failed(found.checks))})"
                wrong += [name] * (found.name in VERDICTS[:2])
            except MammiError as error:
                said = f"refused: {_short(str(error), folder)}"
            print(f"| {name} | {said} |", flush=True)
    print(f"\nTaken for what they are not: {', '.join(wrong) or 'none'}")
    sys.exit(bool(wrong))


def broken(model, fault, known=True):
    """``model`` after ``fault``; ``known`` False: as if nobody had written its golden embeddings down."""
    import torch

    model.card = copy.deepcopy(model.card) if known else {}
    with torch.no_grad():
        fault(model, np.random.default_rng(0))
    return model


def _cells(verdict):
    numbers = {check.name: check.numbers for check in verdict.checks}
    golden, ranked = numbers["golden embeddings"].get("difference"), numbers.get("zero-shot", {})
    texts = ["" if golden is None else "not finite" if golden > 1e8 else f"{golden:.0e}"]
    texts += [f"{ranked[key]:.3f}" if key in ranked else "" for key in ("auroc", "p", "names_p")]
    return " | ".join(texts)


def _warnings(verdict):
    return ", ".join(check.name for check in verdict.checks if check.state == "fail" and not check.decisive)


def _short(text, folder):
    """Up to where the message says what the file must be, without the folder's name."""
    for ending in (". It must be", ": it must be", " Next:", "; use the same"):
        text = text.partition(ending)[0]
    words = [word.rpartition("/")[2] if str(folder) in word else word for word in text.split()]
    return " ".join(words).replace("|", "/")[:160]


if __name__ == "__main__":
    main()
