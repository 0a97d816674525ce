"""Copies of a folder of images: as zip, tar, tar.gz, and as DICOM files written by hand."""
import io
import tarfile
import zipfile

import numpy as np


def zipped(folder, path, top=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, top + file.relative_to(folder).as_posix())
    return path


def tarred(folder, path, top=""):
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.add(file, top + file.relative_to(folder).as_posix(), recursive=False)
    return path


def dataset(pixels, bits=8, photometric="MONOCHROME2", **elements):
    """A DICOM data set that shows ``pixels``, (H, W) or (H, W, 3); ``elements`` are set as they are."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    pixels = np.asarray(pixels)
    found = pydicom.Dataset()
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = SecondaryCaptureImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = generate_uid(entropy_srcs=[repr(elements)])
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = pixels.shape[2] if pixels.ndim == 3 else 1
    found.PhotometricInterpretation, found.PixelRepresentation = photometric, int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated, found.BitsStored, found.HighBit = 8 * pixels.itemsize, bits, bits - 1
    found.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    for name, value in elements.items():
        setattr(found, name, value)
    return found


def written(found, **how):
    """The bytes of the file."""
    file = io.BytesIO()
    found.save_as(file, **{"enforce_file_format": True, **how})
    return file.getvalue()


def dicom(pixels, bits=8, photometric="MONOCHROME2", **elements):
    return written(dataset(pixels, bits, photometric, **elements))
