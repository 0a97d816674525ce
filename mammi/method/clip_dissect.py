"""CLIP-Dissect (Oikarinen and Weng, ICLR 2023): words whose similarity to the images fits a neuron's activations.

Five measures of that fit, (P, C) and (P, N) -> (N, C), higher is better; P images, N neurons, C concepts. Each takes

image_text_similarity  (P, C), any scale; an array or :class:`mammi.image_text.Products`, read in blocks of concepts
activations            (P, N), any scale; a dead (constant) neuron gets finite scores that mean nothing

and raises :class:`BadInput` where shapes do not fit, values are not finite, or there are too few images. No score is
NaN. Scores of soft_wpmi and wpmi are float64, others where the similarity is, else float32. Ties among images go to
the lower index.
"""
import inspect

import numpy as np

from mammi.errors import BadInput, near, number
from mammi.image_text import best_words, centred, column_cosines, highest, living, prompts
from mammi.method.mutual_information import soft_wpmi, wpmi
from mammi.method.rank_reorder import rank_reorder


def cos_similarity(image_text_similarity, activations):
    """Cosine over all images of a neuron's activations and a concept's similarity, neither centred; 0 for zeros."""
    return column_cosines(image_text_similarity, activations, lambda x: x)


def cos_similarity_cubed(image_text_similarity, activations, min_norm=1e-3):
    """The same of centred and cubed values, their norm at least ``min_norm``; 0 for what is constant."""
    def cubed(x):
        x = centred(x)
        return x * x * x  # NumPy's x ** 3 is a general power, many times slower

    return column_cosines(image_text_similarity, activations, cubed, min_norm)


MEASURES = {measure.__name__: measure for measure in
            (soft_wpmi, wpmi, rank_reorder, cos_similarity, cos_similarity_cubed)}


class ClipDissect:
    """The ``words`` words of highest score per neuron. Dead neurons get none and take no part in the marginal.

    similarity    one of the five functions above
    top_k a lam   constants of soft_wpmi and wpmi; null: the published ones. Another function refuses them.
    words         words per neuron; the paper's table has 1
    template      prompt without the concept; empty: the bare word (CLIP-Dissect's way), null: the probing set's
    seed          of rank_reorder's permutations

    A single living neuron is scored with lam=0. Annotations have as ``selected`` the top_k images of each neuron where
    the function looks at those.
    """

    needs_every_image = True

    def __init__(self, similarity="soft_wpmi", top_k=None, a=None, lam=None, words=1, template="", seed=0):
        if similarity not in MEASURES:
            raise BadInput(f"method.similarity={similarity}: {near(str(similarity), MEASURES)}")
        self.measure, self.words = MEASURES[similarity], number("method.words", words, 1, whole=True)
        takes = inspect.signature(self.measure).parameters
        self.constants = {"seed": number("method.seed", seed, 0, whole=True)} if "seed" in takes else {}
        for name, value in (("top_k", top_k), ("a", a), ("lam", lam)):
            if value is None:
                continue
            if name not in takes:
                raise BadInput(f"method.{name}={value}: {similarity} has no such constant; leave it null")
            low, whole = (1, True) if name == "top_k" else (0, False)
            self.constants[name] = number(f"method.{name}", value, low, whole=whole)
        self.top_k = top_k or ("top_k" in takes and takes["top_k"].default)
        self.template = template

    def __call__(self, evidence):
        template = evidence.images.template if self.template is None else self.template
        similarity = evidence.similarity(prompts(evidence.concepts.words, template))
        alive, activations = living(evidence.activations)
        # One neuron has no others to be told from, and its own marginal would take every score to 0.
        alone = {"lam": 0} if self.top_k and activations.shape[1] == 1 else {}
        scores = self.measure(similarity, activations, **self.constants | alone)
        return best_words(scores, evidence, alive, self.words, self._selected(activations, alive))

    def _selected(self, activations, alive):
        if not self.top_k:
            return None
        selected = np.zeros((len(activations), len(alive)), bool)
        selected[highest(activations, self.top_k), np.flatnonzero(alive)] = True
        return selected
