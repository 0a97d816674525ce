"""task=compare's arithmetic at the size of Mammo-CLIP Dissect: 4,000 images x 763 concepts x 6,992 units, 39 layers.

    python experiments/benchmarks/compare.py

Random unit vectors; layers as wide as the blocks of EfficientNet-B5. The similarity of all units, layer by layer from
embeddings, must take less than 10 s on two cores, or the script fails. The plain way is NumPy: a softmax of all images,
then unit after unit (timed on one layer, scaled by units). Scores must agree to 1e-3. Then, in one layer, 1,000 null
units: those that a unit's place is kept for, against scoring each in a copy of the layer (timed on 3, scaled).
"""
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from machine import machine, peak  # noqa: E402
from matching import timed  # noqa: E402

from mammi.compare.scores import in_place_of, owners, relative, shuffled, shuffles  # noqa: E402
from mammi.image_text import Products, ready  # noqa: E402
from mammi.method.clip_dissect import soft_wpmi  # noqa: E402

IMAGES, CONCEPTS, DIMS, K, NULL = 4_000, 763, 512, 100, 1_000
WIDTHS = [24] * 3 + [40] * 5 + [64] * 5 + [128] * 7 + [176] * 7 + [304] * 9 + [512] * 3
TIMED = 20  # the layer that single steps are timed on, 176 units


def plain(similarity, activations):
    """(N, C) L of one layer: softmax over concepts, then each unit's best images."""
    g = np.exp(10 * similarity)
    g /= g.sum(1, keepdims=True)
    w = (.998 - np.arange(K) / K * (.998 - .97))[:, None]
    out = []
    for column in activations.T:
        top = np.argsort(-column, kind="stable")[:K]
        out.append(np.log(1 + w * (g[top] - 1) + 1e-7).sum(0))
    return np.stack(out)


def main():
    rng = np.random.default_rng(0)
    v, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in
            (rng.standard_normal((n, DIMS), np.float32) for n in (IMAGES, CONCEPTS)))
    layers = [rng.standard_normal((IMAGES, n), np.float32) for n in WIDTHS]
    before = peak()

    def ours():
        similarity = ready(Products(v, t))
        return [relative(soft_wpmi(similarity, layer, K, lam=0)) for layer in layers]

    seconds, scores = timed(ours)
    product, whole = timed(lambda: v @ t.T)
    slow, expected = timed(lambda: plain(whole, layers[TIMED]))
    slow = product + slow * sum(WIDTHS) / WIDTHS[TIMED]
    error = np.abs(scores[TIMED] - relative(expected)).max()

    layer, similarity = layers[TIMED], ready(Products(v, t))
    orders, _ = shuffles(np.arange(IMAGES) // 4, NULL, rng)
    own, fits = owners(layer.shape[1], NULL, rng), soft_wpmi(similarity, layer, K, lam=0)
    making, null = timed(lambda: soft_wpmi(similarity, shuffled(layer, orders, own), K, lam=0))
    placing, placed = timed(lambda: in_place_of(null, own, fits))

    def copies(n):
        out = []
        for i in range(n):
            column = np.array(layer)
            column[:, own[i]] = layer[orders[i], own[i]]
            out.append(relative(soft_wpmi(similarity, column, K, lam=0))[own[i]])
        return np.stack(out)

    copying, same = timed(lambda: copies(3))
    copying *= NULL / 3
    nulls = making + placing
    null_error = np.abs(placed[:3] - same).max()

    print(f"{machine()}\n{IMAGES} images x {CONCEPTS} concepts x {sum(WIDTHS)} units in {len(WIDTHS)} layers, top_k={K}"
          f"; largest differences {error:.1e} and {null_error:.1e}; {peak() - before:.2f} GiB above the inputs\n")
    print("| step | seconds | of ours |\n|---|---|---|")
    for step, value, of in (("similarity of all units, ours", seconds, seconds),
                            ("the same, unit after unit", slow, seconds),
                            (f"{NULL} null units in a layer of {WIDTHS[TIMED]}, ours", nulls, nulls),
                            ("the same, each in a layer of its own", copying, nulls)):
        print(f"| {step} | {value:.1f} | {value / of:.1f} |")
    assert seconds < 10, f"{seconds:.1f} s"
    assert error < 1e-3 and null_error < 1e-6, (error, null_error)


if __name__ == "__main__":
    main()
