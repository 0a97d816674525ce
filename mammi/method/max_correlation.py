"""A plain control: the word whose similarity to the images goes along best with the neuron's activation."""
from mammi.errors import number
from mammi.image_text import best_words, centred, column_cosines, living, prompts


def correlation(image_text_similarity, activations):
    """(N, C) Pearson's r over all images, in [-1, 1]; 0 where a neuron or a concept is constant.

    image_text_similarity  (P, C), any scale; an array or :class:`mammi.image_text.Products`
    activations            (P, N), any scale
    Raises :class:`BadInput` where shapes do not fit or values are not finite.
    """
    return column_cosines(image_text_similarity, activations, centred)


class MaxCorrelation:
    """The ``words`` words of highest correlation per neuron; no image is selected.

    words     how many, at least 1
    template  prompt without the concept; empty: the bare word, null: the probing set's
    """

    needs_every_image = True

    def __init__(self, words=1, template=""):
        self.words, self.template = number("method.words", words, 1, whole=True), template

    def __call__(self, evidence):
        template = evidence.images.template if self.template is None else self.template
        similarity = evidence.similarity(prompts(evidence.concepts.words, template))
        alive, activations = living(evidence.activations)
        return best_words(correlation(similarity, activations), evidence, alive, self.words)
