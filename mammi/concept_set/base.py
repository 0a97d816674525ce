"""What every concept set offers, and the one way in which word lists are cleaned."""
from abc import ABC, abstractmethod

from mammi.errors import BadInput
from mammi.text_files import lines, read_text
from mammi.types import Concepts


class ConceptSet(ABC):
    """Words that a neuron can be given. Making one reads nothing; ``load`` does.

    name  what was asked for; rows and logs use ``Concepts.name``, which also names a stand-in
    """

    name: str

    @abstractmethod
    def load(self, cache) -> Concepts:
        """The words; ``cache`` is a :class:`mammi.cache.Cache`, used by sets that take long to build."""

    def reports(self):
        """Tuple of :class:`mammi.reports.Report` that the words come from, or None where they come from elsewhere."""
        return None

    def left_out(self, cache):
        """[(word, why it is no concept, number of reports that use it)], or None where the set cannot say."""
        return None


def word_list(path):
    """:func:`clean` of a text file, one word or phrase a line; a .gz is unzipped."""
    return clean(lines(read_text(path)), path)


def clean(words, where):
    """(distinct words in first-seen order, {reason: count} of what was left out).

    Blanks around a word fall away, runs of blanks inside become one. Case is kept: "Turkey" and "turkey" are two.
    ``where`` says in the error whence the words came; BadInput where none is left.
    """
    seen, dropped = {}, {"blank": 0, "duplicate": 0}
    for word in words:
        word = " ".join(word.split())
        if word and word not in seen:
            seen[word] = None
        else:
            dropped["duplicate" if word else "blank"] += 1
    if not seen:
        raise BadInput(f"{where} holds no word. Expected one word or phrase a line")
    return tuple(seen), {reason: count for reason, count in dropped.items() if count}
