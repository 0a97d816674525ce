"""Which findings occur together: label rows drawn as often as NIH ChestX-ray14 has them.

``nih_rows.csv`` counts the combinations of findings among the 112,120 images of NIH ChestX-ray14 (Wang et al., CVPR
2017; table Data_Entry_2017_v2020.csv of the NIH Clinical Center). ``derive_rows.py`` wrote it.
"""
import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

from mammi.errors import BadInput
from mammi.phantom.names import FINDINGS

PATH = Path(__file__).with_name("nih_rows.csv")


@lru_cache
def combinations():
    """(rows (K, 14) bool, counts (K,) int): the K combinations of findings and NIH's number of images of each."""
    with open(PATH, newline="") as file:
        lines = list(csv.DictReader(file))
    rows = np.array([[finding in line["findings"].split("|") for finding in FINDINGS] for line in lines])
    counts = np.array([int(line["images"]) for line in lines])
    rows.flags.writeable = counts.flags.writeable = False
    return rows, counts


@lru_cache
def _cumulated():
    """(15, K): the distribution function over combinations, of all images and of those with each finding."""
    rows, counts = combinations()
    weights = np.vstack([counts, rows.T * counts]).cumsum(1)
    return weights / weights[:, -1:]


def sample_rows(n, seed, boost=0.0):
    """(n, 14) bool. Row i depends on ``seed``, i and ``boost``, not on n.

    boost  in [0, 1]: probability that a row is drawn among those with a finding that was picked uniformly; otherwise
           among all rows of NIH, 54% of which show no finding
    """
    if not 0 <= boost <= 1:
        raise BadInput(f"boost={boost}: expected a probability in [0, 1]")
    rows, _ = combinations()
    cumulated = _cumulated()
    out = np.zeros((n, len(FINDINGS)), bool)
    for i in range(n):
        boosted, finding, at = np.random.default_rng([seed, i]).random(3)
        within = 1 + int(finding * len(FINDINGS)) if boosted < boost else 0
        out[i] = rows[np.searchsorted(cumulated[within], at, side="right")]
    return out
