"""Whether embeddings are embeddings: finite, of unit norm, different for different inputs, not all in one direction.

n images or texts, D dimensions.
"""
import numpy as np

from mammi.types import Check

UNIT = 1e-3       # largest distance of a norm from 1
SAME = 5e-3       # largest difference of a component between two passes over the same input, one of them with TF32, too
CONSTANT = 1e-4   # least 1 - mean cosine: below, float32 cannot rank what is left
DISTINCT = .5     # least share of different inputs with a vector of their own
TWINS = 1e-6      # two unit vectors nearer than this, as 1 - cosine, are the same one
NARROW = .95      # mean cosine from which a space is called narrow: untrained networks give such ones, some trained do


def norms(direct, cached, what):
    """:class:`Check` of rows as the dissector gives them just now, against those that are computed with.

    direct, cached  (n, D) of the same inputs
    """
    direct = np.asarray(direct, np.float64)
    if not np.isfinite(direct).all():
        return Check(f"{what} norms", "fail", f"{what} embeddings hold NaN or infinity", True)
    off = float(np.abs(np.linalg.norm(direct, axis=1) - 1).max())
    moved = float(np.abs(direct - cached).max())
    numbers = {"off": off, "moved": moved}
    says = (f"norms of {len(direct)} {what} embeddings are within {off:.1e} of 1, and a second pass moves them by "
            f"{moved:.1e}")
    return Check(f"{what} norms", "pass" if off <= UNIT and moved <= SAME else "fail", says, True, numbers)


def spread(rows, what):
    """:class:`Check`: different inputs have different vectors.

    rows  (n, D) of unit norm, of n different inputs
    """
    n = len(rows)
    if n < 2:
        return Check(f"{what} spread", "unknown", f"{n} {what}s: nothing to compare")
    mean = mean_cosine(rows)
    cosines = rows.astype(np.float64) @ rows.T
    np.fill_diagonal(cosines, -1)
    own = float((cosines.max(1) < 1 - TWINS).mean())
    says = f"{n} {what}s: mean cosine {mean:.4f}, {own:.0%} have a vector of their own"
    state = "pass" if 1 - mean >= CONSTANT and own >= DISTINCT else "fail"
    return Check(f"{what} spread", state, says, True, {"mean_cosine": mean, "own": own})


def anisotropy(rows, what):
    """:class:`Check`: not all ``rows`` (n, D) lie in one narrow cone; a warning."""
    if len(rows) < 2:
        return Check(f"{what} anisotropy", "unknown", f"{len(rows)} {what}s: nothing to compare")
    mean = mean_cosine(rows)
    return Check(f"{what} anisotropy", "pass" if mean < NARROW else "fail",
                 f"two {what}s have a cosine of {mean:.3f} on average (narrow from {NARROW:g})",
                 numbers={"mean_cosine": mean})


def score_spread(scores):
    """:class:`Check` of a scorer without embeddings: (n, C) scores are finite and differ between images and texts."""
    scores = np.asarray(scores, np.float64)
    if not np.isfinite(scores).all():
        return Check("score spread", "fail", "scores hold NaN or infinity", True)
    if min(scores.shape) < 2:
        return Check("score spread", "unknown", f"{scores.shape[0]} images and {scores.shape[1]} texts: too few")
    over_images, over_texts = (float(np.median(scores.std(axis))) for axis in (0, 1))
    scale = max(float(np.abs(scores).max()), 1e-12)
    says = (f"scores of {len(scores)} images and {scores.shape[1]} texts vary by {over_images:.1e} over images and "
            f"{over_texts:.1e} over texts (sd, median)")
    alive = min(over_images, over_texts) >= CONSTANT * scale
    return Check("score spread", "pass" if alive else "fail", says, True,
                 {"over_images": over_images, "over_texts": over_texts})


def mean_cosine(rows):
    """Mean cosine of two different rows of (n, D) unit vectors."""
    n, total = len(rows), rows.sum(0, dtype=np.float64)
    return float((total @ total - n) / (n * (n - 1)))
