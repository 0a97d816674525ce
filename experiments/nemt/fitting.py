"""How well a NEMt decoder of the phantom's classes points at the findings, beside the activation map.

    OMP_NUM_THREADS=1 python experiments/nemt/fitting.py                             the shipped decoder
    OMP_NUM_THREADS=1 python experiments/nemt/fitting.py FOLDER/weights.safetensors  others, a line each

Synthetic images (phantom_val: seed 2, not trained on by the decoder or the network). For each of the 14 classes up to
40 images that carry the finding, show its mask, and on which the network says so (probability over .5); the numbers are
means over classes of means over images, the interval of the mass a bootstrap over images within classes. Chance is the
mean area of the mask: small for a nodule, but Cardiomegaly's mask is the whole heart and Emphysema's both lungs. The
drop is the probability's when the map's largest pixels become the mean pixel, as many as NEMt's mean E (deleted).
mass, rank, entropy and Gini are those of mammi.explainer.metrics: a map that is 0 everywhere has none and is left out.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2])]
from mammi.explainer import metrics  # noqa: E402
from mammi.explainer.actmap import ActMap  # noqa: E402
from mammi.explainer.losses import occlude  # noqa: E402
from mammi.explainer.nemt import Nemt  # noqa: E402
from mammi.phantom.names import FINDINGS  # noqa: E402
from mammi.probing_set.phantom import Phantom  # noqa: E402
from mammi.target.phantom import PhantomTarget  # noqa: E402
from mammi.types import Readout  # noqa: E402

MOST, BATCH, RESAMPLES = 40, 64, 1000
COLUMNS = ("mass", "chance", "rank", "entropy", "gini", "area", "drop")


def largest(E, share):
    """(B, H, W) 0 or 1: of each map the ``share`` (B,) of its pixels with the largest values, ties by position."""
    flat = E.flatten(1)
    places = torch.argsort(torch.argsort(-flat, dim=1, stable=True), dim=1)
    return (places < share[:, None] * flat.shape[1]).float().view_as(E)


def chosen(target, images):
    """{class: positions} of what is explained."""
    blocks = np.split(np.arange(len(images)), range(BATCH, len(images), BATCH))
    logits = torch.cat([target.read(images.load(block), ["final"])["final"].pooled for block in blocks]).numpy()
    some = {}
    for c in range(len(FINDINGS)):
        positions = np.flatnonzero((images.labels[:, c] == 1) & (logits[:, c] > 0))[:2 * MOST]
        shown = images.load(positions, masks=True).masks[:, c].any((1, 2)) if len(positions) else np.zeros(0, bool)
        if shown.any():
            some[c] = positions[shown][:MOST]
    return some


@torch.no_grad()
def rows_of(explainer, target, images, some, areas=None):
    """({class: (n, 7) numbers of COLUMNS}, {class: (n,) mean of each map}).

    explainer  None: the true mask itself
    areas      shares of pixels that are deleted of each image, the largest of the map; None: the map's own mean
    """
    found, means = {}, {}
    for c, positions in some.items():
        batch = images.load(positions, masks=True)
        x, readouts = target.prepare(batch), [Readout("final", c, FINDINGS[c])] * len(positions)
        s_of = batch.masks[:, c]
        E = explainer(target, x, readouts) if explainer else torch.from_numpy(s_of).float()
        means[c] = E.mean((1, 2))
        share = means[c] if areas is None else areas[c]
        drop = target.module(x)[:, c].sigmoid()
        drop = drop - target.module(occlude(x, 1 - largest(E, share)))[:, c].sigmoid()
        found[c] = np.array([
            [metrics.mass(e, s), s.mean(), metrics.rank(e, s), metrics.entropy(e), metrics.gini(e), float(area),
             float(d)]
            for e, s, area, d in zip(E.flatten(1).double().numpy(), s_of.reshape(len(x), -1), share, drop)])
    return found, means


def line(name, found, rng):
    """The table's row: means over classes, the mass with a 95 % interval."""
    means = np.mean([np.nanmean(rows, 0) for rows in found.values()], 0)
    draws = [np.mean([np.nanmean(rows[rng.integers(0, len(rows), len(rows)), 0]) for rows in found.values()])
             for _ in range(RESAMPLES)]
    low, high = np.quantile(draws, (.025, .975))
    m = dict(zip(COLUMNS, means))
    by_class = np.mean([np.nanmean(rows[:, 0]) / rows[:, 1].mean() for rows in found.values()])
    return (f"| {name} | {m['mass']:.3f} [{low:.3f}, {high:.3f}] | {m['chance']:.3f} | {m['mass'] / m['chance']:.1f} | "
            f"{by_class:.1f} | {m['rank']:.3f} | {m['entropy']:.2f} | {m['gini']:.3f} | {m['area']:.3f} | "
            f"{m['drop']:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", default=["nemt_final_seed0.safetensors"])
    parser.add_argument("--images", type=int, default=3000, help="validation images to choose from")
    parser.add_argument("--classes", action="store_true", help="a line a class as well")
    args = parser.parse_args()
    target, images = PhantomTarget(), Phantom(n=args.images, seed=2, boost=.5)
    some = chosen(target, images)
    print(f"{sum(map(len, some.values()))} pairs of image and class, {len(some)} classes, synthetic images\n")
    print("| explainer | mass [95 %] | chance | mass / chance | the same, mean of classes | rank | entropy | Gini | "
          "deleted | drop |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for weights in args.weights:
        found, areas = rows_of(Nemt(weights), target, images, some)
        rows = {f"nemt, {Path(weights).parent.name or weights}": found,
                "actmap": rows_of(ActMap(), target, images, some, areas)[0],
                "the true mask": rows_of(None, target, images, some)[0]}
        for name, found in rows.items():
            print(line(name, found, np.random.default_rng(0)), flush=True)
            for c in found if args.classes else ():
                print(line(f"&nbsp; {FINDINGS[c]}, n = {len(found[c])}", {c: found[c]}, np.random.default_rng(0)))


if __name__ == "__main__":
    main()
