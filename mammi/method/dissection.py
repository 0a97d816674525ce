"""Network dissection on arrays: where units fire, and how much of it lies in which concept.

N units, P images, C concepts; g x g cells, laid over what the network sees of an image.
"""
from functools import lru_cache

import numpy as np

from mammi.selection import blocks

PLATEAU = 1e-4  # of a unit's range: what lies so close to its maximum is its maximum


def resample(x, rows, columns):
    """(..., h, w) -> (..., g, g): ``rows`` @ x @ ``columns``.T, weights of :func:`bilinear` or :func:`shares`."""
    return rows @ (x @ columns.T)


@lru_cache(64)
def bilinear(n, grid, zeros=False):
    """(grid, n) float32 weights that interpolate n values at the centres of ``grid`` cells.

    Beyond the outermost centres the outermost value goes on; ``zeros``: it fades, as if zeros were around it (a map of
    ones, 7 to 56: .5625 at an edge, .316 in a corner).
    """
    at = (np.arange(grid) + .5) * n / grid - .5
    low = np.floor(at).astype(int)
    weights = np.zeros((grid, n + 2))  # with a value before the first and one behind the last
    weights[np.arange(grid), low + 1] = 1 - (at - low)
    weights[np.arange(grid), low + 2] = at - low
    if not zeros:
        weights[:, 1] += weights[:, 0]
        weights[:, -2] += weights[:, -1]
    return weights[:, 1:-1].astype(np.float32)


@lru_cache(256)
def shares(low, high, n, grid):
    """(grid, n) float32: how much of each of ``grid`` equal parts of [low, high] each of n pixels fills."""
    edges, pixels = np.linspace(low, high, grid + 1), np.arange(n)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(overlap, 0) * grid / (high - low)).astype(np.float32)


@lru_cache(256)
def nearest(low, high, n, grid):
    """(grid, n) float32: 1 for the pixel in which the centre of each of ``grid`` equal parts of [low, high] lies."""
    centres = low + (np.arange(grid) + .5) * (high - low) / grid
    return np.eye(n, dtype=np.float32)[np.clip(np.floor(centres).astype(int), 0, n - 1)]


def thresholds(maps, quantile, rows, columns):
    """(N,) float32 T_u: the exact ``quantile`` (linear between neighbours) of a unit's resampled ``maps`` (N, P, h, w).

    A unit whose highest values are one plateau, wider than 1 - ``quantile``, would fire nowhere: it fires on the
    plateau. Memory: the P g g resampled values of one unit at a time.
    """
    found = np.empty(len(maps), np.float32)
    for unit, own in enumerate(maps):
        values = resample(own, rows, columns).ravel()
        low, high = float(values.min()), float(values.max())
        level = float(np.quantile(values, quantile, overwrite_input=True))
        found[unit] = min(level, high - PLATEAU * (high - low))
    return found


def intersections(maps, masks, levels, rows, columns):
    """Where the resampled ``maps`` (N, P, h, w) exceed ``levels`` (N,), all areas in cells, float64:

    inside  (N, C) in both the unit and the concept
    area    (N,) in the unit
    fires   (P, N) bool: the unit is anywhere in the image

    masks   sparse (P g g, C): the share of each cell that a concept fills. One product of indicators a block of images.
    """
    n, images = maps.shape[:2]
    cells = len(rows) * len(columns)
    inside, area, fires = np.zeros((n, masks.shape[1])), np.zeros(n), np.zeros((images, n), bool)
    for some in blocks(images, 8 * n * cells):
        on = resample(maps[:, some], rows, columns) > levels[:, None, None, None]
        fires[some] = on.any((2, 3)).T
        on = on.reshape(n, -1)
        area += on.sum(1)
        inside += (masks[some.start * cells:some.stop * cells].T @ on.T.astype(np.float32)).T
    return inside, area, fires


def iou(inside, area, concepts):
    """(N, C) float64 in [0, 1]: i / (a + g - i); 0 where neither the unit nor the concept is anywhere.

    area, concepts  (N,) a and (C,) g, in the same unit as ``inside`` (N, C) i
    """
    union = area[:, None] + concepts - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
