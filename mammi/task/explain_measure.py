"""Attributions of rows by an explainer and by the two it is held against, and how good each is."""
import time

import numpy as np
import pandas as pd
import torch

from mammi.errors import BadInput
from mammi.explainer import metrics
from mammi.explainer.actmap import enlarged
from mammi.explainer.base import read
from mammi.progress import track

RANDOM = "random"
CELLS = 7   # of the random map's side: as smooth as an activation map. Single pixels deleted at random are a noise that
            # breaks networks, wherever it lies


class ReadOff:
    """Units without a network (planted ones), read off the images just prepared: a subject for ``actmap`` alone."""

    def __init__(self, target):
        self.target, self.name, self.device, self._batch = target, target.name, torch.device("cpu"), None

    def prepare(self, batch):
        self._batch = batch
        sizes = {image.size for image in batch.images}
        if len(sizes) > 1:
            raise BadInput(f"{self.name} needs images of one size to show its maps on, found {len(sizes)} sizes")
        return torch.stack([torch.from_numpy(np.array(image.convert("L"), np.float32))[None] for image in batch.images])

    def read(self, batch, layers, maps=False):
        return self.target.read(batch, layers, maps)

    def forward(self, x, layers, maps=False):
        return self.target.read(self._batch, layers, maps)

    def field(self, size):
        return self.target.field(size)


class Measure:
    """(table, kept) of rows for an explainer. Columns of the table, a row per image x read-out x explainer:

    image, patient, layer, unit, name, concept, explainer, activation
    mass, rank, pointing             against the truth's mask; NaN where ``note`` says why there is none
    entropy, gini, faithfulness      need no mask
    drop                             by deleting the highest share ``deleted`` of the pixels: the truth's area, or
                                     ``delete``
    area                             of the truth in the network's frame: the mass and pointing that chance gives
    ms                               milliseconds an explanation, device synchronised; of a block of rows their share.
                                     Before the first comes a warm-up call, on one image, or where an explanation is a
                                     single pass on the whole block
    """

    def __init__(self, subject, truth, blocks, delete, fill, batch_size, seed):
        self.subject, self.truth, self.notes = subject, truth, []
        self.blocks, self.delete, self.fill, self.batch_size, self.seed = blocks, delete, fill, batch_size, seed
        self.perturb = not isinstance(subject, ReadOff)
        if not self.perturb:
            self.notes.append(f"{subject.name} has no network: faithfulness and drop are not measured")

    def __call__(self, explainer, rows, baseline):
        """``explainer``, beside ``baseline`` (the activation map) and a random map. ``kept`` {name: a list by row}."""
        table, kept = [], {"attributions": [], "actmap": [], "truth": [], "uncertainty": []}
        blocks = [rows[i:i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        for number, block in enumerate(track(blocks, f"{explainer.name} on images", unit=self.batch_size,
                                             total=len(rows))):
            batch = self.truth.load([row.image for row in block])
            x, readouts = self.subject.prepare(batch), [row.readout for row in block]
            warm = self.perturb and not number
            (maps, uncertain), ms = self._timed(explainer, explainer.with_uncertainty, x, readouts, warm)
            found = {explainer.name: (maps, ms)} | self._beside(explainer, baseline, x, readouts, number, warm)
            found = {name: (values.detach().cpu().numpy(), spent) for name, (values, spent) in found.items()}
            table += self._rows(block, batch, x, found, kept)
            kept["attributions"] += [_small(a) for a in found[explainer.name][0]]
            kept["actmap"] += [_small(a) for a in found["actmap"][0]] if "actmap" in found else []
            kept["uncertainty"] += [_small(u) for u in uncertain.cpu().numpy()] if uncertain is not None else []
        if any(mask is not None for mask in kept["truth"]):
            blank = np.zeros_like(kept["attributions"][0], bool)
            kept["truth"] = [blank if mask is None else mask for mask in kept["truth"]]
        return pd.DataFrame(table), kept

    def _beside(self, explainer, baseline, x, readouts, number, warm):
        """{"actmap": (maps, ms), "random": ...} of the block ``number``: the activation map where the read-out has one,
        and a smooth random map, drawn for each row by itself so that ``batch_size`` changes none."""
        draws = np.stack([np.random.default_rng([self.seed, number * self.batch_size + i]).random(
            (CELLS, CELLS), np.float32) for i in range(len(x))])
        found = {RANDOM: (enlarged(torch.from_numpy(draws), x.shape[-2:]), 0.0)}
        if explainer.name != baseline.name:
            try:
                maps, ms = self._timed(baseline, baseline, x, readouts, warm)
                found = {baseline.name: (maps, ms)} | found
            except BadInput as error:
                self.notes += [f"no activation map to compare with: {str(error).split('. ')[0]}"] * (not number)
        return found

    def _timed(self, explainer, explain, x, readouts, warm):
        if warm:
            some = len(x) if explainer.single_pass else 1
            explainer(self.subject, x[:some], readouts[:some])
        self._wait()
        begun = time.perf_counter()
        value = explain(self.subject, x, readouts)
        self._wait()
        return value, 1000 * (time.perf_counter() - begun)

    def _wait(self):
        if self.subject.device.type == "cuda":
            torch.cuda.synchronize(self.subject.device)

    def _rows(self, block, batch, x, found, kept):
        masks = self.truth.of(batch) or [None] * len(block)
        with torch.no_grad():
            activations = read(self.subject, x, [row.readout for row in block]).cpu().numpy()
        for i, row in enumerate(block):
            size = batch.images[i].size
            mask, note = self.truth.mask(row, masks[i], size, self.subject.field(size), x.shape[-2:])
            kept["truth"].append(mask)
            about = {"image": batch.ids[i], "patient": batch.patients[i], "layer": row.readout.layer,
                     "unit": row.readout.index, "name": row.readout.name, "concept": row.concept}
            for name, (maps, ms) in found.items():
                yield about | {"explainer": name, "activation": float(activations[i]),
                               **self._judge(maps[i], mask, x[i], row.readout), "ms": ms / len(block), "note": note}

    def _judge(self, a, mask, x, readout):
        area = float("nan") if mask is None else float(mask.mean())
        share = self.delete if mask is None else area
        empty = np.zeros(a.shape, bool) if mask is None else mask
        out = {name: getattr(metrics, name)(a, empty) for name in ("mass", "rank", "pointing")}
        out |= {"entropy": metrics.entropy(a), "gini": metrics.gini(a), "faithfulness": float("nan"),
                "drop": float("nan"), "deleted": share, "area": area}
        if self.perturb and a.max() > 0:
            pixels = x.cpu().numpy()
            fill = 0.0 if self.fill == "mean" else float(pixels.min())
            f = self._function(readout)
            out["faithfulness"] = metrics.faithfulness(f, pixels, a, self.blocks, fill)
            out["drop"] = metrics.drop(f, pixels, a, share, fill)
        return out

    def _function(self, readout):
        @torch.no_grad()
        def f(images):
            parts = torch.from_numpy(np.ascontiguousarray(images)).to(self.subject.device).split(self.batch_size)
            return torch.cat([read(self.subject, part, [readout] * len(part)) for part in parts]).double().cpu().numpy()

        return f


def _small(a):
    """(H, W) float16 with a maximum of 1; zeros stay zeros."""
    return (a / max(float(a.max()), 1e-30)).astype(np.float16)
