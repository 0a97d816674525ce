"""The honest control: words drawn at random, as many per neuron as asked."""
import numpy as np

from mammi.errors import BadInput
from mammi.types import Annotations


class Random:
    """``k`` distinct concepts per living neuron, drawn from ``seed``; scores are the draw's, in (0, 1]."""

    def __init__(self, seed=0, k=1):
        if k < 1:
            raise BadInput(f"method.k must be at least 1, got {k}")
        self.seed, self.k = seed, k

    def __call__(self, evidence):
        words, neurons = evidence.concepts.words, evidence.neurons
        rng = np.random.default_rng(self.seed)
        k = min(self.k, len(words))
        draws = [rng.choice(len(words), size=k, replace=False) for _ in neurons]
        dead = np.ptp(evidence.activations, axis=0) == 0
        return Annotations(
            neurons=neurons,
            concepts=[[] if d else [words[j] for j in draw] for draw, d in zip(draws, dead)],
            scores=[[] if d else [1 - r / k for r in range(k)] for d in dead],
            status=["dead" if d else "ok" for d in dead],
            selected=evidence.selected, vocabulary=words)
