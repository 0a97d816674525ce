"""The paper's "80K": every noun of WordNet."""
from pathlib import Path

from mammi.concept_set.base import ConceptSet, word_list
from mammi.types import Concepts

SYNSETS = 82_115
FILE = Path(__file__).with_name("wordnet_nouns.txt.gz")


class WordNet(ConceptSet):
    """First lemma of each of the 82,115 noun synsets of WordNet 3.0, each word once (licence: WORDNET_LICENSE.txt).

    Order is that of ``data.noun``: entity, physical entity, abstraction ... ``derive_wordnet.py`` wrote the list.
    """

    name = "wordnet"

    def load(self, cache=None):
        words, _ = word_list(FILE)
        return Concepts(self.name, words, (), "WordNet 3.0 noun synsets, first lemma (WordNet licence)",
                        {"synset with a first lemma already seen": SYNSETS - len(words)})
