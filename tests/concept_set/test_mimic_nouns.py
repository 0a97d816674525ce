import hashlib
import logging

import pytest

from mammi.cache import Cache
from mammi.concept_set.base import ConceptSet
from mammi.concept_set.mimic_nouns import PLACES, MimicNouns
from mammi.errors import BadInput, MissingAsset
from mammi.types import Concepts

WORDS = ("motion", "artifact", "lungs")
SHA256 = hashlib.sha256(b"motion\nartifact\nlungs").hexdigest()
LIST = b"motion\nartifact\nlungs"


class OpenI(ConceptSet):
    name = "openi_nouns"

    def load(self, cache):
        return Concepts(self.name, ("effusion",), source="Open-i", dropped={"unit": 2})


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def put(path, data=LIST):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def nouns(**options):
    return MimicNouns(**({"sha256": SHA256} | options))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("data", [LIST, LIST + b"\n", LIST.replace(b"\n", b"\r\n") + b"\r\n"])
def test_found_below_the_data_folder_whatever_its_line_ends(tmp_path, cache, place, data):
    put(tmp_path / "data" / place, data)
    concepts = nouns(data=tmp_path / "data").load(cache)
    assert (concepts.name, concepts.words) == ("mimic_nouns", WORDS)


def test_changed_list_in_the_data_folder_is_refused_but_taken_by_path(tmp_path, cache):
    path = put(tmp_path / "mimic_nouns.txt", b"motion\nartifact")
    with pytest.raises(BadInput, match=r"mimic_nouns\.txt is not the authors' list.*2 words.*concept_set\.path"):
        nouns(data=tmp_path, stand_in=OpenI(), stand_ins=True).load(cache)
    concepts = nouns(path=path).load(cache)
    assert concepts.words == ("motion", "artifact")
    assert concepts.name == "mimic_nouns (own list mimic_nouns.txt)"
    assert nouns(path=put(tmp_path / "own.txt")).load(cache).name == "mimic_nouns"


def test_stand_in_is_named_and_logged(tmp_path, cache, caplog):
    with caplog.at_level(logging.WARNING):
        concepts = nouns(data=tmp_path, stand_in=OpenI(), stand_ins=True).load(cache)
    assert concepts.name == "openi_nouns (stand-in for mimic_nouns)"
    assert (concepts.words, concepts.source, concepts.dropped) == (("effusion",), "Open-i", {"unit": 2})
    assert concepts.name in caplog.text


@pytest.mark.parametrize("data", [None, "empty"])
def test_without_a_stand_in_the_error_names_the_ways(tmp_path, cache, data):
    with pytest.raises(MissingAsset) as error:
        nouns(data=tmp_path / data if data else None, stand_in=OpenI(), stand_ins=False).load(cache)
    for way in ("paths.data", "concept_set.path=", "concept_set.download=true", "profile=phantom"):
        assert way in str(error.value)


def test_a_data_folder_that_is_none_is_no_reason_for_a_stand_in(tmp_path, cache):
    with pytest.raises(MissingAsset, match="paths.data=.*typo is no folder"):
        nouns(data=tmp_path / "typo", stand_in=OpenI(), stand_ins=True).load(cache)


def test_download_is_checked_kept_and_used_again(tmp_path, cache):
    there = put(tmp_path / "remote" / "nouns.txt")
    concepts = nouns(download=True, url=there.as_uri()).load(cache)
    assert (concepts.name, concepts.words) == ("mimic_nouns", WORDS)
    there.unlink()
    assert nouns(stand_in=OpenI(), stand_ins=True).load(cache).words == WORDS  # once fetched it is found
    assert nouns(downloads=cache.root / "downloads").load(cache).words == WORDS
    assert [p for p in (cache.root / "downloads").rglob("*") if p.is_file()] == [cache.root / "downloads" / PLACES[0]]


def test_what_the_assets_command_downloads_is_found(tmp_path, cache):
    from mammi.assets import Shelf
    from mammi.manifest import Manifest

    shelf = Shelf(Manifest(), [f"paths.cache={cache.root}", "paths.data="])
    asset = shelf.manifest.asset("mimic_nouns")
    put(shelf._folder(asset.also) / asset.files[0].names[0])  # the path that `--get mimic_nouns` writes
    assert shelf.state("mimic_nouns") == "ready"
    assert nouns(downloads=cache.root / "downloads").load(cache).words == WORDS


@pytest.mark.fault
@pytest.mark.parametrize("data", [b"<html>sign in</html>", LIST + b"\nlung", LIST[:-2]])
def test_wrong_download_leaves_nothing(tmp_path, cache, data):
    there = put(tmp_path / "remote" / "nouns.txt", data)
    with pytest.raises(BadInput, match="the MIMIC nouns failed.*sha256.*Nothing was kept.*concept_set.path"):
        nouns(download=True, url=there.as_uri()).load(cache)
    assert not [p for p in cache.root.rglob("*") if p.is_file()]


@pytest.mark.fault
def test_failed_download_is_an_error_even_where_a_stand_in_is_allowed(tmp_path, cache):
    with pytest.raises(MissingAsset, match=r"download of the MIMIC nouns failed.*concept_set\.path"):
        nouns(download=True, url=(tmp_path / "none").as_uri(), stand_in=OpenI(), stand_ins=True).load(cache)


def test_what_is_nowhere_is_told_when_the_set_is_made(tmp_path, cache):
    """So a run can name it together with all else that it lacks."""
    with pytest.raises(MissingAsset, match="the MIMIC nouns are not here.*concept_set.download=true"):
        nouns(downloads=tmp_path / "downloads")
    with pytest.raises(MissingAsset, match="no folder"):
        nouns(downloads=tmp_path / "downloads", data=tmp_path / "typo", stand_in=OpenI(), stand_ins=True)
    for options in ({"download": True}, {"stand_in": OpenI(), "stand_ins": True}, {"path": put(tmp_path / "own.txt")},
                    {"data": put(tmp_path / "data" / "nouns.txt").parent}):
        nouns(downloads=tmp_path / "downloads", **options)
