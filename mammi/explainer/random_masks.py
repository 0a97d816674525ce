"""Smooth random masks that show parts of an image: what RISE and RELAX ask a model about."""
import numpy as np
import torch
from torch.nn.functional import interpolate


def random_masks(n, cells, keep, size, seed, block):
    """Stream (b, H, W) float32 masks in [0, 1], ``block`` at a time, ``n`` in all; the same for a seed, whatever the
    block.

    A mask is a grid of ``cells`` x ``cells``, each cell shown with probability ``keep``, enlarged (bilinear) by one
    cell more than the image and shifted by a random part of a cell (Petsiuk et al., BMVC 2018).

    size  (H, W)
    """
    shown, shifts = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    steps = [-(-side // cells) for side in size]  # a cell's sides in pixels
    for start in range(0, n, block):
        count = min(block, n - start)
        grid = torch.from_numpy((shown.random((count, 1, cells + 1, cells + 1)) < keep).astype(np.float32))
        large = interpolate(grid, [(cells + 1) * step for step in steps], mode="bilinear")[:, 0].clamp(0, 1)
        corners = shifts.integers(0, steps, (count, 2))
        yield torch.stack([mask[top:top + size[0], left:left + size[1]] for mask, (top, left) in zip(large, corners)])
