"""Nouns of reports by the recipe of MAMMI's authors."""
from collections import Counter

from mammi.concept_set.base import word_list
from mammi.concept_set.from_reports import FromReports
from mammi.errors import BadInput
from mammi.reports import SECTIONS, STOP_WORDS, plain
from mammi.tagging import tag
from mammi.text_files import lines
from mammi.types import Concepts

RECIPE = 1                        # raise when the words that come out change: it is part of the cache key
NOUN_TAGS = frozenset(("NN", "NNS", "NNP"))
STOPPED, OTHER = "in the stop list", "never a noun"


class PaperNouns(FromReports):
    """Every word of the reports' lines that the tagger once calls a noun, as ``prepare_mimic_nouns.py`` makes them.

    A line is cleaned by :func:`mammi.reports.plain`, then tagged; words tagged NN, NNS or NNP are kept as they stand:
    no lemma, no shortest word, no least count, so "m" and plurals beside singulars stay. The authors' list is of the
    reports of R2Gen's test split: path=.../annotation.json, splits=[test].

    Three things cannot be the same. Order: here the first place a word is seen at; theirs is, within a line, that of a
    Python set, which differs between runs. Tagger: theirs is TextBlob's by NLTK, which needs a download; here it is
    spaCy's small English model. Stop list: of the published list for web captions only nine words are known here
    (``mammi.reports.STOP_WORDS``), it has more; ``stop_words`` reads the whole of it from a file, one a line.

    path, kind, sections, splits, columns  as for :class:`mammi.concept_set.report_nouns.ReportNouns`
    """

    suffix = "_paper_nouns"

    def __init__(self, path=None, kind=None, sections=SECTIONS, splits=None, columns=None, stop_words=None, name=None):
        super().__init__(path, kind, sections, splits, columns, name)
        self.stop_words = stop_words

    def load(self, cache):
        nouns, left_out = self._found(cache)
        dropped = Counter(why for _, why, _ in left_out)
        if not nouns:
            raise BadInput(f"{self.path or self.name}: no noun is left of {len(left_out)} words ({dict(dropped)}). "
                           "Next: check that these are reports in English, and what concept_set.stop_words holds")
        return Concepts(self.name, tuple(nouns), (), self._source(), dict(dropped), tuple(nouns.values()))

    def left_out(self, cache):
        return self._found(cache)[1]

    def _found(self, cache):
        """({noun: reports that use it as one}, first seen first; [(other word, why, reports that use it)], sorted)."""
        stop = STOP_WORDS
        if self.stop_words:
            stop = frozenset(word.lower() for word in word_list(self.stop_words)[0])
        made = cache.json("concepts", {**self._made_from(), "recipe": f"paper {RECIPE}", "stop_words": sorted(stop)},
                          lambda: self._count(stop))
        return dict(made["nouns"]), [tuple(row) for row in made["left_out"]]

    def _count(self, stop):
        reports = [[plain(line, ()) for line in lines(text)] for text in self._texts()]
        kept = {line: " ".join(word for word in line.split() if word not in stop) for report in reports
                for line in report}
        tagged = tag(list(dict.fromkeys(kept.values())))
        nouns, words = Counter(), Counter()
        for report in reports:
            tokens = dict.fromkeys(token for line in report for token in tagged[kept[line]])
            nouns.update(tuple(dict.fromkeys(word for word, penn in tokens if penn in NOUN_TAGS)))
            words.update({word for line in report for word in line.split()} | {word for word, _ in tokens})
        others = [(word, STOPPED if word in stop else OTHER, words[word]) for word in sorted(words)
                  if word not in nouns]
        return {"nouns": list(nouns.items()), "left_out": others}
