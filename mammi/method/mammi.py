"""MAMMI: adaptive cosine matching of each neuron's representative images. WWW is this with ``selection=top_k``."""
import numpy as np

from mammi import matching
from mammi.errors import BadInput
from mammi.image_text import prompts


class Mammi:
    """Eq. (2): s_ij = mean over I_i of cos(v_k, t_j) - cos(v_k, t_tem); words with s_ij > beta * max_j s_ij.

    beta                share of the best score that a word must exceed, in (0, 1); the paper's 95 % is 0.95
    adaptive            subtract the template's cosine. It is one constant per neuron: it never changes the order of
                        the words, only how many pass beta.
    template            prompt without the concept; null takes the probing set's. A concept is prompted as template +
                        one space + concept; an empty template prompts the bare word and subtracts nothing.
    on_nonpositive_max  what a neuron without a positive score gets: ``empty`` (the paper) or ``top1``
    why                 keep each image's part in the top word, the runner-up, and the image whose removal would
                        change the word

    ``needs_every_image`` says whether a method reads the embeddings of all images, or of the representative ones;
    ``asks_dissector`` whether it reads any.
    """

    needs_every_image = False
    asks_dissector = True

    def __init__(self, beta=0.95, adaptive=True, template=None, on_nonpositive_max="empty", why=True):
        matching.check_beta(beta, on_nonpositive_max)
        if not isinstance(template, str | None):
            raise BadInput(f"method.template={template}: expected a text, or null for the probing set's")
        self.beta, self.adaptive, self.template = beta, adaptive, template
        self.on_nonpositive_max, self.why = on_nonpositive_max, why

    def __call__(self, evidence):
        words = evidence.concepts.words
        template = evidence.images.template if self.template is None else self.template
        matched = evidence.match(prompts(words, template))
        base = evidence.match([template]) if self.adaptive and template else None
        scores = matched.mean if base is None else matched.mean - base.mean
        annotations = matching.from_scores(scores, words, evidence.neurons, evidence.selected, evidence.activations,
                                           self.beta, self.on_nonpositive_max)
        if self.why:
            column = {word: j for j, word in enumerate(words)}
            for i in range(len(annotations.neurons)):
                facts, parts = _explain(annotations, column, matched, base, evidence.images.ids, i)
                annotations.why.append(facts)
                annotations.contributions.append(parts)
        return annotations


def _explain(annotations, column, matched, base, ids, i):
    """Facts on neuron ``i`` for ``neurons.csv``, and its images' parts in the top word, largest first."""
    facts = {"runner_up": None, "margin": None, "pivotal_image": None, "without_it": None}
    if not annotations.concepts[i]:
        return facts, []
    words, row = annotations.vocabulary, annotations.dense[i]
    best = column[annotations.concepts[i][0]]
    second, score = matching.runner_up(row, [column[w] for w in annotations.concepts[i]])
    if second is not None:
        facts |= {"runner_up": words[second], "margin": annotations.scores[i][0] - score}

    images = np.flatnonzero(annotations.selected[:, i])
    candidates = matching.could_overtake(row, best, len(images)) if matched.cosine else np.arange(len(row))
    parts = matched.parts(images, candidates)
    if base is not None:
        parts = parts - base.parts(images, [0])
    found = matching.pivotal(row, parts, best, candidates)
    if found is not None:
        image, other = found
        facts |= {"pivotal_image": ids[images[image]], "without_it": None if other is None else words[other]}
    top = parts[:, int(np.searchsorted(candidates, best))]
    return facts, [(int(images[k]), float(top[k])) for k in np.argsort(-top, kind="stable")]
