"""The 20,000 most common English words."""
from pathlib import Path

from mammi.concept_set.base import ConceptSet, clean, word_list
from mammi.errors import MissingAsset
from mammi.types import Concepts

COUNT = 20_000


class CommonWords(ConceptSet):
    """wordfreq's top 20,000, in place of CLIP-Dissect's ``20k.txt``, which carries no licence and is not shipped.

    The two share 15,914 words. ``path`` reads the original list instead; its rows are then called plainly ``20k``.
    Without it :class:`MissingAsset` where ``stand_ins`` is False.
    """

    def __init__(self, path=None, stand_ins=True):
        if not path and not stand_ins:
            raise MissingAsset("concept_set=20k: CLIP-Dissect's 20k.txt is not here, and the paper's table takes no "
                               "stand-in for it. Next: paths.words_20k=FILE, its data/20k.txt "
                               "(github.com/Trustworthy-ML-Lab/CLIP-dissect); or profile.stand_ins=true")
        self.path = path
        self.name = "20k" if path else "wordfreq_20k (stand-in for CLIP-Dissect's 20k)"

    def load(self, cache=None):
        if self.path:
            words, dropped = word_list(self.path)
            return Concepts(self.name, words, (), f"file {Path(self.path).name}", dropped)
        from wordfreq import top_n_list

        words, dropped = clean(top_n_list("en", COUNT), "wordfreq")
        return Concepts(self.name, words, (), "wordfreq, top 20,000 English words (data CC BY-SA 4.0)", dropped)
