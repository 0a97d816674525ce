"""How memory grows with the number of images: precomputed rows, from an empty cache to annotated neurons.

    python experiments/benchmarks/memory.py

1,024 neurons, 512 dimensions, 1,361 words, for 20,000 and for 80,000 images, a process each. Private memory (RssAnon of
Linux, looked at every few milliseconds) is what a run needs for itself; the matrices of P images are in files of the
cache, whose pages the system takes back when it wants them. The script fails where private memory grows by more than a
tenth of those matrices.
"""
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from machine import machine  # noqa: E402

FEW, MANY, NEURONS, DIMS, WORDS, LIMIT = 20_000, 80_000, 1024, 512, 1361, .1


def annotate(p):
    """Annotate on ``p`` images; (bytes of the matrices of ``p`` images, of private memory at its peak, seconds)."""
    import torch

    from mammi.cache import Cache
    from mammi.dissector.base import Dissector
    from mammi.evidence import Evidence
    from mammi.files import digest
    from mammi.method.mammi import Mammi
    from mammi.probing_set.base import ProbingSet
    from mammi.selection import Adaptive
    from mammi.target.base import Target
    from mammi.types import Batch, Concepts, Reading

    def rows(first, n, width):
        return np.random.default_rng(int(first)).standard_normal((n, width), np.float32)

    before = _private()

    class Images(ProbingSet):
        name = "rows"
        ids = patients = tuple(f"{i:08}.png" for i in range(p))
        keys = tuple(digest(i) for i in range(p))

        def load(self, indices, masks=False):
            return Batch((None,) * len(indices), tuple(self.ids[i] for i in indices), ())

    class Activations(Target):
        name = "rows"

        def neurons(self, layer):
            return tuple(f"{layer}[{i}]" for i in range(NEURONS))

        def read(self, batch, layers, maps=False):
            values = rows(batch.ids[0][:-4], len(batch), NEURONS)
            return {layer: Reading(torch.from_numpy(values)) for layer in layers}

        def fingerprint(self, layer):
            return layer

    class Embeddings(Dissector):
        name = fingerprint = "rows"

        def embed_images(self, batch):
            return rows(batch.ids[0][:-4], len(batch), DIMS)

        def embed_texts(self, texts):
            return rows(len(texts), len(texts), DIMS)

    with tempfile.TemporaryDirectory() as folder:
        evidence = Evidence(Activations(), Images(), Concepts("words", tuple(f"word {j}" for j in range(WORDS))),
                            Embeddings(), Adaptive(), Cache(folder), 256)
        seen, done = [0], threading.Event()

        def watch():
            while not done.wait(.005):
                seen.append(_private())

        threading.Thread(target=watch, daemon=True).start()
        begun = time.perf_counter()
        evidence.gather()
        evidence.image_embeddings()
        Mammi()(evidence)
        done.set()
        return p * (4 * NEURONS + NEURONS + 4 * DIMS), max(seen) - before, time.perf_counter() - begun


def _private():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))


def main():
    if len(sys.argv) > 1:
        print(json.dumps(annotate(int(sys.argv[1]))))
        return
    print(f"{machine()}\n{NEURONS} neurons, {DIMS} dimensions, {WORDS} words\n")
    print("| images | matrices of P rows, MiB | private memory, MiB | seconds |\n|---|---|---|---|")
    found = []
    for p in (FEW, MANY):
        done = subprocess.run([sys.executable, __file__, str(p)], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        matrices, private, seconds = found[-1]
        print(f"| {p:,} | {matrices / 2**20:.0f} | {private / 2**20:.0f} | {seconds:.1f} |")
    growth = [after - before for before, after in zip(*found)]
    print(f"\nFrom {FEW:,} to {MANY:,} images private memory grows by {growth[1] / 2**20:.0f} MiB, "
          f"{growth[1] / (MANY - FEW):.0f} bytes an image (names and keys), {growth[1] / growth[0]:.3f} of what the "
          "matrices grow by")
    if growth[1] > LIMIT * growth[0]:
        sys.exit(f"above the limit of {LIMIT}")


if __name__ == "__main__":
    main()
