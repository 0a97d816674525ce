"""Units whose concepts are known exactly: oracles that look at the masks. The benchmark of every method."""
import numpy as np
import torch

from mammi.errors import BadInput, near, number
from mammi.files import digest
from mammi.target.base import Target, check_read_out
from mammi.types import Reading

THRESHOLD, EXTENT = 0.7, 0.15  # of the unit's sigmoid; linear extent (share of the image side) worth full strength


class Planted(Target):
    """One unit per mask of the images, and controls.

    A unit's strength is z = present * (0.7 + 0.3 min(2, sqrt(mask area) / 0.15)), area as a share of the image, and
    its activation sigmoid(saturation * (z + noise * e - 0.7)), e standard normal, fixed by (seed, unit, image id). Its
    map has that activation inside the mask and 0 outside, or, where the image has no such mask, everywhere: noise then
    fires for nothing that can be seen.

    names       masks that get a unit
    noise       0: an exact oracle
    saturation  steepness; at 12 a finding of typical extent (0.15) has 0.97 and an absent one 0.0002
    pairs       OR-units [[a, b], ...]: z is the larger one's, either name is right
    random      that many units of pure noise; unit i is judged by the i-th name, as a control
    oracle      False leaves the oracle units out, so that controls stand alone
    """

    name = "planted"
    needs_masks = True

    def __init__(self, names, noise=0.0, saturation=12.0, pairs=(), random=0, oracle=True, seed=0, layer="final",
                 activation="logit"):
        if layer != "final":
            raise BadInput(f"target.layer={layer}: planted units are one layer, final")
        number("target.noise", noise, 0)
        number("target.saturation", saturation, 1e-6)
        number("target.random", random, 0, whole=True)
        check_read_out(layer, activation)
        self.layer, self.activation = layer, activation
        self.names, self.pairs = tuple(names), tuple(tuple(pair) for pair in pairs)
        for name in (n for pair in self.pairs for n in pair):
            if name not in self.names:
                raise BadInput(f"target.pairs names {name!r}, which has no mask. {near(name, self.names)}")
        self.noise, self.saturation, self.random, self.seed = noise, saturation, random, seed
        self._units = [(name,) for name in self.names] if oracle else []
        self._units += list(self.pairs)
        if not self._units and not random:
            raise BadInput("planted target without a unit: set target.oracle=true, target.pairs or target.random")

    def neurons(self, layer):
        return (*(" or ".join(unit) for unit in self._units), *(f"random {i}" for i in range(self.random)))

    def truths(self, layer):
        controls = [[self.names[i % len(self.names)].lower()] for i in range(self.random)]
        return [[name.lower() for name in unit] for unit in self._units] + controls

    def fingerprint(self, layer):
        return digest("planted 1", self.names, self._units, self.noise, self.saturation, self.random, self.seed)

    def read(self, batch, layers, maps=False):
        if batch.masks is None:
            raise BadInput("target=planted needs masks, and these images have none: use probing_set=phantom or a set "
                           "with masks")
        column = {name: i for i, name in enumerate(batch.mask_names)}
        missing = [name for name in self.names if name not in column]
        if missing:
            raise BadInput(f"no mask is called {missing[0]!r}. {near(missing[0], column)}")
        extent = np.sqrt(np.stack([np.asarray(mask).mean((1, 2)) for mask in batch.masks]))
        strength = (extent > 0) * (0.7 + 0.3 * np.minimum(2, extent / EXTENT))
        units = [[column[name] for name in unit] for unit in self._units]
        z = np.stack([strength[:, unit].max(1) for unit in units], 1) if units else np.zeros((len(batch), 0))
        e = self._noise(batch.ids, z.shape[1] + self.random)
        z = np.concatenate([z + self.noise * e[:, :z.shape[1]] - THRESHOLD, e[:, z.shape[1]:]], 1)
        pooled = torch.tensor(1 / (1 + np.exp(-self.saturation * z)), dtype=torch.float32)
        spatial = None
        if maps:
            masks = of_one_size(batch.masks)
            blank = np.zeros((len(batch), self.random, *masks.shape[2:]), bool)
            masks = np.stack([masks[:, unit].any(1) for unit in units], 1) if units else masks[:, :0]
            masks = np.concatenate([masks, blank], 1)
            masks |= ~masks.any((2, 3), keepdims=True)
            spatial = pooled[:, :, None, None] * torch.from_numpy(masks)
        return {layer: Reading(pooled, spatial) for layer in layers}

    def _noise(self, ids, n):
        """(B, n) standard normal; a row belongs to its image id, whatever the batch."""
        return np.stack([np.random.default_rng([self.seed, int(digest(i)[:15], 16)]).standard_normal(n) for i in ids])


def of_one_size(masks):
    """(B, M, h, w) bool of B masks (M, H, W), each of its image's own size: the smallest, by nearest pixels."""
    masks = [np.asarray(mask, bool) for mask in masks]
    height, width = (min(mask.shape[axis] for mask in masks) for axis in (1, 2))
    rows, columns = ([(np.arange(n) * 2 + 1) * mask.shape[axis] // (2 * n) for mask in masks]
                     for axis, n in ((1, height), (2, width)))
    return np.stack([mask[:, y[:, None], x] for mask, y, x in zip(masks, rows, columns)])
