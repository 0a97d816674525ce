"""The paper's "80K": every noun of WordNet."""
from dataclasses import replace
from pathlib import Path

from mammi.concept_set.base import ConceptSet
from mammi.concept_set.text_file import TextFile

SYNSETS = 82_115
FILE = Path(__file__).with_name("wordnet_nouns.txt.gz")


class WordNet(ConceptSet):
    """First lemma of each of the 82,115 noun synsets of WordNet 3.0, each word once (licence: WORDNET_LICENSE.txt).

    Order is that of ``data.noun``: entity, physical entity, abstraction ... ``derive_wordnet.py`` wrote the list.
    """

    name = "wordnet"

    def load(self, cache=None):
        concepts = TextFile(FILE, self.name, "WordNet 3.0 noun synsets, first lemma (WordNet licence)").load()
        return replace(concepts, dropped={"synset with a first lemma already seen": SYNSETS - len(concepts)})
