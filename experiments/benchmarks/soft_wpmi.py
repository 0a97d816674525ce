"""CLIP-Dissect's soft_wpmi for 1,024 neurons: in parts against the plain formula, as ratios in one run.

    python experiments/benchmarks/soft_wpmi.py

Random unit vectors, 20,000 images, 20,000 concepts. Both ways are first timed from the same ready matrix of
similarities, then each from embeddings, where the parts compute every cosine twice to keep no matrix. The plain way is
one softmax in place and the gathers of one neuron after another, in NumPy. Scores must agree: with the plain way to
its float32 rounding, with float64 (on a few concepts) to 1e-5, or the script fails. So it does below 3 times or above
3 GiB over the inputs.
"""
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from machine import machine, peak  # noqa: E402
from matching import timed  # noqa: E402

from mammi.image_text import Products  # noqa: E402
from mammi.method.clip_dissect import soft_wpmi  # noqa: E402

IMAGES, NEURONS, CONCEPTS, DIMS, K = 20_000, 1024, 20_000, 512, 100
EXACT = 20  # concepts that are computed in float64 too


def world(seed=0):
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((n, DIMS), np.float32) for n in (IMAGES, CONCEPTS))
    v, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows)
    return rng.standard_normal((IMAGES, NEURONS), np.float32), v, t


def plain(p, activations, a=10):
    """One softmax over all concepts, then each neuron's images, weights and logarithms."""
    g = a * p
    g -= g.max(1, keepdims=True)
    np.exp(g, out=g)
    g /= g.sum(1, keepdims=True)
    return scores(g, activations)


def scores(g, activations, sort=None):
    top = np.argsort(-activations, axis=0, kind=sort)[:K]
    w = (0.998 - np.arange(K)[:, None] / K * (0.998 - 0.97)).astype(g.dtype)
    fit = np.stack([np.log(1 + w * (g[top[:, i]] - 1) + g.dtype.type(1e-7)).sum(0) for i in range(NEURONS)])
    high = fit.max(0)
    return fit - (high + np.log(np.exp(fit - high).mean(0)))


def exactly(p, activations, a=10):
    """The plain formula in float64, for the first EXACT concepts."""
    norm = np.concatenate([np.exp(a * rows.astype(np.float64)).sum(1) for rows in np.array_split(p, 100)])
    return scores(np.exp(a * p[:, :EXACT].astype(np.float64)) / norm[:, None], activations, "stable")


def main():
    activations, v, t = world()
    before = peak()
    parts, got = timed(lambda: soft_wpmi(Products(v, t), activations))
    used = peak() - before
    product, p = timed(lambda: v @ t.T)
    ready, again = timed(lambda: soft_wpmi(p, activations))
    whole, other = timed(lambda: plain(p, activations))
    plain_used = peak() - before
    errors = {"float64": np.abs(got[:, :EXACT] - exactly(p, activations)).max(),
              "the plain way": np.abs(got - other).max(), "a ready matrix": np.abs(got - again).max()}
    ratio = whole / ready

    print(f"{machine()}\n{IMAGES} images x {NEURONS} neurons x {CONCEPTS} concepts, top_k={K}; largest differences: "
          + ", ".join(f"to {name} {error:.1e}" for name, error in errors.items()) + "\n")
    print("| way | seconds | of ours |\n|---|---|---|")
    for way, seconds, ours in (("ours, from a ready similarity", ready, ready), ("plain, from the same", whole, ready),
                               ("ours, from embeddings", parts, parts),
                               ("plain, from embeddings", product + whole, parts)):
        print(f"| {way} | {seconds:.1f} | {seconds / ours:.1f} |")
    print(f"\nPeak above the inputs: ours from embeddings {used:.2f} GiB, plain {plain_used:.2f} GiB.")
    assert errors["float64"] < 1e-5 and errors["the plain way"] < 1e-2 and errors["a ready matrix"] < 1e-5, errors
    assert ratio > 3 and used < 3, f"{ratio:.1f} times, {used:.2f} GiB"


if __name__ == "__main__":
    main()
