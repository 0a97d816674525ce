"""The 20,000 most common English words."""
from pathlib import Path

from mammi.concept_set.base import ConceptSet, clean, word_list
from mammi.types import Concepts

COUNT = 20_000


class CommonWords(ConceptSet):
    """wordfreq's top 20,000, in place of CLIP-Dissect's ``20k.txt``, which carries no licence and is not shipped.

    The two share 15,914 words. ``path`` reads the original list instead; its rows are then called plainly ``20k``.
    """

    def __init__(self, path=None):
        self.path = path
        self.name = "20k" if path else "wordfreq_20k (stand-in for CLIP-Dissect's 20k)"

    def load(self, cache=None):
        if self.path:
            words, dropped = word_list(self.path)
            return Concepts(self.name, words, (), f"file {Path(self.path).name}", dropped)
        from wordfreq import top_n_list

        words, dropped = clean(top_n_list("en", COUNT), "wordfreq")
        return Concepts(self.name, words, (), "wordfreq, top 20,000 English words (data CC BY-SA 4.0)", dropped)
