import gzip
from codecs import BOM_UTF8

import pytest

from mammi.errors import BadInput, MissingAsset
from mammi.text_files import lines, read_text


def test_reads_plain_zipped_and_marked_files_alike(tmp_path):
    for name, data in (("a.txt", "öd\n".encode()), ("a.txt.gz", gzip.compress("öd\n".encode())),
                       ("b.txt", BOM_UTF8 + "öd\n".encode())):
        (tmp_path / name).write_bytes(data)
        assert read_text(tmp_path / name) == "öd\n"


def test_not_utf8_names_file_byte_line_and_next_step(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"mass\ned\xe8me\n")
    with pytest.raises(BadInput, match=r"words\.txt: byte 7 \(0xe8, line 2\).*iconv"):
        read_text(path)


@pytest.mark.parametrize("name, data", [("wide.txt", "mass".encode("utf-16-le")), ("wide.txt", "mass".encode("utf-16")),
                                        ("cut.gz", gzip.compress(b"mass" * 99, mtime=0)[:-12]), ("no.gz", b"mass")])
def test_other_damage_is_bad_input(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=name):
        read_text(tmp_path / name)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(MissingAsset, match=r"none\.txt"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(BadInput):
        read_text(tmp_path)


@pytest.mark.parametrize("text, expected", [("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\r\nb\rc\n", ["a", "b", "c"]),
                                            ("a\n\n", ["a", ""]), ("a\x0bb\u2028c", ["a\x0bb\u2028c"])])
def test_lines(text, expected):
    assert lines(text) == expected
