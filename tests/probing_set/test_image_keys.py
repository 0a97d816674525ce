"""Keys are remembered from run to run: unchanged files are not read, changed ones always are."""
import json
import os

import numpy as np
import pytest
from PIL import Image

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.probing_set import image_files, image_keys
from mammi.probing_set.archives import Zip
from mammi.probing_set.image_folder import ImageFolder
from mammi.probing_set.image_sources import Folder
from tests.probing_set.packed import dicom, zipped


@pytest.fixture
def scans(tmp_path):
    (tmp_path / "scans").mkdir()
    for i in range(4):
        Image.fromarray(np.full((6, 6), 40 + i, np.uint8)).save(tmp_path / "scans" / f"{i}.bmp")
    header = {"PatientID": "P9", "PatientSex": "F", "PatientAge": "045Y"}
    (tmp_path / "scans" / "4.dcm").write_bytes(dicom(np.full((6, 6), 50, np.uint8), **header))
    return tmp_path / "scans"


@pytest.fixture
def reads(monkeypatch):
    """Names of what is read, in any order."""
    found = []
    for source in (Folder, Zip):
        def read(self, name, size=-1, _read=source.read):
            found.append(name)
            return _read(self, name, size)

        monkeypatch.setattr(source, "read", read)
    return found


def opened(scans, images=None):
    return ImageFolder(scans, images=images, memo=scans.parent / "memo")


def test_a_second_start_reads_no_file(scans, reads):
    first = opened(scans)
    assert sorted(reads) == [f"{i}.bmp" for i in range(4)] + ["4.dcm"]
    reads.clear()
    again = opened(scans)
    assert reads == [] and again.keys == first.keys == ImageFolder(scans).keys
    assert again.patients == first.patients == ("0.bmp", "1.bmp", "2.bmp", "3.bmp", "P9")
    assert again.facts == first.facts == {"sex": ("", "", "", "", "F"), "age": ("", "", "", "", "45")}


def test_a_changed_file_of_the_same_size_gets_its_new_key(scans, reads):
    first = opened(scans)
    changed = scans / "2.bmp"
    before = changed.stat()
    Image.fromarray(np.full((6, 6), 99, np.uint8)).save(changed)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert changed.stat().st_size == before.st_size
    reads.clear()
    again = opened(scans)
    assert reads == ["2.bmp"] and again.keys[2] != first.keys[2] == first.keys[2]
    assert again.keys[:2] + again.keys[3:] == first.keys[:2] + first.keys[3:]
    assert again.keys == ImageFolder(scans).keys


def test_a_file_put_in_with_the_old_time_is_seen(scans):
    first = opened(scans)
    before = (scans / "2.bmp").stat()
    other = scans.parent / "other.bmp"
    Image.fromarray(np.full((6, 6), 99, np.uint8)).save(other)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, scans / "2.bmp")
    assert opened(scans).keys[2] != first.keys[2]


def test_new_files_are_added_and_subsets_forget_nothing(scans, reads):
    ImageFolder(scans, memo=scans.parent / "memo", limit=2)
    Image.fromarray(np.full((6, 6), 7, np.uint8)).save(scans / "5.bmp")
    reads.clear()
    opened(scans)
    assert sorted(reads) == ["1.bmp", "2.bmp", "3.bmp", "5.bmp"]  # 0.bmp and 4.dcm were the two
    reads.clear()
    assert len(opened(scans)) == 6 and reads == []


def test_members_of_archives_are_remembered_until_the_archive_changes(scans, reads):
    zipped(scans, scans.parent / "all.zip")
    first = opened(scans.parent, "all.zip")
    reads.clear()
    assert ImageFolder(scans.parent, images="all.zip", memo=scans.parent.parent / "memo").keys == first.keys
    assert reads == []
    Image.fromarray(np.full((6, 6), 99, np.uint8)).save(scans / "2.bmp")
    zipped(scans, scans.parent / "all.zip")
    again = opened(scans.parent, "all.zip")
    assert set(reads) == {f"{i}.bmp" for i in range(4)} | {"4.dcm"} and again.keys[2] != first.keys[2]


def test_another_decoder_knows_nothing(scans, reads, monkeypatch):
    opened(scans)
    reads.clear()
    for module in (image_files, image_keys):
        monkeypatch.setattr(module, "VERSION", "decode of tomorrow")
    opened(scans)
    assert set(reads) == {f"{i}.bmp" for i in range(4)} | {"4.dcm"}


def test_a_broken_file_is_not_remembered(scans):
    whole = (scans / "1.bmp").read_bytes()
    (scans / "1.bmp").write_bytes(whole[:-40])
    for _ in range(2):
        with pytest.raises(BadInput, match="1 of 5 images cannot be read: 1.bmp"):
            opened(scans)
    (scans / "1.bmp").write_bytes(whole)
    assert opened(scans).keys == ImageFolder(scans).keys


def test_the_memo_is_a_part_of_the_cache_that_can_be_counted_and_cleared(scans):
    opened(scans)
    cache = Cache(scans.parent / "memo")
    (folder, _, files, size), = cache.summary()
    assert (folder, files) == ("image_keys", 1) and size > 0
    cache.clear()
    assert not cache.root.exists() and len(opened(scans)) == 5


@pytest.mark.fault
@pytest.mark.parametrize("damage", ["", "{", "[]", '{"0.bmp": 3}', '{"0.bmp": [1, 2]}', "null"])
def test_a_damaged_memo_costs_time_only(scans, damage):
    first = opened(scans)
    table, = (scans.parent / "memo" / "image_keys").iterdir()
    table.write_text(damage)
    assert opened(scans).keys == first.keys
    assert json.loads(table.read_text())["0.bmp"][1] == first.keys[0]


@pytest.mark.fault
def test_a_memo_that_cannot_be_written_is_named(scans):
    (scans.parent / "memo").write_text("a file")
    with pytest.raises(BadInput, match="probing_set.memo=.*cannot be written.*null"):
        opened(scans)
