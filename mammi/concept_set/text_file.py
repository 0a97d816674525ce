"""Your own words: a text file, or a file that puts each word into a category."""
from pathlib import Path

from mammi.concept_set.word_file import WordFile


class TextFile(WordFile):
    """See :class:`mammi.concept_set.word_file.WordFile`."""


def packaged(file, name, source):
    """A word list that ships with mammi: ``file`` beside this module."""
    return TextFile(Path(__file__).parent / file, name, source)
