"""How many units that mean nothing pass the permutation null: 40 made-up layers of 400 units of noise, 200 images.

    python experiments/mammo/null_level.py

Once each image is a patient of its own, once patients have two films that go together; there, beside our null, one that
shuffles images as if they were patients. The layers are those of tests/compare/test_scores.py.
"""
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from mammi.compare.layers import NULL  # noqa: E402
from tests.compare.test_scores import noise_layer  # noqa: E402

LAYERS = 40


def main():
    for pairs in (False, True):
        found = np.array([[(one.score >= one.limits(0)[NULL]).mean() for one in noise_layer(seed, pairs)]
                          for seed in range(LAYERS)])
        mean, error = found.mean(0), found.std(0, ddof=1) / np.sqrt(LAYERS)
        print(f"{'two films a patient' if pairs else 'an image a patient'}: patients shuffled {mean[0]:.1%} (s.e. "
              f"{error[0]:.1%}), images shuffled {mean[1]:.1%} (s.e. {error[1]:.1%})")


if __name__ == "__main__":
    main()
