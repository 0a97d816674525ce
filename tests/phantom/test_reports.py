import numpy as np
import pytest

from mammi.errors import BadInput
from mammi.phantom.facts import Facts, Finding
from mammi.phantom.names import DEVICES, FINDINGS
from mammi.phantom.reports import Mixture, caption, describe, open_i, prompt, report_sentence
from mammi.phantom.wording import DENIALS, NORMAL, PROMPTS, TEMPLATE, WITHHELD
from mammi.phantom.wording import DEVICES as DEVICE_WORDS
from mammi.phantom.wording import FINDINGS as WORDS
from mammi.probing_set.phantom import Phantom


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def world():
    return Phantom(n=1500, seed=7, boost=.5, texts=Mixture())


def test_every_finding_and_device_has_words():
    assert set(WORDS) == set(FINDINGS) and set(DEVICE_WORDS) == set(DEVICES)
    assert set(PROMPTS) == {*FINDINGS, *DEVICES, "Normal"}
    assert {name for _, false in DENIALS for name in false} <= set(FINDINGS)


def test_no_training_text_holds_a_withheld_name(world):
    generated = [text for texts in world.texts for text in texts]
    groups, neutral = open_i()
    everything = [*generated, *NORMAL, *neutral, *(s for group in groups.values() for s in group),
                  *(text for text, _ in DENIALS), *(p for group in PROMPTS.values() for p in group),
                  *(w for table in (WORDS, DEVICE_WORDS) for group in table.values() for w in group)]
    for name, stem in WITHHELD.items():
        assert stem in name.lower()
        assert [text for text in everything if stem in text.lower()] == []


def test_other_names_are_said(world):
    said = " ".join(text for texts in world.texts for text in texts).lower()
    assert [name for name in (*FINDINGS, *DEVICES) if name.lower() not in said] == list(WITHHELD)


def test_a_denial_is_true():
    sick = Facts({name: Finding("left", "lower") for name in FINDINGS if name != "Pneumothorax"})
    texts = [caption(sick, rng(i)) for i in range(400)]
    denied = {text for text, _ in DENIALS if any(c.endswith(text) for c in texts)}
    assert denied == {"No pneumothorax.", "The bones are intact."}
    assert not any(normal in text for text in texts for normal in NORMAL)


def test_places_are_said_as_they_are():
    for seed in range(50):
        both = describe("Infiltration", Finding("bilateral", "lower"), rng(seed))
        assert "the both" not in both and "bilateral lower" not in both and "{" not in both
        left = describe("Consolidation", Finding("left", "mid"), rng(seed)).lower()
        assert "right" not in left and ("left" in left or "lingula" in left)


def test_every_wording_fills_in():
    for name, group in WORDS.items():
        for side in ("left", "right", "bilateral", "midline"):
            said = {describe(name, Finding(side, "upper", many=side == "left"), rng(i)) for i in range(100)}
            assert len(said) == len(group)
            assert all(text[0].isupper() and text.endswith(".") and "  " not in text for text in said)


def test_prompts_name_what_is_there():
    facts = Facts({"Mass": Finding("left", "mid")}, ("Tube",))
    said = [prompt(facts, rng(i)) for i in range(300)]
    bare = {text.removeprefix(TEMPLATE).strip() for text in said}
    assert bare == {*PROMPTS["Mass"], *PROMPTS["Tube"]}
    assert .4 < np.mean([text.startswith(TEMPLATE) for text in said]) < .6
    assert prompt(Facts({}), rng()).removeprefix(TEMPLATE).strip() in PROMPTS["Normal"]


def test_report_sentences_fit_the_image():
    groups, neutral = open_i()
    others = {s for name, group in groups.items() if name != "Effusion" for s in group}
    said = [report_sentence(Facts({"Effusion": Finding("left", "basal")}), rng(i)) for i in range(200)]
    assert .45 < np.mean([s in groups["Effusion"] for s in said]) < .75
    assert not set(said) & others
    assert len(groups["Emphysema"]) > 20 and all("hyper" in s.lower() or "diaphragm" in s.lower()
                                                 or "obstructive" in s.lower() or "copd" in s.lower()
                                                 for s in groups["Emphysema"])
    assert not any("hyperinfl" in s.lower() for s in neutral)


def test_mixture_is_repeatable_and_in_proportion(world):
    assert Phantom(n=20, seed=7, boost=.5, texts=Mixture()).texts == world.texts[:20]
    assert all(len(texts) == 8 for texts in world.texts)
    said = [text for texts in world.texts for text in texts]
    short = [text for text in said if text.removeprefix(TEMPLATE).strip() in {p for g in PROMPTS.values() for p in g}]
    assert .28 < len(short) / len(said) < .32
    only = Mixture(captions=1, prompts=0, openi=0, k=3)(Facts({}), rng())
    assert len(only) == 3 and not any(text.startswith(TEMPLATE) for text in only)


@pytest.mark.parametrize("wrong", [dict(captions=.5, prompts=.5, openi=.5), dict(captions=-1, prompts=1, openi=1),
                                   dict(k=0)])
def test_bad_shares_are_named(wrong):
    with pytest.raises(BadInput, match="texts"):
        Mixture(**wrong)
