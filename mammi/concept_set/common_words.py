"""The 20,000 most common English words."""
from mammi.concept_set.base import ConceptSet, clean
from mammi.concept_set.text_file import TextFile
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
            return TextFile(self.path, self.name).load()
        from wordfreq import top_n_list

        words, dropped = clean(top_n_list("en", COUNT), "wordfreq")
        return Concepts(self.name, words, (), "wordfreq, top 20,000 English words (data CC BY-SA 4.0)", dropped)
