"""Image files: finding, naming and decoding them, and what identifies one: the hash of its bytes."""
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from mammi.errors import BadInput, MissingAsset
from mammi.files import digest

VERSION = "decode 1"  # raise it when `decode` gives other pixels: rows computed from the old ones must not be reused
THREADS = 8
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def decode(data):
    """A file's bytes as a PIL image, 8 bits, mode L or RGB.

    L and RGB stay as they are; 1 and LA become L, other modes (palette, alpha, CMYK) RGB. More than 8 bits
    (I;16, I, F) are stretched from the image's own minimum .. maximum to 0 .. 255, since the range that a
    16-bit file uses (10, 12, 14 bits) is written nowhere. Only the first frame of several is read.
    """
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if image.mode in ("L", "RGB"):
            return image.copy()
        if image.mode.startswith(("I", "F")):
            values = np.asarray(image, np.float64)
            low, high = values.min(), values.max()
            return Image.fromarray(((values - low) * (255 / max(high - low, 1e-12))).round().astype(np.uint8))
        return image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")


def inspect(path):
    """(key, None) of a whole image file, (None, reason) of a broken one.

    A PNG is verified by its checksums, which is as safe as decoding it and much faster; other formats are decoded.
    """
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            png = image.format == "PNG"
            if png:
                image.verify()
        if not png:
            decode(data)
    except BROKEN as error:
        return None, str(error) or type(error).__name__
    return digest(VERSION, data), None


def in_threads(function, items):
    """``[function(item) for item in items]``; reading, hashing and decoding release the interpreter lock."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))


def existing(root, *parts):
    """The folder ``root/part/...``; raises :class:`MissingAsset` with what to set."""
    how = ("Next: probing_set.root=FOLDER for your own images; for the sets that come with a data folder, paths.data="
           "FOLDER or the environment variable MAMMI_DATA")
    if root is None:
        raise MissingAsset(f"this probing set needs a folder of images and none is given. {how}")
    path = Path(root).expanduser().joinpath(*filter(None, parts))
    if not path.is_dir():
        raise MissingAsset(f"there is no folder {path}. {how}")
    return path


def find_images(folder, extensions, recursive):
    """Image files below ``folder``, sorted by path; linked folders are entered."""
    walk = os.walk(folder, followlinks=True) if recursive else [next(os.walk(folder))]
    entries = sorted(Path(where, name) for where, _, names in walk for name in names if not name.startswith("."))
    files = [p for p in entries if p.suffix.lower() in tuple(extensions)]
    if not files:
        kinds = ", ".join(sorted({p.suffix or p.name for p in entries})[:5])
        raise BadInput(f"{folder} holds no image ({', '.join(extensions)}). "
                       + (f"It holds files of {kinds}; convert them, or set probing_set.extensions" if kinds else
                          "It is empty; check probing_set.root and probing_set.images"))
    return files


class Lookup:
    """A table's entry -> position of the file it means, or None: by path below the folder, by name, by stem."""

    def __init__(self, folder, files):
        self._by = [{}, {}, {}]
        for i, file in enumerate(files):
            below = file.relative_to(folder)
            for names, key in zip(self._by, (below.as_posix(), below.name, below.stem)):
                names[key] = None if key in names else i  # ambiguous: means none of them

    def __call__(self, entry):
        entry = entry.replace("\\", "/").removeprefix("./")
        for names, key in zip(self._by, (entry, entry.rsplit("/", 1)[-1], entry.rsplit("/", 1)[-1])):
            if names.get(key) is not None:
                return names[key]
        return None
