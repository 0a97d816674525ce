import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammi.concept_set.base import clean
from mammi.concept_set.common_words import CommonWords
from mammi.concept_set.text_file import TextFile, packaged
from mammi.errors import BadInput, MissingAsset
from mammi.phantom.names import FINDINGS


def written(folder, data, name="words.txt"):
    (folder / name).write_bytes(data)
    return folder / name


def test_first_seen_order_without_blanks_and_duplicates(tmp_path):
    path = written(tmp_path, b"  nodule \r\n\r\nedema\r\nnodule\r\nlung   mass\r\n \r\nEdema")
    concepts = TextFile(path).load()
    assert concepts.words == ("nodule", "edema", "lung mass", "Edema")
    assert concepts.dropped == {"blank": 2, "duplicate": 1}
    assert concepts.name == "words" and concepts.categories == ()
    assert TextFile(path, "mine").load().name == "mine"


@given(st.lists(st.text(alphabet="ab \t\u00a0", max_size=4), max_size=12))
def test_clean_like_a_plain_loop(words):
    kept, blanks, repeats = [], 0, 0
    for word in words:
        word = " ".join(part for part in word.replace("\u00a0", " ").replace("\t", " ").split(" ") if part)
        if not word:
            blanks += 1
        elif word in kept:
            repeats += 1
        else:
            kept.append(word)
    if not kept:
        with pytest.raises(BadInput, match="HERE holds no word"):
            clean(words, "HERE")
        return
    found, dropped = clean(words, "HERE")
    assert found == tuple(kept)
    assert (dropped.get("blank", 0), dropped.get("duplicate", 0)) == (blanks, repeats)


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t\r\n"])
def test_empty_file_is_bad_input_that_names_it(tmp_path, data):
    with pytest.raises(BadInput, match=r"words\.txt holds no word"):
        TextFile(written(tmp_path, data)).load()


def test_not_utf8(tmp_path):
    with pytest.raises(BadInput, match=r"words\.txt: byte 2 .*UTF-8"):
        TextFile(written(tmp_path, b"ed\xe8me")).load()


def test_missing_file_and_no_file(tmp_path):
    with pytest.raises(MissingAsset, match=r"none\.txt.*Next"):
        TextFile(tmp_path / "none.txt").load()
    with pytest.raises(BadInput, match=r"concept_set\.path=FILE"):
        TextFile(None)


def test_table_carries_categories(tmp_path):
    path = written(tmp_path, b"concept, category\r\nmass,finding\r\nlung,organ\r\n\r\nmass,finding\r\n\"a, b\",c\r\n",
                   "words.csv")
    concepts = TextFile(path).load()
    assert concepts.words == ("mass", "lung", "a, b")
    assert concepts.categories == ("finding", "organ", "c")
    assert concepts.dropped == {"duplicate": 1}


def test_a_packed_table_is_a_table(tmp_path):
    path = written(tmp_path, gzip.compress(b"concept,category\nmass,finding\n"), "words.CSV.gz")
    assert TextFile(path).load().words == ("mass",)


def test_table_without_categories_and_with_other_columns(tmp_path):
    concepts = TextFile(written(tmp_path, b"id,concept\n1,mass\n2,lung\n", "words.CSV")).load()
    assert concepts.words == ("mass", "lung") and concepts.categories == ()


@pytest.mark.parametrize("data, message", [
    (b"word,category\nmass,finding\n", "expected the columns concept,category"),
    (b"", "expected the columns"),
    (b"concept,category\n", "holds no word"),
    (b"concept,category\nmass,finding\nlung,\n", "line 3: concept 'lung' has no category"),
    (b"concept,category\nmass,finding\nlung\n", "line 3: concept 'lung' has no category"),
    (b"concept,category\nmass,finding\nmass,organ\n", "line 3: concept 'mass' is in the categories"),
])
def test_bad_tables(tmp_path, data, message):
    with pytest.raises(BadInput, match=message):
        TextFile(written(tmp_path, data, "words.csv")).load()


def test_nih_labels_are_the_names_of_the_phantom_too():
    assert packaged("nih_labels.txt", "nih_labels", "").load().words == FINDINGS


def test_common_words_are_20000_and_say_what_they_stand_for():
    concepts = CommonWords().load()
    assert len(concepts) == 20_000
    assert concepts.words[:3] == ("the", "to", "and")
    assert concepts.name == "wordfreq_20k (stand-in for CLIP-Dissect's 20k)"
    # protocol.md A.8: these three finding names are common words, the others are not
    assert {name for name in FINDINGS if name.lower() in concepts.words} == {"Mass", "Pneumonia", "Consolidation"}


def test_path_reads_the_original_list(tmp_path):
    concepts = CommonWords(written(tmp_path, b"a\n\nb\n")).load()
    assert concepts.words == ("a", "b") and concepts.name == "20k"


def test_shipped_words_are_shipped():
    folder = Path(packaged("nih_labels.txt", "", "").path).parent
    assert {"nih_labels.txt", "wordnet_nouns.txt.gz", "WORDNET_LICENSE.txt"} <= {p.name for p in folder.iterdir()}
