"""The honest control: words drawn at random, as many for each neuron as the method that it is a control of."""
import numpy as np

from mammi.errors import number
from mammi.types import Annotations


class Random:
    """Distinct concepts drawn from ``seed``; scores are the draw's, in (0, 1].

    like  method whose number of words per neuron is taken over: more words are more chances to be right
    """

    def __init__(self, like, seed=0):
        self.like, self.seed = like, number("method.seed", seed, 0, whole=True)
        self.needs_every_image = getattr(like, "needs_every_image", False)
        self.asks_dissector = getattr(like, "asks_dissector", True)

    def __call__(self, evidence):
        words, found = evidence.concepts.words, self.like(evidence)
        rng = np.random.default_rng(self.seed)
        draws = [rng.choice(len(words), size=len(own), replace=False) for own in found.concepts]
        return Annotations(
            neurons=found.neurons,
            concepts=[[words[j] for j in draw] for draw in draws],
            scores=[[1 - rank / len(draw) for rank in range(len(draw))] for draw in draws],
            status=found.status, selected=found.selected, vocabulary=words)
