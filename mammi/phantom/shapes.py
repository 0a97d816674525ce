"""Soft shapes and random fields on a pixel grid, NumPy float32. One image at a time, so that no image depends on
the batch it is rendered in."""
from functools import lru_cache

import numpy as np


def soft(z):
    """Logistic step, 0 to 1."""
    return .5 + .5 * np.tanh(.5 * z)


def bump(z):
    """Gaussian bump of height 1, unit standard deviation."""
    return np.exp(-.5 * z * z)


@lru_cache
def grid(size):
    """(y, x) of the pixel centres, (H, W) each, in [-1, 1]; y downwards."""
    line = ((np.arange(size) + .5) / size * 2 - 1).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(line[:, None], (size, size))), np.ascontiguousarray(
        np.broadcast_to(line, (size, size)))


@lru_cache
def _upsampling(knots, size):
    """(size, knots): Catmull-Rom interpolation of ``knots`` values that lie evenly over the image, ends repeated."""
    at = (np.arange(size) + .5) / size * knots - .5
    matrix = np.zeros((size, knots), np.float32)
    for pixel, position in enumerate(at):
        start = int(np.floor(position))
        t = position - start
        weights = (-.5 * t**3 + t**2 - .5 * t, 1.5 * t**3 - 2.5 * t**2 + 1, -1.5 * t**3 + 2 * t**2 + .5 * t,
                   .5 * t**3 - .5 * t**2)
        for offset, weight in zip(range(-1, 3), weights):
            matrix[pixel, min(max(start + offset, 0), knots - 1)] += weight
    return matrix


def field(rng, knots, size):
    """(size, size) smooth noise, about unit variance at its ``knots`` x ``knots`` support points."""
    matrix = _upsampling(knots, size)
    return matrix @ rng.standard_normal((knots, knots), np.float32) @ matrix.T


def between(rng, low, high, power=1.0):
    """One number in [low, high]; ``power`` > 1 makes values near ``low`` more frequent."""
    return np.float32(low + (high - low) * rng.random() ** power)


def around(rng, mean, sd):
    """One normal number."""
    return np.float32(rng.normal(mean, sd))
