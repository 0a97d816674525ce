"""What extraction costs beside the networks: files to cached activations and embeddings, against bare forward passes.

    python experiments/benchmarks/extraction.py

PNG files of 224 x 224 pixels, through ImageFolder: decoding, both transforms, DenseNet121 (final and penultimate layer)
and MedCLIP's Swin-tiny, both of random weights, and writing the cache; against the same two networks on tensors that
are ready in memory. The two are timed in turn, since a shared machine is never as fast as a minute ago. On a busy
machine look at the processor time with OMP_NUM_THREADS=1: threads that wait for each other count as work.
"""
import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from machine import machine, peak  # noqa: E402

from experiments import stand_ins  # noqa: E402

IMAGES, SIZE, BATCH, REPEATS, LIMIT = 256, 224, 64, 7, 1.15
LAYERS = ("final", "penultimate")
BERT = {"vocab_size": 28996, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 24}  # texts are no part of this


def world(folder, n):
    """(target, images, dissector) on files in ``folder``."""
    import torch

    from mammi.dissector.medclip import MedCLIP
    from mammi.probing_set.image_folder import ImageFolder
    from mammi.target.densenet121 import DenseNet121

    torch.manual_seed(0)
    for _ in stand_ins.images(folder / "images", [f"{i:05}.png" for i in range(n)], np.eye(n, 14), SIZE):
        pass
    stand_ins.densenet_checkpoint(folder / "densenet121.pth")
    stand_ins.medclip_checkpoint(folder / "pytorch_model.bin", bert=BERT)
    stand_ins.vocabulary(folder / "vocab.txt", ())
    return (DenseNet121([f"class {i}" for i in range(14)], folder / "densenet121.pth"),
            ImageFolder(folder / "images"), MedCLIP(folder, folder, bert=BERT, batch_size=BATCH))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    asked = parser.parse_args()
    import torch

    from mammi.cache import Cache
    from mammi.evidence import Evidence

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        target, images, dissector = world(Path(folder), asked.images)
        batches = [images.load(range(start, min(start + BATCH, len(images))))
                   for start in range(0, len(images), BATCH)]
        ready = [(target.prepare(batch), dissector.prepare(batch.images).contiguous()) for batch in batches]

        def bare():
            for x, y in ready:
                target.module(x)
                dissector._image[0](y)

        def extraction(number):
            cache = Cache(Path(folder) / f"cache{number}")
            Evidence(target, images, None, dissector, None, cache, BATCH).gather(LAYERS)

        def decode():
            for start in range(0, len(images), BATCH):
                images.load(range(start, min(start + BATCH, len(images))))

        def transform():
            for batch in batches:
                target.prepare(batch), dissector.prepare(batch.images)

        bare(), extraction("warm-up")
        rows = np.array([[_seconds(bare), _seconds(lambda: extraction(repeat)), _seconds(bare),  # noqa: B023
                          _seconds(decode), _seconds(transform)] for repeat in range(asked.repeats)])
    work, rows = rows[..., 1], rows[..., 0]
    forward = (rows[:, 0] + rows[:, 2]) / 2  # before and after: a slow drift of the machine cancels
    ratios, busy = rows[:, 1] / forward, 2 * work[:, 1] / (work[:, 0] + work[:, 2])
    print(f"{machine()}, {torch.get_num_threads()} threads of torch\n{asked.images} images, {asked.repeats} times\n")
    print("| part | ms an image (median) | of the bare forward passes |\n|---|---|---|")
    for name, column in (("bare forward passes", forward), ("extraction", rows[:, 1]),
                         ("decoding alone", rows[:, 3]), ("both transforms alone", rows[:, 4])):
        share = np.median(column / forward)
        print(f"| {name} | {1000 * np.median(column) / asked.images:.1f} | {share:.3f} |")
    print(f"\nExtraction over bare forward passes: median {np.median(ratios):.3f}, from {ratios.min():.3f} to "
          f"{ratios.max():.3f} (limit {LIMIT}); of processor time {np.median(busy):.3f}. Peak {peak():.2f} GiB")
    if np.median(ratios) > LIMIT:
        sys.exit(f"above the limit of {LIMIT}")


def _seconds(work):
    """(wall, processor) seconds."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


if __name__ == "__main__":
    main()
