"""DICOM files: pixels as a viewer first shows them, in 8 bits, and what the header says of the patient."""
import io
import logging
import re
from contextlib import contextmanager

import numpy as np
from PIL import Image

from mammi.errors import BadInput

VERSION = "dicom 1"  # raise it when `decode` gives other pixels
GROUPS = (b"\x02\x00", b"\x08\x00")  # how a file begins that lacks the preamble with the mark: an element of group 2, 8
DAMAGE = (AttributeError, KeyError, IndexError, TypeError, ValueError, EOFError, OSError, NotImplementedError)
FACTS = {"patient": "PatientID", "view": "ViewPosition", "sex": "PatientSex", "age": "PatientAge"}


def marked(data):
    """Whether the first 132 bytes of a file end in the mark of DICOM."""
    return data[128:132] == b"DICM"


def is_dicom(data):
    """Whether a file's bytes are DICOM, with the mark or without."""
    return marked(data) or data[:2] in GROUPS


def decode(data):
    """A DICOM file's bytes as a PIL image, 8 bits, mode L or RGB.

    Grey values pass the rescale (or modality look-up table) and the first VOI look-up table or window of the header,
    whose output range becomes 0 .. 255. Without a VOI, 8 bits and less keep their full range, so that 8-bit values
    stay bit for bit; more bits are stretched from the image's own minimum .. maximum, as 16-bit PNGs are.
    MONOCHROME1 is inverted at the end. YBR and palette colours become RGB.

    :class:`BadInput` where there are no pixels, several frames, no decoder for the compression, or damage.
    """
    return _picture(_read(data))


def inspect(data):
    """What the header says, see :func:`header`; :class:`BadInput` for a file that :func:`decode` refuses."""
    dataset = _read(data)
    _picture(dataset)
    return _facts(dataset)


def header(data):
    """{name of :data:`FACTS`: string, empty where unknown} of a file's bytes, of which the beginning may do."""
    from pydicom import dcmread

    wanted = list(FACTS.values())
    with _told("its header is damaged"):
        return _facts(dcmread(io.BytesIO(data), force=True, stop_before_pixels=True, specific_tags=wanted))


def _facts(dataset):
    found = {name: str(dataset.get(field) or "").strip() for name, field in FACTS.items()}
    return found | {"age": years(found["age"])}


def years(age):
    """Completed years, ``45``, of an age as DICOM writes it: 045Y, 018M, 020W, 003D; any other text as it is."""
    found = re.fullmatch(r"(\d{3})([YMWD])", age)
    if not found:
        return age
    return str(int(int(found[1]) / {"Y": 1, "M": 12, "W": 52.18, "D": 365.25}[found[2]]))


def stretched(values, low, high):
    """uint8, ``values`` with ``low`` .. ``high`` as 0 .. 255 and clipped there; a range of nothing gives 0."""
    values = np.asarray(values, np.float64)
    return ((values - low) * (255 / max(high - low, 1e-12))).round().clip(0, 255).astype(np.uint8)


def _read(data):
    from pydicom import dcmread, uid

    logging.getLogger("pydicom").setLevel(logging.ERROR)  # it tells of every value that is not to the letter
    with _told("its header is damaged"):
        dataset = dcmread(io.BytesIO(data), force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, _ = dataset.original_encoding
            dataset.file_meta.TransferSyntaxUID = (uid.ImplicitVRLittleEndian if implicit else
                                                   uid.ExplicitVRLittleEndian)
        frames = int(dataset.get("NumberOfFrames") or 1)
    if "PixelData" not in dataset:
        raise BadInput("it has no pixels (no element PixelData): it is a report, a directory or a header alone")
    if frames > 1:
        raise BadInput(f"it holds {frames} frames and no rule says which one is meant: save that as a file of its own")
    return dataset


def _picture(dataset):
    from pydicom.pixels import apply_color_lut

    pixels = _pixels(dataset)
    with _told("its pixels do not fit its header"):
        kind, bits = dataset.PhotometricInterpretation, int(dataset.BitsStored)
        if kind == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, dataset)
            bits = 8 * pixels.itemsize
        if pixels.ndim == 3:
            return Image.fromarray(pixels if bits == 8 else stretched(pixels, 0, 2 ** bits - 1))
        grey = _grey(pixels, bits, dataset)
        return Image.fromarray(255 - grey if kind == "MONOCHROME1" else grey)


def _pixels(dataset):
    """(H, W) or (H, W, 3) as stored, RGB."""
    from pydicom.pixels import get_decoder, pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        try:
            there = get_decoder(syntax).is_available
        except NotImplementedError:
            there = False
        if not there:
            raise BadInput(f"no decoder for its compression, {syntax.name}, is installed: pip install pylibjpeg "
                           "pylibjpeg-libjpeg pylibjpeg-openjpeg, or pip install python-gdcm, or save it uncompressed")
    with _told("its pixels cannot be decoded"):
        return pixel_array(dataset)


def _grey(pixels, bits, dataset):
    """(H, W) uint8 of the stored values, not yet inverted."""
    from pydicom.pixels import apply_modality_lut

    low, high = int(pixels.min()), int(pixels.max())
    every = high - low < 2 ** 16 and "ModalityLUTSequence" not in dataset  # each value once: far fewer than pixels
    stored = np.arange(low, high + 1) if every else pixels
    values = np.asarray(apply_modality_lut(stored, dataset), np.float64)
    shown, span = _voi(values, dataset), values
    if bits <= 8:  # all values that could be stored, not those that are
        span = np.asarray(apply_modality_lut(np.arange(2 ** bits) - dataset.PixelRepresentation * 2 ** (bits - 1),
                                             dataset))
    grey = stretched(values, span.min(), span.max()) if shown is None else stretched(shown, 0, 1)
    return grey[pixels.astype(np.int32) - low] if every else grey


def _voi(values, dataset):
    """``values`` through the first VOI look-up table or window of the header, 0 .. 1; None where it has neither."""
    from pydicom.pixels import apply_voi

    tables = dataset.get("VOILUTSequence")
    if tables and tables[0].get("LUTDescriptor"):
        return apply_voi(values.round().astype(np.int64), dataset) / (2 ** int(tables[0].LUTDescriptor[2]) - 1)
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    shape = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if width <= 0 or shape == "LINEAR" and width < 1:
        raise BadInput(f"its window of center {center:g} and width {width:g} shows nothing")
    if shape == "SIGMOID":  # DICOM PS3.3, C.11.2.1.3: 1 / (1 + exp(-4 (x - c) / w)), without overflow
        return (1 + np.tanh(2 * (values - center) / width)) / 2
    if shape == "LINEAR" and width == 1:
        return (values > center - 0.5).astype(np.float64)
    if shape == "LINEAR":
        return ((values - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1)
    return ((values - center) / width + 0.5).clip(0, 1)  # LINEAR_EXACT


def _first(value):
    """The number of a field, the first where it holds several; None for an empty one."""
    if isinstance(value, (str, float, int)) or not hasattr(value, "__len__"):
        return None if value is None or value == "" else float(value)
    return float(value[0]) if len(value) else None


@contextmanager
def _told(what):
    try:
        yield
    except BadInput:
        raise
    except (RuntimeError, *DAMAGE) as error:
        raise BadInput(f"{what} ({error or type(error).__name__})") from error
