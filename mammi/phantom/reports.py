"""Sentences for one image of the phantom, written from its facts."""
import re
from functools import lru_cache

from mammi import openi
from mammi.errors import BadInput
from mammi.phantom.wording import DENIALS, DEVICES, FINDINGS, NORMAL, PROMPTS, TEMPLATE, WITHHELD

MIDDLE = {"right": "the right middle lobe", "left": "the lingula", "bilateral": "both mid lungs"}
# What Open-i says of a finding whose name is withheld, where the keyword search knows only the name
PARAPHRASES = {"Emphysema": re.compile(r"\bhyper-?(inflat|expan|lucen|aerat)|\bflatten\w*( \w+){0,4} (hemi)?diaphragm|"
                                       r"\bcopd\b|\bobstructive (lung|pulmonary|airway)", re.IGNORECASE)}
MATCHED = .6       # share of Open-i sentences that speak of the image; the others are neutral, any image's
ONE_WORD = .5      # share of neutral ones that are cut down to a prompt with one of their words
SEVERAL = .4       # share of captions that tell all of the image
DENIED = .35       # share of those that end in a denial


class Mixture:
    """``k`` sentences of an image, each a caption, a short prompt or a sentence of a real Open-i report.

    captions, prompts, openi  shares; they sum to 1. With ``openi`` 0 the Open-i reports are not read
    k                         sentences per image

    None of them contains a name of :data:`WITHHELD`.
    """

    def __init__(self, captions=.45, prompts=.30, openi=.25, k=8):
        if min(captions, prompts, openi) < 0 or abs(captions + prompts + openi - 1) > 1e-6:
            raise BadInput(f"texts: captions={captions}, prompts={prompts}, openi={openi} must be shares that sum to 1")
        if k < 1:
            raise BadInput(f"texts.k={k}: expected at least one sentence per image")
        self.captions, self.prompts, self.k = captions, prompts, k

    def __call__(self, facts, rng):
        """Tuple of ``k`` strings. ``facts``: findings {name: Finding}, devices names; ``rng``: NumPy generator."""
        return tuple(self._one(facts, rng, kind) for kind in rng.random(self.k))

    def _one(self, facts, rng, kind):
        if kind < self.captions:
            return caption(facts, rng)
        if kind < self.captions + self.prompts:
            return prompt(facts, rng)
        return report_sentence(facts, rng)


def caption(facts, rng):
    """One sentence on the image, or all that is to see, sometimes with a denial that is true."""
    said = [describe(name, finding, rng) for name, finding in facts.findings.items()]
    said = said or [_any(NORMAL, rng)]
    said += [_any(DEVICES[name], rng) for name in facts.devices]
    if rng.random() >= SEVERAL:
        return _any(said, rng)
    said = [said[i] for i in rng.permutation(len(said))]
    if rng.random() < DENIED:
        said.append(_any([text for text, false in DENIALS if not set(false) & set(facts.findings)], rng))
    return " ".join(said)


def describe(name, finding, rng):
    """A sentence that asserts one finding at its place."""
    both = finding.side == "bilateral"
    zone = {"upper": "upper", "mid": "mid", "apical": "upper"}.get(finding.zone, "lower")
    lobe = f"both {zone} lobes" if both else f"the {finding.side} {zone} lobe"
    several = both or finding.many
    return _any(FINDINGS[name], rng).format(
        There="There are" if several else "There is a", side=finding.side, Side=finding.side.capitalize(),
        on_side="on both sides" if both else f"on the {finding.side}",
        lobe=MIDDLE[finding.side] if zone == "mid" else lobe,
        in_lung=f"in both {zone} lungs" if both else f"in the {finding.side} {zone} lung",
        s="s" if several else "", es="es" if several else "")


def prompt(facts, rng):
    """A short phrase for one thing in the image, in half the cases with the template that MAMMI queries with."""
    names = [*(facts.findings or ["Normal"]), *facts.devices]
    phrase = _any(PROMPTS[_any(names, rng)], rng)
    return f"{TEMPLATE} {phrase}" if rng.random() < .5 else phrase


def report_sentence(facts, rng):
    """A sentence of a real report: one that asserts a finding or device of the image, or a neutral one.

    Some neutral ones are cut down to the template with one of their words. Being any image's, they teach that most
    words say nothing about what is to see; without them such words land anywhere.
    """
    groups, neutral = open_i()
    names = [*(facts.findings or [openi.NO_FINDING]), *facts.devices]
    matched = groups[_any(names, rng)]
    if matched and rng.random() < MATCHED:
        return _any(matched, rng)
    sentence = _any(neutral, rng)
    words = [w for w in re.findall(r"[a-z]{4,}", sentence.lower()) if w not in own_words()]
    return f"{TEMPLATE} {_any(words, rng)}" if words and rng.random() < ONE_WORD else sentence


@lru_cache(maxsize=1)
def open_i():
    """({name: sentences that assert it}, neutral sentences) of the Open-i reports, withheld names left out."""
    single, neutral = openi.by_label()
    groups = {name: single[name] for name in (*FINDINGS, *DEVICES, openi.NO_FINDING)}
    for name, pattern in PARAPHRASES.items():
        paraphrased = tuple(s for s in neutral if pattern.search(s))
        neutral = tuple(s for s in neutral if not pattern.search(s))
        groups = {other: tuple(s for s in group if other == name or not pattern.search(s))
                  for other, group in groups.items()}
        groups[name] += paraphrased
    return {name: _allowed(group) for name, group in groups.items()}, _allowed(neutral)


@lru_cache(maxsize=1)
def own_words():
    """Words that generated sentences use."""
    groups = [*FINDINGS.values(), *DEVICES.values(), *PROMPTS.values(), NORMAL, [text for text, _ in DENIALS]]
    return frozenset(re.findall(r"[a-z]+", " ".join(text for group in groups for text in group).lower()))


def _allowed(sentences):
    return tuple(s for s in sentences if not any(stem in s.lower() for stem in WITHHELD.values()))


def _any(options, rng):
    return options[int(rng.integers(len(options)))]
