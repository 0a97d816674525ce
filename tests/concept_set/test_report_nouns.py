import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mammi.cache import Cache
from mammi.concept_set import report_nouns
from mammi.concept_set.from_reports import negated
from mammi.concept_set.mimic_nouns import MimicNouns
from mammi.concept_set.paper_nouns import PaperNouns
from mammi.concept_set.report_nouns import ReportNouns
from mammi.concept_set.text_file import packaged
from mammi.errors import BadInput, MissingAsset
from mammi.reports import sentences
from tests import report_files as made

# Twenty made-up reports; "effusion" in 10 of them, "effusions" in 5, "goiter" in one
REPORTS = (["There is a small left pleural effusion. The heart is normal in size."] * 10
           + ["Bilateral effusions are seen. A 3 mm nodule in the right lung."] * 5
           + ["No pneumothorax. The nodule was seen by Dr. XXXX in XXXXpm."] * 4
           + ["A goiter displaces the trachea. No pneumothorax."])


@pytest.fixture
def reports(tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    for i, text in enumerate(REPORTS):
        (folder / f"{i:02}.txt").write_text(text)
    return folder


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def test_nouns_sorted_and_counted(reports, cache):
    concepts = ReportNouns(reports).load(cache)
    assert concepts.words == tuple(sorted(concepts.words))
    assert {"effusion", "effusions", "heart", "lung", "nodule", "pneumothorax", "size"} <= set(concepts.words)
    # adjectives and verbs; marks, units and sides; a word of one report
    for word in ("small", "seen", "normal", "xxxx", "xxxxpm", "mm", "left", "right", "goiter", "trachea"):
        assert word not in concepts.words
    assert concepts.dropped["noun in under 2 reports"] == 2
    assert concepts.dropped["de-identification mark"] >= 1
    assert concepts.name == "nouns of reports"


def test_options(reports, cache):
    assert "goiter" in ReportNouns(reports, min_count=1).load(cache).words
    few = ReportNouns(reports, min_count=10).load(cache).words
    assert "effusion" in few and "effusions" not in few and "goiter" not in few
    singular = ReportNouns(reports, min_count=15, lemma=True).load(cache).words
    assert "effusion" in singular and "effusions" not in singular  # 10 + 5 reports
    assert min(map(len, ReportNouns(reports, min_length=6).load(cache).words)) >= 6


def tagged(tags):
    """Stands for the tagger: {word: tag}, one blank between words; the rest are adverbs."""
    return lambda texts: {text: tuple((word, tags.get(word, "RB")) for word in text.lower().split(" "))
                          for text in texts}


def lines(path, *reports):
    path.write_text("\n".join(reports))
    return path


def test_share_of_uses_that_are_a_noun(monkeypatch, reports, cache):
    tags = {sentence: (("mild", "NN" if i == 0 else "JJ"), ("edema", "NN")) for i, sentence in enumerate(
        sorted({s for text in REPORTS for s in sentences(text)}))}
    monkeypatch.setattr(report_nouns, "tag", lambda texts: {text: tags[text] for text in texts})
    # the first sentence of the sorted ones is used 5 times of 40
    assert ReportNouns(reports, min_share=0.1).load(cache).words == ("edema", "mild")
    assert ReportNouns(reports, min_share=0.2).load(cache).words == ("edema",)


def test_frequency_is_the_number_of_reports(monkeypatch, tmp_path, cache):
    monkeypatch.setattr(report_nouns, "tag", tagged({"mass": "NN", "mild": "JJ", "edema": "NNS"}))
    path = lines(tmp_path / "a.txt", "mass mass edema", "mild mass. edema mass", "edema", "edema")
    found = ReportNouns(path, min_count=1).load(cache)
    assert dict(zip(found.words, found.frequency)) == {"edema": 4, "mass": 2}
    assert ReportNouns(path, min_count=3).left_out(cache) == [("mass", "noun in under 3 reports", 2)]


def phrases(tokens, tags, longest=4):
    """Runs of 2 to 4 adjectives and nouns that end with a noun which no noun follows: each looked at by itself."""
    found = set()
    for i in range(len(tokens)):
        for j in range(i + 1, min(i + longest, len(tokens))):
            inside = all(tags.get(t) in ("JJ", "NN") for t in tokens[i:j + 1])
            last = j + 1 == len(tokens) or tags.get(tokens[j + 1]) != "NN"
            if inside and last and tags[tokens[j]] == "NN":
                found.add(" ".join(tokens[i:j + 1]))
    return found


def test_phrases_like_a_plain_loop(monkeypatch, tmp_path, cache):
    tags = {"mild": "JJ", "focal": "JJ", "lung": "NN", "base": "NN", "mass": "NN"}
    monkeypatch.setattr(report_nouns, "tag", tagged(tags))
    rng, expected = random.Random(1), Counter()
    texts = [" ".join(rng.choices([*tags, "seen"], k=7)) for _ in range(40)]
    for text in texts:
        expected.update(phrases(text.split(), tags))
    found = ReportNouns(lines(tmp_path / "a.txt", *texts), min_count=1, noun_phrases=True).load(cache)
    assert {word: n for word, n in zip(found.words, found.frequency) if " " in word} == dict(expected)
    assert set(found.words) - set(expected) == {"base", "lung", "mass"} and found.name == "nouns and phrases of a.txt"


def test_phrases_without_sides_units_marks_and_seldom_nouns(monkeypatch, tmp_path, cache):
    monkeypatch.setattr(report_nouns, "tag", tagged({"left": "JJ", "pleural": "JJ", "xxxx": "NN", "thickening": "NN",
                                                     "mm": "NN", "t": "NN", "3": "JJ"}))
    path = lines(tmp_path / "a.txt", *["left pleural thickening xxxx", "3 mm thickening", "t thickening"] * 2)
    concepts = ReportNouns(path, noun_phrases=True)
    assert concepts.load(cache).words == ("pleural thickening", "thickening")
    assert ("t thickening", "under 3 letters", 2) in concepts.left_out(cache)
    # "stable" is tagged a noun once in thirty: a phrase that ends in it goes with it
    def tag(texts):
        return {text: (("heart", "NN"), ("stable", "NN" if text == "heart stable" else "JJ")) for text in texts}

    monkeypatch.setattr(report_nouns, "tag", tag)
    path = lines(tmp_path / "b.txt", *["heart stable"] * 2, *["heart is stable"] * 28)
    concepts = ReportNouns(path, noun_phrases=True)
    assert concepts.load(cache).words == ("heart",)
    assert ("heart stable", "ends in a noun in under 10% of its uses", 2) in concepts.left_out(cache)


def test_phrases_with_the_tagger(tmp_path, cache):
    path = made.every_source(tmp_path)["mimic zip"]
    words = ReportNouns(path, min_count=1, noun_phrases=True).load(cache).words
    assert {"pleural thickening", "pleural effusion", "heart"} <= set(words)


@pytest.mark.parametrize("sentence, denied", [
    ("no pneumothorax", "pneumothorax"),
    ("no focal consolidation , effusion , or pneumothorax .", "focal consolidation effusion pneumothorax"),
    ("there is no evidence of large pleural effusion today in either lung", "evidence of large pleural effusion today"),
    ("lungs are free of infiltrate ; small effusion", "infiltrate"),
    ("no effusion but a large nodule", "effusion"),
    ("no change in the effusion", ""),
    ("does not exclude pneumonia", ""),
    ("free air below the diaphragm", ""),
    ("an effusion without pneumothorax", "pneumothorax"),
    ("neither mass nor nodule", "mass nodule"),
    ("normal heart", ""),
    ("no", ""),
])
def test_negation_by_example(sentence, denied):
    words = sentence.split()
    assert [word for word, no in zip(words, negated(words)) if no] == denied.split()


def test_words_only_ever_negated_go_on_request(monkeypatch, tmp_path, cache):
    monkeypatch.setattr(report_nouns, "tag", tagged({"mass": "NN", "edema": "NN", "nodule": "NN", "large": "JJ"}))
    path = lines(tmp_path / "a.txt", *["no mass", "no edema but nodule", "no large nodule", "edema"] * 2, "nodule mass")
    assert ReportNouns(path).load(cache).words == ("edema", "mass", "nodule")
    concepts = ReportNouns(path, drop_negated=True)
    found = concepts.load(cache)
    assert dict(zip(found.words, found.frequency)) == {"edema": 2, "nodule": 3}
    assert concepts.left_out(cache) == [("mass", "asserted in under 2 reports", 3)]
    phrases = ReportNouns(path, drop_negated=True, noun_phrases=True)
    assert ("large nodule", "only ever negated", 2) in phrases.left_out(cache)


def test_stop_words(reports, tmp_path, cache):
    stop = lines(tmp_path / "stop", "Heart", "size", "pleural effusion")
    concepts = ReportNouns(reports, stop_words=stop, noun_phrases=True)
    words = set(concepts.load(cache).words)
    assert not {"heart", "size", "pleural effusion", "heart size"} & words and {"lung", "effusion"} <= words
    assert ("heart", "in stop_words", 10) in concepts.left_out(cache)


def test_every_source_gives_the_same_words(tmp_path, cache):
    found = {}
    for what, path in made.every_source(tmp_path).items():
        concepts = ReportNouns(path, min_count=1, noun_phrases=True, drop_negated=True).load(cache)
        found[what] = concepts.words, concepts.frequency, concepts.dropped
    assert len(set(map(str, found.values()))) == 1, found
    words, frequency, _ = found["csv"]
    assert "lupus" not in words and dict(zip(words, frequency))["pleural thickening"] == 2
    assert "pneumothorax" not in words and len(ReportNouns(path, splits=["test"], min_count=1).load(cache)) < len(words)


def test_order_of_reports_does_not_matter(tmp_path, cache):
    texts, found = [made.whole(*report).replace("\n", " ") for report in made.REPORTS], set()
    for seed in range(3):
        random.Random(seed).shuffle(texts)
        concepts = ReportNouns(lines(tmp_path / f"{seed}.txt", *texts), min_count=1, noun_phrases=True).load(cache)
        found.add((concepts.words, concepts.frequency, str(concepts.dropped)))
    assert len(found) == 1


def test_hash_seed_does_not_matter(tmp_path, cache):
    path = lines(tmp_path / "a.txt", *(made.whole(*report).replace("\n", " ") for report in made.REPORTS))
    code = ("import sys, mammi.cache; from mammi.concept_set import paper_nouns, report_nouns;\n"
            "cache = mammi.cache.Cache(sys.argv[2])\n"
            "for some in (report_nouns.ReportNouns(sys.argv[1], 1, noun_phrases=True), "
            "paper_nouns.PaperNouns(sys.argv[1])): print(some.load(cache), some.left_out(cache))")
    out = subprocess.run([sys.executable, "-c", code, path, tmp_path / "other"], capture_output=True, text=True,
                         check=True, env={**os.environ, "PYTHONHASHSEED": "12345"}).stdout
    here = [f"{some.load(cache)} {some.left_out(cache)}\n"  # this process has a seed of its own
            for some in (ReportNouns(path, 1, noun_phrases=True), PaperNouns(path))]
    assert out == "".join(here) and "pleural thickening" in out


def test_cache_is_used_and_knows_content_and_parameters(monkeypatch, reports, cache):
    calls = []

    def tag(texts):
        calls.append(len(texts))
        return {text: (("mass", "NN"),) for text in texts}

    monkeypatch.setattr(report_nouns, "tag", tag)
    ReportNouns(reports).load(cache)
    ReportNouns(reports, name="other name").load(cache)
    renamed = reports.rename(reports.with_name("moved"))
    assert ReportNouns(renamed).load(cache).words == ("mass",)
    ReportNouns(renamed, min_count=3, min_share=.5, drop_negated=True).load(cache)  # what is counted stays the same
    assert len(calls) == 1
    ReportNouns(renamed, lemma=True).load(cache)
    ReportNouns(renamed, noun_phrases=True).load(cache)
    assert len(calls) == 3
    (renamed / "00.txt").write_text("Other.")
    ReportNouns(renamed).load(cache)
    assert len(calls) == 4


def test_bad_reports(tmp_path, cache):
    with pytest.raises(MissingAsset, match=r"none.*Next: concept_set\.path"):
        ReportNouns(tmp_path / "none").load(cache)
    with pytest.raises(BadInput, match="0 reports"):
        ReportNouns(tmp_path).load(cache)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.xml").write_text("<r>")
    with pytest.raises(BadInput, match=r"a\.xml is not XML"):
        ReportNouns(tmp_path / "x").load(cache)
    (tmp_path / "x" / "a.xml").write_text(made.xml(indication="Cough. Fever."))
    with pytest.raises(BadInput, match="no text in any of the 1 reports.*FINDINGS"):
        ReportNouns(tmp_path / "x").load(cache)
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    with pytest.raises(BadInput, match=r"a\.tgz is not a whole archive"):
        ReportNouns(tmp_path / "a.tgz").load(cache)
    (tmp_path / "latin.txt").write_bytes(b"ed\xe8me")
    with pytest.raises(BadInput, match=r"latin\.txt: byte 2"):
        ReportNouns(tmp_path / "latin.txt").load(cache)
    with pytest.raises(BadInput, match="min_share"):
        ReportNouns(min_share=2)


def test_nothing_left_says_what_was_dropped(tmp_path, cache):
    (tmp_path / "a.txt").write_text("The heart is big.")
    with pytest.raises(BadInput, match="none of 1 nouns is left.*noun in under 2 reports.*Lower min_count"):
        ReportNouns(tmp_path / "a.txt").load(cache)


@pytest.mark.fault
def test_an_empty_file_among_reports_is_named(tmp_path, cache, caplog):
    path = made.every_source(tmp_path)["mimic folder"]
    before = ReportNouns(path, min_count=1).load(cache)
    (path / "files" / "p10" / "p10000000" / "s50000009.txt").touch()
    assert ReportNouns(path, min_count=1).load(cache).words == before.words
    assert "1 of 6 reports have no text: s50000009" in caplog.text


@pytest.mark.fault
def test_stop_words_that_empty_everything(reports, tmp_path, cache):
    words = ReportNouns(reports, min_count=1, min_share=0).load(cache).words
    stop = lines(tmp_path / "stop.txt", *words)
    with pytest.raises(BadInput, match=r"none of \d+ nouns is left.*'in stop_words': \d+.*shorten stop_words"):
        ReportNouns(reports, min_count=1, stop_words=stop).load(cache)
    with pytest.raises(MissingAsset, match="no file .*none"):
        ReportNouns(reports, stop_words=tmp_path / "none").load(cache)


@pytest.mark.fault
@pytest.mark.parametrize("option, value", [("min_count", 0), ("min_count", 1.5), ("min_length", "3"),
                                           ("min_share", 10)])
def test_numbers_that_are_none(option, value):
    with pytest.raises(BadInput, match=f"concept_set.{option}={value}: expected a"):
        ReportNouns(**{option: value})


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """One cache for the tests on all of Open-i: it is tagged once for each way of counting."""
    return Cache(tmp_path_factory.mktemp("openi"))


@pytest.mark.slow
def test_openi(kept):
    every = ReportNouns(min_count=1, min_length=1, min_share=0).load(kept)
    assert abs(len(every) / 1086 - 1) < .05  # ecosystem.md, counted by another program
    concepts = ReportNouns().load(kept)
    assert concepts.name == "openi_nouns"
    assert set(concepts.words) < set(every.words)
    assert abs(len(concepts) / 663 - 1) < .05
    assert {"effusion", "pneumothorax", "atelectasis", "cardiomegaly", "thickening"} <= set(concepts.words)
    assert not any("xx" in word for word in every.words)
    assert not {"left", "right", "mm", "infiltration"} & set(every.words)
    frequency = dict(zip(concepts.words, concepts.frequency))
    assert frequency["pneumothorax"] > frequency["effusion"] > frequency["hernia"] > 1
    asserted = ReportNouns(drop_negated=True).load(kept)
    assert set(asserted.words) < set(concepts.words) and "pneumothoraces" not in asserted.words


@pytest.mark.slow
def test_openi_phrases_can_name_what_single_words_cannot(kept):
    words, phrases = (set(ReportNouns(noun_phrases=some).load(kept).words) for some in (False, True))
    assert words < phrases
    labels = {label.lower() for label in packaged("nih_labels.txt", "", "").load().words}
    # no Open-i report says "infiltration"
    assert labels - words == {"infiltration", "pleural thickening"} and labels - phrases == {"infiltration"}


@pytest.mark.slow
def test_openi_against_the_mimic_nouns(kept):
    path = Path(os.environ.get("MAMMI_DATA") or "none") / "concepts" / "mimic_nouns.txt"
    if not path.is_file():
        pytest.skip("no $MAMMI_DATA/concepts/mimic_nouns.txt")
    mimic = MimicNouns(data=os.environ["MAMMI_DATA"]).load(kept)  # its checksum is the default one
    assert len(mimic) == 1361 and mimic.name == "mimic_nouns"
    every = ReportNouns(min_count=1, min_length=1, min_share=0).load(kept)
    assert abs(len(set(every.words) & set(mimic.words)) / 662 - 1) < .05
    paper = PaperNouns().load(kept)
    assert abs(len(set(paper.words) & set(mimic.words)) / 671 - 1) < .05
