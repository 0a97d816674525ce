"""Image files: what is one by its name, how it is decoded, and what identifies it: the hash of its bytes."""
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from mammi.errors import MissingAsset
from mammi.files import digest
from mammi.probing_set import dicom
from mammi.progress import track

VERSION = "decode 1"  # raise it when `decode` gives other pixels: rows computed from the old ones must not be reused
THREADS = 8
PART = 32  # images that a thread takes at once where there are many
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".dcm", ".dicom")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def decode(data):
    """A file's bytes as a PIL image, 8 bits, mode L or RGB.

    L and RGB stay as they are; 1 and LA become L, other modes (palette, alpha, CMYK) RGB. More than 8 bits
    (I;16, I, F) are stretched from the image's own minimum .. maximum to 0 .. 255, since the range that a
    16-bit file uses (10, 12, 14 bits) is written nowhere. Only the first frame of several is read. DICOM files have
    rules of their own: :func:`mammi.probing_set.dicom.decode`. An orientation in the EXIF data of a photograph is not
    applied: networks and annotations know the stored pixels.
    """
    if dicom.is_dicom(data):
        return dicom.decode(data)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if image.mode in ("L", "RGB"):
            return image.copy()
        if image.mode.startswith(("I", "F")):
            values = np.asarray(image, np.float64)
            if not np.isfinite(values).all():
                raise ValueError("it has pixels that are no number (NaN or infinity)")
            return Image.fromarray(dicom.stretched(values, values.min(), values.max()))
        return image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")


class Seen(NamedTuple):
    """What :func:`inspect` found: a whole image has a ``key``, a broken one a ``reason``.

    ``header``: what a DICOM file says of itself, {``patient``, ``view``, ``sex``, ``age``}; None for other files.
    """

    key: str | None
    reason: str | None = None
    header: dict | None = None


def inspect(data):
    """:class:`Seen` of a file's bytes.

    A PNG is verified by its checksums, which is as safe as decoding it and much faster; everything else is decoded.
    """
    try:
        if dicom.is_dicom(data):
            return Seen(digest(dicom.VERSION, data), None, dicom.inspect(data))
        with Image.open(io.BytesIO(data)) as image:
            png = image.format == "PNG"
            if png:
                image.verify()
        if not png:
            decode(data)
    except UnidentifiedImageError:
        return Seen(None, "it is empty" if not data else "it is no image of a known format")
    except BROKEN as error:
        return Seen(None, str(error) or type(error).__name__)
    return Seen(digest(VERSION, data))


def in_threads(function, items, what=None):
    """``[function(item) for item in items]``; reading, hashing and decoding release the interpreter lock.

    ``what`` is done, for a progress bar.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        if what is None:
            return list(pool.map(function, items))
        parts = [items[start:start + PART] for start in range(0, len(items), PART)]
        steps = track(range(0, len(parts), THREADS), what, PART * THREADS, len(items))
        return [result for step in steps for done in pool.map(lambda part: list(map(function, part)),
                                                              parts[step:step + THREADS]) for result in done]


def extension(name):
    """``.png`` of ``a.PNG``; nothing for names such as IM0001 or 1.2.840.113, as DICOM files have them."""
    found = re.search(r"\.[A-Za-z]\w*$", name)
    return found.group().lower() if found else ""


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
