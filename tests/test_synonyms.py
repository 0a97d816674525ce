import pytest

from mammi.errors import BadInput, MissingAsset
from mammi.lemma import lemmas
from mammi.phantom.names import DEVICES, FINDINGS
from mammi.synonyms import TABLE, load_synonyms


def test_every_finding_and_device_and_no_other():
    assert tuple(load_synonyms()) == FINDINGS + DEVICES


def test_names_and_what_reports_say_for_them():
    table = load_synonyms()
    for name, words in table.items():
        assert name.lower() in words
        assert all(word == " ".join(word.lower().split()) for word in words)
    assert {"infiltrate", "infiltrates"} <= table["Infiltration"]
    assert "enlarged heart" in table["Cardiomegaly"]
    assert "hyperinflation" in table["Emphysema"]
    assert "pleural effusions" in table["Effusion"]


def test_no_word_names_two_things():
    owner = {}
    for name, words in load_synonyms().items():
        for word in {lemmas(word) for word in words}:
            assert owner.setdefault(word, name) == name, word


def test_no_wide_words():
    """Words that would let a neuron hit without naming the finding."""
    wide = set("opacity density lesion fluid line device lung heart enlargement disease pleura".split())
    assert not wide & {lemmas(word) for words in load_synonyms().values() for word in words}


def test_listed_once():
    entries = [line.split("#")[0].strip() for line in TABLE.read_text().splitlines() if line.startswith("  - ")]
    assert len(entries) == len(set(entries)) > 100


def test_your_own_table(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("Nevus:\n  - Mole\n  - beauty   mark\n")
    assert load_synonyms(path) == {"Nevus": frozenset(["nevus", "mole", "beauty mark"])}


@pytest.mark.parametrize("text", ["- a\n- b\n", "Nevus: mole\n", "Nevus:\n", "Nevus: [1, 2]\n", "a: [b", ""])
def test_bad_tables(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"own\.yaml"):
        load_synonyms(path)


def test_missing_table(tmp_path):
    with pytest.raises(MissingAsset):
        load_synonyms(tmp_path / "none.yaml")
