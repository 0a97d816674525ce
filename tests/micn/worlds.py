"""Planted worlds: features that are a noisy linear picture of concepts, and a class that a rule over them decides."""
import numpy as np

WORDS = tuple(f"c{i}" for i in range(8))


def planted(n=1500, seed=0, noise=.3):
    """(features (n, 64), concepts (n, 8) of 1 and 0, y): yes <=> c0 and not c1, or c2."""
    rng = np.random.default_rng(seed)
    c = (rng.random((n, len(WORDS))) < .4).astype(np.float32)
    y = ((c[:, 0] * (1 - c[:, 1]) + c[:, 2]) > 0).astype(int)
    features = c @ rng.standard_normal((len(WORDS), 64)) + noise * rng.standard_normal((n, 64))
    return features.astype(np.float32), c, y
