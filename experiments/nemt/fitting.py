"""How well a NEMt decoder of the phantom's classes points at the findings, beside the activation map.

    OMP_NUM_THREADS=1 python experiments/nemt/fitting.py                             the shipped decoder
    OMP_NUM_THREADS=1 python experiments/nemt/fitting.py FOLDER/weights.safetensors  others, a line each

Synthetic images (phantom_val: seed 2, not trained on by the decoder or the network). For each of the 14 classes up to
40 images that carry the finding, show its mask, and on which the network says so (probability over .5); the numbers are
means over classes of means over images, the interval of the mass a bootstrap over images within classes.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2])]
from mammi.explainer.actmap import ActMap  # noqa: E402
from mammi.explainer.losses import occlude  # noqa: E402
from mammi.explainer.nemt import Nemt  # noqa: E402
from mammi.phantom.names import FINDINGS  # noqa: E402
from mammi.probing_set.phantom import Phantom  # noqa: E402
from mammi.target.phantom import PhantomTarget  # noqa: E402
from mammi.types import Readout  # noqa: E402

MOST, BATCH, RESAMPLES = 40, 64, 1000
COLUMNS = ("mass", "chance", "rank", "entropy", "gini", "area", "drop")


def mass(a, s):
    """Share of an attribution ``a`` (n,) that lies in the mask ``s`` (n,) bool; NaN of nothing."""
    return float(a[s].sum() / a.sum()) if a.sum() > 0 else float("nan")


def rank(a, s):
    """Share of the |s| largest of ``a`` that lie in ``s``."""
    return float(s[np.argsort(-a, kind="stable")[:s.sum()]].mean())


def entropy(a):
    """-sum q ln q of q = a / sum a, 0 to ln n."""
    q = a / a.sum() if a.sum() > 0 else np.full(len(a), 1 / len(a))
    return float(-(q[q > 0] * np.log(q[q > 0])).sum())


def gini(a):
    """0 of a constant, (n - 1) / n of a single pixel."""
    a = np.sort(a + 1e-7)
    n = len(a)
    return float(((2 * np.arange(1, n + 1) - n - 1) * a).sum() / (n * a.sum()))


def largest(E, share):
    """(B, H, W) 0 or 1: of each map the ``share`` (B,) of its pixels with the largest values, ties by position."""
    flat = E.flatten(1)
    places = torch.argsort(torch.argsort(-flat, dim=1, stable=True), dim=1)
    return (places < share[:, None] * flat.shape[1]).float().view_as(E)


def chosen(target, images):
    """{class: positions} that are explained, and the masks by class and position."""
    blocks = np.split(np.arange(len(images)), range(BATCH, len(images), BATCH))
    logits = torch.cat([target.read(images.load(block), ["final"])["final"].pooled for block in blocks]).numpy()
    return {c: np.flatnonzero((images.labels[:, c] == 1) & (logits[:, c] > 0))[:MOST] for c in range(len(FINDINGS))}


@torch.no_grad()
def rows_of(explainer, target, images, some):
    """{class: (n, 7) numbers of COLUMNS} and, beside, the area that each map was given for deletion."""
    found = {}
    for c, positions in some.items():
        if not len(positions):
            continue
        batch = images.load(positions, masks=True)
        x, readouts = target.prepare(batch), [Readout("final", c, FINDINGS[c])] * len(positions)
        E = explainer(target, x, readouts)
        z, soft, rows = target.module(x)[:, c].sigmoid(), E.mean((1, 2)), []
        # Deleted alike: as many pixels as NEMt's masks have on average, the largest of the map.
        share = AREAS.setdefault(c, soft)
        drop = z - target.module(occlude(x, 1 - largest(E, share)))[:, c].sigmoid()
        for e, m, area, d in zip(E.flatten(1).double().numpy(), batch.masks[:, c], soft, drop):
            s = m.ravel()
            if s.any():
                rows.append([mass(e, s), s.mean(), rank(e, s), entropy(e), gini(e), float(area), float(d)])
        found[c] = np.array(rows)
    return found


AREAS = {}  # of each class, the area of NEMt's E on each image


def line(name, found, rng):
    """The table's row: means over classes, and a 95 % interval of the mass."""
    means = np.mean([np.nanmean(rows, 0) for rows in found.values()], 0)
    draws = [np.mean([np.nanmean(rows[rng.integers(0, len(rows), len(rows)), 0]) for rows in found.values()])
             for _ in range(RESAMPLES)]
    low, high = np.quantile(draws, (.025, .975))
    numbers = dict(zip(COLUMNS, means))
    return (f"| {name} | {numbers['mass']:.3f} [{low:.3f}, {high:.3f}] | {numbers['chance']:.3f} | "
            f"{numbers['mass'] / numbers['chance']:.1f} | {numbers['rank']:.3f} | {numbers['entropy']:.2f} | "
            f"{numbers['gini']:.3f} | {numbers['area']:.3f} | {numbers['drop']:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", default=["nemt_final_seed0.safetensors"])
    parser.add_argument("--images", type=int, default=3000, help="validation images to choose from")
    parser.add_argument("--classes", action="store_true", help="a line a class as well")
    args = parser.parse_args()
    target, images = PhantomTarget(), Phantom(n=args.images, seed=2, boost=.5)
    some = chosen(target, images)
    print(f"{sum(map(len, some.values()))} pairs of image and class, {sum(bool(len(p)) for p in some.values())} "
          "classes, synthetic images\n")
    print("| explainer | mass [95 %] | chance | mass / chance | rank | entropy | Gini | mean E | drop at NEMt's area |")
    print("|---|---|---|---|---|---|---|---|---|")
    for weights in args.weights:
        AREAS.clear()
        for name, explainer in ((f"nemt ({Path(weights).parent.name or weights})", Nemt(weights)),
                                ("actmap, same areas", ActMap())):
            found = rows_of(explainer, target, images, some)
            print(line(name, found, np.random.default_rng(0)), flush=True)
            if args.classes:
                for c, rows in found.items():
                    print(line(f"&nbsp; {FINDINGS[c]} (n = {len(rows)})", {c: rows}, np.random.default_rng(0)))


if __name__ == "__main__":
    main()
