"""Sentences from labels: true of the labels, silent on what is withheld, the same whatever the other images."""
import numpy as np
import pytest

from mammi import openi
from mammi.errors import BadInput
from mammi.probing_set.label_sentences import LabelSentences

NAMES = ("Mass", "Emphysema", "Effusion")
PHRASES = {"Mass": ["a lung mass", "a tumor"], "Emphysema": ["flattened diaphragms"],
           "Effusion": ["pleural fluid"], "No Finding": ["a normal chest"]}
WORDS = {"Mass": ("mass", "tumor"), "Emphysema": ("diaphragms",), "Effusion": ("fluid",), "No Finding": ("normal",)}
LABELS = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [0, np.nan, 0], [1, np.nan, 0]], np.float32)
KEYS = [f"{i:032x}" for i in (2**100, 2**101, 2**102, 2**103, 2**104)]


def sentences(k=60, labels=LABELS, keys=KEYS, **options):
    return LabelSentences(PHRASES, k=k, **options)(NAMES, labels, "A scan of a", keys)


def test_own_sentences_name_only_what_is_present():
    texts = sentences(own=.6, prompts=.4, openi=0)
    said = [{label for label, words in WORDS.items() if any(w in s.lower() for s in own for w in words)}
            for own in texts]
    assert said == [{"Mass"}, {"Emphysema", "Effusion"}, {"No Finding"}, set(), {"Mass"}]
    assert [len(own) for own in texts] == [60, 60, 60, 0, 60]  # nothing is said where nothing is known
    assert any("diaphragms" in s and "fluid" in s for s in texts[1])
    assert {s for s in texts[0] if s.startswith("A scan")} == {"A scan of a lung mass", "A scan of a tumor"}


def test_shares_are_met():
    texts = sentences(k=4000, own=.2, prompts=.8, openi=0, labels=LABELS[:1], keys=KEYS[:1])[0]
    frames = np.mean([s.endswith(".") or s[0].isupper() and not s.startswith("A scan") for s in texts])
    template = np.mean([s.startswith("A scan") for s in texts])
    assert abs(frames - .2) < .05 and abs(template - .4) < .05


def test_an_image_keeps_its_sentences_whatever_the_others():
    alone = sentences(labels=LABELS[1:2], keys=KEYS[1:2])
    assert alone[0] == sentences()[1] != sentences(seed=1)[1]


def test_open_i_sentences_assert_a_label_of_the_image_or_none():
    whole = set(openi.sentences())
    for labels, own in zip(LABELS, sentences(own=0, prompts=0, openi=1)):
        present = {name for name, value in zip(NAMES, labels) if value == 1} or {"No Finding"}
        assert all(openi.findings(s) <= present for s in own)
        cut = [s for s in own if s not in whole]
        assert all(s.startswith("A scan of a ") and len(s.split()) == 5 for s in cut) and len(cut) < .5 * len(own) + 5
    said = sentences(own=0, prompts=0, openi=1)[0]
    assert sum(bool(openi.findings(s)) for s in said) > 20 and sum(s not in whole for s in said) > 3


def test_neutral_words_are_none_that_name_a_label():
    own = {word for words in PHRASES.values() for phrase in words for word in phrase.split()}
    whole = set(openi.sentences())
    cut = {s.split()[-1] for own in sentences(k=400, own=0, prompts=0, openi=1) for s in own if s not in whole}
    assert len(cut) > 100 and not cut & own


def test_withheld_stems_are_said_nowhere():
    assert any("emphysem" in s.lower() for s in sentences(own=0, prompts=0, openi=1)[1])
    texts = sentences(withhold=["Emphysem"])
    assert not any("emphysem" in s.lower() for own in texts for s in own)
    with pytest.raises(BadInput, match="'a lung mass' contains a stem that is withheld"):
        sentences(withhold=["mass"])


def test_bad_arguments_teach():
    with pytest.raises(BadInput, match="sum to 1"):
        sentences(own=.5)
    with pytest.raises(BadInput, match="no phrase for 'Masses'.*Did you mean Mass"):
        LabelSentences(PHRASES)(("Masses",), LABELS[:, :1], "", KEYS)


def test_no_finding_needs_a_phrase_only_where_an_image_has_none():
    own = {name: words for name, words in PHRASES.items() if name != "No Finding"}
    texts = LabelSentences(own, own=.6, prompts=.4, openi=0)(NAMES, LABELS[:2], "", KEYS[:2])
    assert all(len(said) == 8 for said in texts)
    with pytest.raises(BadInput, match="no phrase for 'No Finding'"):
        LabelSentences(own, own=.6, prompts=.4, openi=0)(NAMES, LABELS, "", KEYS)
