"""Six words, two models of two layers, small enough to count by hand."""
import numpy as np

from mammi.compare.layers import Layer
from mammi.types import Concepts

WORDS = Concepts("six", ("mass", "cyst", "nipple", "biopsy", "dog", "tree"),
                 ("finding", "finding", "anatomy", "action", "animal", "plant"),
                 broad_categories=("breast", "breast", "breast", "breast", "nature", "nature"),
                 steps=("characterise", "characterise", "locate", "act", "control", "control"))
MASS, CYST, NIPPLE, BIOPSY, DOG, TREE = range(6)


def layer(model, depth, top, score, width=None, null=True):
    """Null units: 96 at 0 with the word tree, 4 at 10 with dog; so a unit passes from just above 0."""
    nulls = (np.array([TREE] * 96 + [DOG] * 4), np.array([0.] * 96 + [10.] * 4)) if null else (None, None)
    return Layer(model, f"layer{depth}", depth, np.arange(len(top)), width or len(top), np.array(top),
                 np.array(score, float), *nulls)


def world(null=True):
    return [layer("before", 0, [MASS, MASS, DOG, TREE], [5, 1, 4, -2], 6, null),
            layer("before", 1, [MASS, NIPPLE], [3, 3], null=null),
            layer("after", 0, [MASS, CYST, CYST, DOG], [9, 9, 9, -9], null=null),
            layer("after", 1, [CYST, DOG], [2, -2], null=null)]
