import gzip
import os
from pathlib import Path

import pytest

from mammi.concept_set.derive_wordnet import main, nouns
from mammi.concept_set.wordnet import FILE, SYNSETS, WordNet

DATA_NOUN = """\
  1 This software and database is being provided to you
00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | that which is
00001930 03 n 01 physical_entity 0 007 @ 00001740 n 0000 | an entity
00002137 03 n 02 abstraction 0 abstract_entity 0 010 @ 00001740 n 0000 | a general
00002452 03 n 01 entity 1 003 ~ 00001930 n 0000 | again
"""


def test_the_paper_s_80k():
    concepts = WordNet().load()
    assert SYNSETS == 82_115
    assert len(concepts) == 67_893 == len(set(concepts.words))
    assert concepts.dropped == {"synset with a first lemma already seen": 82_115 - 67_893}
    assert concepts.words[:4] == ("entity", "physical entity", "abstraction", "thing")
    assert concepts.name == "wordnet"
    words = set(concepts.words)
    assert {"atelectasis", "cardiomegaly", "pneumothorax", "hernia", "endotracheal tube"} <= words
    assert not any("_" in word for word in words)


def test_first_lemma_of_each_synset():
    assert nouns(DATA_NOUN) == ["entity", "physical entity", "abstraction", "entity"]


def test_script_writes_the_same_bytes_each_time(tmp_path, capsys):
    (tmp_path / "data.noun").write_text(DATA_NOUN)
    for name in ("a.gz", "b.gz"):
        main(tmp_path / "data.noun", tmp_path / name)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"entity\nphysical entity\nabstraction\n"
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert "3 words of 4 noun synsets" in capsys.readouterr().out


def test_shipped_list_is_what_the_script_makes(tmp_path):
    source = Path(os.environ.get("WORDNET_DATA_NOUN", "/usr/share/wordnet/data.noun"))
    if not source.is_file():
        pytest.skip("Debian's wordnet-base is not installed and WORDNET_DATA_NOUN names no data.noun")
    main(source, tmp_path / "out.gz")
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == gzip.decompress(FILE.read_bytes())
