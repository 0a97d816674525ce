"""Sentences for images that have labels and no report, so that a dissector can be fitted on them.

What comes out says no more than the labels do: it is NOT a report of the patient in the image. A dissector fitted on
such sentences has been taught the label names, except those that ``phrases`` leave out on purpose.
"""
import re

import numpy as np

from mammi import openi
from mammi.errors import BadInput, near

FRAMES = ("{}.", "There is {}.", "The image shows {}.", "{} is seen.", "Findings of {}.", "In keeping with {}.",
          "{} is present.", "Appearance of {}.")
MATCHED = .6    # share of Open-i sentences that assert a label of the image; the others are neutral, any image's
ONE_WORD = .5   # share of neutral ones that are cut down to a prompt with one of their words
SEVERAL = .4    # share of own sentences that name all labels of the image


class LabelSentences:
    """``k`` sentences per image: own wording, short prompts, and sentences of Open-i reports that assert a label.

    phrases  {label: noun phrases that say it}, one for each label of the set, and for ``No Finding`` where an image
             has none of them. Names that must stay unseen are left out of them; the stems in ``withhold`` are filtered
             from the Open-i sentences, too
    own, prompts, openi  shares; they sum to 1. Half the prompts carry the set's template. Without ``openi`` the reports
             are not read
    seed     an image's sentences depend on it and on the image's bytes, not on the other images
    """

    def __init__(self, phrases, withhold=(), own=.45, prompts=.30, openi=.25, k=8, seed=0):
        if min(own, prompts, openi) < 0 or abs(own + prompts + openi - 1) > 1e-6:
            raise BadInput(f"label sentences: own={own}, prompts={prompts}, openi={openi} must be shares that sum to 1")
        self.phrases = {label: tuple(words) for label, words in phrases.items()}
        self.withhold, self.own, self.prompts = tuple(stem.lower() for stem in withhold), own, prompts
        self.openi, self.k, self.seed = openi, k, seed
        every = " ".join(phrase for words in self.phrases.values() for phrase in words)
        self._words = frozenset(re.findall(r"[a-z]+", every.lower()))
        said = [p for words in self.phrases.values() for p in words if self._withheld(p)]
        if said:
            raise BadInput(f"label sentences: the phrase {said[0]!r} contains a stem that is withheld: {withhold}")

    def __call__(self, names, labels, template, keys):
        """P tuples of ``k`` sentences; ``labels`` (P, L) with columns ``names``, unknown labels are not spoken of."""
        empty = (labels == 0).all(1)
        for name in (*names, *([openi.NO_FINDING] if empty.any() else ())):
            if not self.phrases.get(name):
                raise BadInput(f"label sentences: no phrase for {name!r}. {near(name, self.phrases)}")
        reports = self._reports() if self.openi else None
        texts = []
        for row, nothing, key in zip(labels, empty, keys):
            rng = np.random.default_rng([self.seed, int(key[:15], 16)])
            present = [name for name, value in zip(names, row) if value == 1]
            if nothing:
                present = [openi.NO_FINDING]
            texts.append(tuple(self._one(present, template, reports, rng) for _ in range(self.k)) if present else ())
        return tuple(texts)

    def _one(self, present, template, reports, rng):
        kind = rng.random()
        if kind < self.own:
            named = present if rng.random() < SEVERAL else [_any(present, rng)]
            return _sentence(" and ".join(_any(self.phrases[name], rng) for name in named), rng)
        phrase = _any(self.phrases[_any(present, rng)], rng)
        if kind < self.own + self.prompts:
            return f"{template} {_bare(phrase)}".strip() if rng.random() < .5 else _bare(phrase)
        single, neutral = reports
        matched = single.get(_any(present, rng), ())
        if matched and rng.random() < MATCHED:
            return _any(matched, rng)
        # Any image's word in the template teaches that most words say nothing of an image; else they land anywhere.
        sentence = _any(neutral, rng)
        words = [word for word in re.findall(r"[a-z]{4,}", sentence.lower()) if word not in self._words]
        return f"{template} {_any(words, rng)}".strip() if words and rng.random() < ONE_WORD else sentence

    def _reports(self):
        single, neutral = openi.by_label()
        return ({label: tuple(s for s in group if not self._withheld(s)) for label, group in single.items()},
                tuple(s for s in neutral if not self._withheld(s)))

    def _withheld(self, text):
        return any(stem in text.lower() for stem in self.withhold)


def _sentence(phrase, rng):
    text = _any(FRAMES, rng).format(phrase)
    return text[0].upper() + text[1:]


def _bare(phrase):
    """Without its article: the template brings one, and concepts are asked for without."""
    return phrase.removeprefix("a ").removeprefix("an ")


def _any(options, rng):
    return options[int(rng.integers(len(options)))]
