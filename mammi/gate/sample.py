"""What the gate looks at: one image of each patient, evenly over the set, and words evenly over the concept set."""
from functools import cached_property

import numpy as np

from mammi.image_text import prompts, spoken
from mammi.lemma import lemmas
from mammi.synonyms import load_synonyms

PROBED = 20  # words of the questions on left, right and no where there are no labels
PROBES = ("no", "left", "right")
SCORED = 64  # images, words and sentences where a dissector only scores, but for label names: each pair costs a pass


class Sample:
    """Texts and images of an evidence, and how well they fit one another.

    evidence  :class:`mammi.evidence.Evidence`; whatever is embedded goes through its cache
    images    at most so many images; ``words`` at most so many words

    positions  (n,) of the images, one of each patient: their labels are then independent under chance
    template   of the probing set
    names      L label names as one says them; (n, L) ``truth``, or None
    words      C words
    """

    def __init__(self, evidence, images, words):
        self.evidence, self.template = evidence, evidence.images.template
        self.embeds = evidence.dissector.embeds
        first = np.sort(np.unique(np.asarray(evidence.images.patients), return_index=True)[1])
        self.positions = first[evenly(len(first), images)]
        self.few = evenly(len(self.positions), len(self.positions) if self.embeds else SCORED)
        concepts = evidence.concepts.words
        self.words = [concepts[i] for i in evenly(len(concepts), words if self.embeds else min(words, SCORED))]
        labels = evidence.images.labels
        self.truth = None if labels is None else np.asarray(labels, np.float32)[self.positions]
        self.names = [] if labels is None else [spoken(name) for name in evidence.images.label_names]

    def scores(self, texts, at=slice(None)):
        """(n, len(texts)) of the images ``at`` these of ``positions``."""
        return np.asarray(self.evidence.similarity(texts, self.positions[at])[:, :])

    def vectors(self, texts):
        """(len(texts), D) of the texts; of a scorer (len(texts), n') scores over images, from their mean."""
        if self.embeds:
            return self.evidence.text_embeddings(texts)
        scores = self.scores(texts, self.few).T
        return scores - scores.mean(1, keepdims=True)

    def prompts(self, words):
        return prompts(words, self.template)

    @cached_property
    def foils(self):
        """Those of ``words`` that share no word, whatever its number, with a label's name or synonyms."""
        table = {spoken(name): same for name, same in load_synonyms().items()}
        said = {lemma for name in self.names for text in (name, *table.get(name, ())) for lemma in lemmas(text).split()}
        return [word for word in self.words if said.isdisjoint(lemmas(word).split())]

    @property
    def texts(self):
        """All texts that the gate embeds."""
        some = self.names or self.words[:PROBED]
        probes = [f"{word} {name}".strip() for word in ("", *PROBES) for name in some]
        return list(dict.fromkeys([*self.prompts(self.names), *self.prompts(self.words), *self.words, *probes,
                                   *self.described[1]]))

    @cached_property
    def described(self):
        """(positions of ``positions`` that have a sentence, the first sentence of each); of a scorer 64 at most."""
        texts = self.evidence.images.texts
        found = [(i, texts[at][0]) for i, at in enumerate(self.positions) if texts is not None and texts[at]]
        found = [found[i] for i in evenly(len(found), len(found) if self.embeds else SCORED)]
        return np.array([i for i, _ in found], int), [text for _, text in found]


def evenly(n, limit):
    """``limit`` of ``n`` positions, evenly over them; all where they are fewer."""
    return np.arange(n) if n <= limit else np.unique(np.linspace(0, n - 1, limit).round().astype(int))
