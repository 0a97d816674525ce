"""Matching 1,024 neurons with 80,000 concepts: the closed form against plainer ways, as ratios in one run.

    python experiments/benchmarks/matching.py

Random unit vectors, 40 images per neuron (TopK). The plain ways are timed on a few neurons and scaled; the table says
so. Their scores must agree with the closed form to 1e-5 or the script fails.
"""
import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from machine import machine, peak  # noqa: E402

from mammi import annotate, matching  # noqa: E402
from mammi.selection import TopK  # noqa: E402

IMAGES, NEURONS, CONCEPTS, DIMS, K = 4000, 1024, 80_000, 512, 40
LOOP_NEURONS, BATCH_NEURONS = 1, 16


def world(seed=0):
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((n, DIMS), np.float32) for n in (IMAGES, CONCEPTS, 1))
    v, t, tem = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows)
    return rng.standard_normal((IMAGES, NEURONS), np.float32), v, t, tem[0]


def per_image_loop(images, texts, template):
    """One cosine with every concept per image, both sides normalised each time, as published code does it."""
    total = np.zeros(len(texts), np.float64)
    for v in images:
        v = v / np.linalg.norm(v)
        cosines = (texts / np.linalg.norm(texts, axis=1, keepdims=True)) @ v
        total += cosines - template @ v / np.linalg.norm(template)
    return total / len(images)


def batched_product(images, texts, template):
    """One matrix product per neuron over its images, then the mean."""
    return (images @ texts.T - (images @ template)[:, None]).mean(0)


def timed(work):
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def main():
    activations, v, t, template = world()
    words = [f"w{j}" for j in range(CONCEPTS)]
    before = peak()
    whole, got = timed(lambda: annotate(activations, v, t, words, template, selection=TopK(K)))
    used = peak() - before
    chosen = [np.flatnonzero(got.selected[:, i]) for i in range(NEURONS)]
    closed, _ = timed(lambda: matching.products(matching.mean_rows(v, np.arange(IMAGES), got.selected), t))
    batched, some = timed(lambda: [batched_product(v[chosen[i]], t, template) for i in range(BATCH_NEURONS)])
    loop, one = timed(lambda: [per_image_loop(v[chosen[i]], t, template) for i in range(LOOP_NEURONS)])
    worst = max(np.abs(got.dense[i] - row).max() for i, row in [*enumerate(some), *enumerate(one)])
    assert worst < 1e-5, f"the ways disagree by {worst}"

    batched, loop = batched * NEURONS / BATCH_NEURONS, loop * NEURONS / LOOP_NEURONS
    print(f"{machine()}\n{NEURONS} neurons x {CONCEPTS} concepts x {DIMS} dimensions, top_k={K}, {IMAGES} images; "
          f"largest difference {worst:.1e}\n")
    print("| way | seconds | times the closed form |\n|---|---|---|")
    for way, seconds in (("closed form, scores alone", closed),
                         (f"one batched product per neuron (timed on {BATCH_NEURONS}, scaled)", batched),
                         (f"per-image loop (timed on {LOOP_NEURONS}, scaled)", loop)):
        print(f"| {way} | {seconds:.1f} | {seconds / closed:.0f} |")
    print(f"\n`annotate` from arrays to words: {whole:.1f} s, {used:.2f} GiB above its inputs.")


if __name__ == "__main__":
    main()
