"""Whole runs as a user starts them: composing only, cold, warm, another alpha, another concept set.

    python experiments/benchmarks/whole_runs.py

Each is one process, timed from outside, with its own peak memory; the cache starts empty in a temporary folder.
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
from machine import machine  # noqa: E402

RUNS = (("composing only (--cfg job)", ["--cfg", "job"]),
        ("the default, cold", []),
        ("the default, warm", []),
        ("selection.alpha=0.9, warm", ["selection.alpha=0.9"]),
        ("concept_set=nih_labels, warm", ["concept_set=nih_labels"]),
        ("target.layer=penultimate, cold layer", ["target.layer=penultimate"]))


def run(arguments, folder):
    """(seconds, peak GiB) of one ``python run.py``; raises when it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "run.py", f"paths.outputs={folder}", *arguments], cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"python run.py {' '.join(arguments)} failed")
    return time.perf_counter() - begun, usage.ru_maxrss / 2**20


def main():
    print(f"{machine()}\n\n| command | seconds | of the cold run | peak GiB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [(name, *run(arguments, folder)) for name, arguments in RUNS]
    cold = rows[1][1]
    for name, seconds, memory in rows:
        print(f"| {name} | {seconds:.1f} | {seconds / cold:.2f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
