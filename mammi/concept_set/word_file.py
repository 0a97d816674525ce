"""Words out of a file: a plain list, or words with the categories they belong to."""
from pathlib import Path

from mammi.concept_set.base import ConceptSet, clean, word_list
from mammi.concept_set.categories import entries, holds_categories, place, with_steps
from mammi.errors import BadInput
from mammi.types import Concepts

SHOWN = 5  # words that an error names


class WordFile(ConceptSet):
    """One word or phrase a line (``.gz`` is unzipped), or words with categories: .csv, .json, .yaml, .xlsx, see
    :func:`mammi.concept_set.categories.entries`. UTF-8. ``name`` defaults to the file's.

    categories    another file, which puts the words of ``path`` into categories; a word that it lacks is refused, and
                  what it has beside them is counted in ``dropped``
    steps         {category or broad category: step of the reading workflow}, for files that do not say it themselves
    on_duplicate  ``error``: a word in two categories is refused; ``first``: it counts in the first, and ``dropped``
                  names it
    """

    def __init__(self, path, name=None, source=None, categories=None, steps=None, on_duplicate="error"):
        if path is None:
            raise BadInput("this concept set is read from a file of yours and none was given. "
                           "Next: concept_set.path=FILE, one word or phrase a line")
        self.path = Path(path).expanduser()
        self.name = name or self.path.name.split(".")[0]
        self.source = source or f"file {self.path.name}"
        self.categories = Path(categories).expanduser() if categories is not None else None
        self.steps, self.on_duplicate = dict(steps or {}), on_duplicate
        if self.categories is not None and not holds_categories(self.categories):
            raise BadInput(f"concept_set.categories={self.categories}: expected a .csv, .json, .yaml or .xlsx file")

    def load(self, cache=None):
        if not holds_categories(self.path):
            words, dropped = word_list(self.path)
            if self.categories is None:
                return Concepts(self.name, words, source=self.source, dropped=dropped)
            placed, more = self._placed(self.categories)
            return self._concepts(words, *_matched(words, dropped, placed, more, self.path, self.categories))
        if self.categories is not None:
            raise BadInput(f"{self.path} says categories itself; leave concept_set.categories out, or give a .txt")
        placed, dropped = self._placed(self.path)
        words, _ = clean(placed, self.path)
        return self._concepts(words, placed, dropped)

    def _placed(self, path):
        found, grouped = entries(path)
        if not grouped and path == self.categories:
            raise BadInput(f"{path} has no column category")
        placed, dropped = place(found, self.on_duplicate)
        return with_steps(placed, self.steps), dropped

    def _concepts(self, words, placed, dropped):
        columns = zip(*((placed[word].category, placed[word].broad, placed[word].step) for word in words))
        categories, broad, steps = (column if any(column) else () for column in columns)
        return Concepts(self.name, words, categories, self.source, dropped, broad_categories=broad, steps=steps)


def _matched(words, dropped, placed, more, path, categories):
    """(``placed``, what was left out of both files); :class:`BadInput` names words without a category."""
    if lacking := [word for word in words if word not in placed]:
        shown = ", ".join(lacking[:SHOWN]) + ", ..." * (len(lacking) > SHOWN)
        raise BadInput(f"{len(lacking)} of {len(words)} words of {path} are in no category of {categories}: {shown}. "
                       "Add them there, or take them out of the list")
    unmatched = [word for word in placed if word not in set(words)]
    if unmatched:
        more = more | {f"in the category file alone: {', '.join(unmatched)}": len(unmatched)}
    return placed, {reason: dropped.get(reason, 0) + more.get(reason, 0) for reason in dropped | more}
