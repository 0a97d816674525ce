"""The authors' recipe, on a stand-in for the tagger and with it."""
import json

import pytest

from mammi.cache import Cache
from mammi.concept_set import paper_nouns
from mammi.concept_set.paper_nouns import PaperNouns
from mammi.errors import BadInput
from tests import report_files as made


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def tagger(monkeypatch):
    """Words of these reports by hand; what it was asked to tag."""
    tags, asked = {"mass": "NN", "masses": "NNS", "xray": "NNP", "ribs": "NNPS", "g": "NN", "small": "NN"}, []

    def tag(texts):
        asked.extend(texts)
        return {text: tuple((word, tags.get(word, "JJ")) for word in text.split()) for text in texts}

    monkeypatch.setattr(paper_nouns, "tag", tag)
    return asked


def lines(path, *reports):
    path.write_text("\n".join(reports))
    return path


def test_first_seen_order_and_what_is_kept(tmp_path, tagger, cache):
    path = lines(tmp_path / "a.txt", "X'ray: small masses.", "Mass, masses; fig3 ribs.", "X'ray: small masses.",
                 "1 g G")
    concepts = PaperNouns(path)
    found = concepts.load(cache)
    # plurals beside singulars, one letter, but no NNPS and nothing of the stop list; "g" stands at the end of its line
    assert dict(zip(found.words, found.frequency)) == {"xray": 2, "masses": 3, "mass": 1, "g": 1}
    assert list(found.words) == ["xray", "masses", "mass", "g"]
    assert tagger == ["xray masses", "mass masses ribs", "1 g"]  # clean, each line once
    assert concepts.left_out(cache) == [("1", "never a noun", 1), ("ribs", "never a noun", 1),
                                        ("small", "in the stop list", 2)]
    assert found.dropped == {"never a noun": 2, "in the stop list": 1} and found.name == "paper nouns of a.txt"


def test_order_follows_the_reports_and_the_words_do_not(tmp_path, tagger, cache):
    one = PaperNouns(lines(tmp_path / "a.txt", "mass", "xray")).load(cache)
    other = PaperNouns(lines(tmp_path / "b.txt", "xray", "mass")).load(cache)
    assert one.words == ("mass", "xray") == other.words[::-1]


def test_own_stop_list(tmp_path, tagger, cache):
    path = lines(tmp_path / "a.txt", "small mass")
    assert PaperNouns(path).load(cache).words == ("mass",)
    stop = lines(tmp_path / "stop.txt", "MASS")
    assert PaperNouns(path, stop_words=stop).load(cache).words == ("small",)
    assert len(tagger) == 2
    PaperNouns(path).load(cache)
    assert len(tagger) == 2  # cached


@pytest.mark.fault
def test_stop_list_that_empties_everything(tmp_path, tagger, cache):
    path, stop = lines(tmp_path / "a.txt", "small mass"), lines(tmp_path / "stop.txt", "mass", "small")
    with pytest.raises(BadInput, match="no noun is left of 2 words.*'in the stop list': 2.*concept_set.stop_words"):
        PaperNouns(path, stop_words=stop).load(cache)


def test_test_split_of_r2gen_with_the_tagger(tmp_path, cache):
    (tmp_path / "annotation.json").write_text(json.dumps(made.annotation()))
    found = PaperNouns(tmp_path / "annotation.json", splits=["test"]).load(cache)
    assert set(found.words) >= {"goiter", "trachea", "pneumothorax", "heart", "apex", "cardiomegaly"}
    assert "effusion" not in found.words  # of the train split
    same = PaperNouns(made.every_source(tmp_path)["csv"], splits=["test"]).load(cache)
    assert same.words == found.words and same.frequency == found.frequency
