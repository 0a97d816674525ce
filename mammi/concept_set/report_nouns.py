"""Nouns and noun phrases of radiology reports, by part-of-speech tagging."""
import re
from collections import Counter

from mammi.concept_set.base import word_list
from mammi.concept_set.from_reports import FromReports, negated
from mammi.errors import BadInput, number
from mammi.lemma import lemmas
from mammi.reports import SECTIONS, sentences
from mammi.tagging import tag
from mammi.types import Concepts

RECIPE = 2                        # raise when the counts that come out change: it is part of the cache key
NOUN_TAGS = frozenset(("NN", "NNS", "NNP", "NNPS"))
PHRASE_TAGS = NOUN_TAGS | {"JJ"}
LONGEST = 4                       # words of a phrase
DEIDENTIFIED = re.compile("xx")   # Open-i writes XXXX over names and dates, sometimes glued to a word
UNITS = frozenset("mm cm ml cc kg lb kv hr hrs sec millimeter millimeters centimeter centimeters percent "
                  "am pm".split())
SIDES = frozenset(("left", "right"))


class ReportNouns(FromReports):
    """Nouns of the Open-i chest X-ray reports, or of reports of your own; sorted, the same on every run.

    path          None: the 3,955 Open-i reports inside the installed torchxrayvision package. Else reports of yours:
                  a folder or archive of .txt or .xml files, MIMIC-CXR, a .txt with one a line, a .csv, R2Gen's
                  annotation.json; ``kind``, ``sections``, ``splits`` and ``columns`` as in
                  :func:`mammi.reports.read_reports`
    min_count     reports that must use the word as a noun; 1 keeps misspellings too
    lemma         count and list singulars ("effusions" as "effusion")
    min_length    letters; of every word of a phrase
    min_share     of a word's occurrences the tagger must call a noun, in [0, 1]: the tagger slips on report style and
                  calls "acute" a noun once in fifty times; of a phrase its last word counts
    noun_phrases  also up to 4 words in a row, adjectives and nouns, that end where a row of nouns ends: "pleural
                  thickening", "focal airspace disease"
    drop_negated  count only reports that use the word without a negation before it (``negated``): a word that is only
                  ever denied goes
    stop_words    a file of words to leave out, one a line
    name          defaults to ``openi_nouns`` (``openi_nouns_and_phrases``), or ``nouns of FILE``

    :class:`mammi.concept_set.paper_nouns.PaperNouns` follows the authors' own recipe.
    """

    def __init__(self, path=None, min_count=2, lemma=False, min_length=3, min_share=0.1, noun_phrases=False,
                 drop_negated=False, stop_words=None, kind=None, sections=SECTIONS, splits=None, columns=None,
                 name=None):
        self.suffix = "_nouns_and_phrases" if noun_phrases else "_nouns"
        super().__init__(path, kind, sections, splits, columns, name)
        self.min_count = number("concept_set.min_count", min_count, 1, whole=True)
        self.min_length = number("concept_set.min_length", min_length, 1, whole=True)
        self.min_share = number("concept_set.min_share", min_share, 0, 1)
        self.lemma, self.noun_phrases, self.drop_negated = bool(lemma), bool(noun_phrases), bool(drop_negated)
        self.stop_words = stop_words

    def load(self, cache):
        kept, left_out = self._judged(cache)
        dropped = Counter(why for _, why, _ in left_out)
        if not kept:
            raise BadInput(f"{self.path or self.name}: none of {len(left_out)} nouns is left ({dict(dropped)}). Lower "
                           "min_count, min_length or min_share, or shorten stop_words")
        return Concepts(self.name, tuple(kept), (), self._source(), dict(dropped), tuple(kept.values()))

    def left_out(self, cache):
        return self._judged(cache)[1]

    def _judged(self, cache):
        """({word: reports that use it}, [(word, why it is left out, reports that use it)]), both sorted."""
        counted = cache.json("concepts", {**self._made_from(), "recipe": RECIPE, "lemma": self.lemma,
                                          "noun_phrases": self.noun_phrases}, self._count)
        stop = frozenset(word.lower() for word in word_list(self.stop_words)[0]) if self.stop_words else frozenset()
        shares = {word: as_noun / uses for word, uses, as_noun, *_ in counted}
        kept, left_out = {}, []
        for word, _, _, reports, asserted in counted:
            share = shares[word.split()[-1]] if " " in word.strip() else shares[word]  # a phrase: of its last word
            why = self._why_not(word, share, reports, asserted, stop)
            if why:
                left_out.append((word, why, reports))
            else:
                kept[word] = asserted if self.drop_negated else reports
        return kept, left_out

    def _count(self):
        """[[word, uses, uses as a noun, reports that use it as a noun, reports that do so without a negation], ...]."""
        reports = [sentences(text) for text in self._texts()]
        every = sorted({sentence for report in reports for sentence in report})
        found = {sentence: self._found(tokens) for sentence, tokens in tag(every).items()}
        used, as_noun, in_reports, asserted = Counter(), Counter(), Counter(), Counter()
        for report in reports:
            here, there = set(), set()
            for sentence in report:
                for word, noun, denied in found[sentence]:
                    used[word] += 1
                    if noun:
                        as_noun[word] += 1
                        here.add(word)
                        if not denied:
                            there.add(word)
            in_reports.update(here)
            asserted.update(there)
        return [[word, used[word], as_noun[word], in_reports[word], asserted[word]] for word in sorted(as_noun)]

    def _found(self, tokens):
        """((word or phrase, whether it is a noun, whether it is denied), ...) of a tagged sentence."""
        denied = negated([word for word, _ in tokens])
        words = [lemmas(word) if self.lemma and word.isalpha() else word for word, _ in tokens]
        nouns = [penn in NOUN_TAGS for _, penn in tokens]
        found = list(zip(words, nouns, denied))
        if self.noun_phrases:
            fits = [penn in PHRASE_TAGS and not _shape(word) for word, (_, penn) in zip(words, tokens)]
            for end in range(1, len(words)):
                if not (nouns[end] and fits[end]) or end + 1 < len(words) and nouns[end + 1] and fits[end + 1]:
                    continue
                for start in range(end - 1, max(end - LONGEST, -1), -1):
                    if not fits[start]:
                        break
                    found.append((" ".join(words[start:end + 1]), True, denied[end]))
        return tuple(found)

    def _why_not(self, word, share, reports, asserted, stop):
        """Why ``word`` is left out, or None; the first reason that holds."""
        parts = word.split() or [word]
        if reason := _shape(word) if len(parts) == 1 else None:
            return reason
        if not stop.isdisjoint((word, *parts)):
            return "in stop_words"
        if min(map(len, parts)) < self.min_length:
            return f"under {self.min_length} letters"
        kind = "noun" if len(parts) == 1 else "phrase"
        if reports < self.min_count:
            return f"{kind} in under {self.min_count} reports"
        if share < self.min_share:
            return f"{'ends in a ' * (kind == 'phrase')}noun in under {self.min_share:.0%} of its uses"
        if self.drop_negated and asserted < self.min_count:
            return f"asserted in under {self.min_count} reports" if asserted else "only ever negated"
        return None


def _shape(word):
    """Why ``word`` is no concept whatever its counts, or None."""
    if DEIDENTIFIED.search(word):
        return "de-identification mark"
    if not word.isalpha():
        return "digits or signs"
    if word in UNITS:
        return "unit"
    return "left or right" if word in SIDES else None
