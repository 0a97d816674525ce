"""DICOM files: each rule of display against a plain loop, headers as facts, copies that annotate as their PNGs do."""
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mammi.errors import BadInput
from mammi.probing_set import dicom as dicom_module
from mammi.probing_set.image_files import decode, inspect
from mammi.probing_set.image_folder import ImageFolder
from tests.probing_set.packed import dataset, dicom, written

RAMP = np.arange(256, dtype=np.uint8).reshape(8, 32)
DEEP = np.array([[0, 100, 2047], [2048, 3000, 4095]], np.uint16)  # 12 bits


def grey(data):
    image = decode(data)
    assert image.mode == "L"
    return np.asarray(image)


def plain_window(value, center, width, shape="LINEAR"):
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, one value; 0 .. 1."""
    if shape == "SIGMOID":
        return 1 / (1 + math.exp(min(-4 * (value - center) / width, 700)))
    if shape == "LINEAR_EXACT":
        return 0 if value <= center - width / 2 else 1 if value > center + width / 2 else (value - center) / width + .5
    if value <= center - .5 - (width - 1) / 2:
        return 0
    return 1 if value > center - .5 + (width - 1) / 2 else (value - (center - .5)) / (width - 1) + .5


def test_eight_bits_stay_bit_for_bit():
    np.testing.assert_array_equal(grey(dicom(RAMP)), RAMP)
    np.testing.assert_array_equal(grey(dicom(RAMP[:, :30])), RAMP[:, :30])  # not stretched to what the image uses
    np.testing.assert_array_equal(grey(dicom(RAMP, RescaleSlope=2, RescaleIntercept=-100)), RAMP)
    np.testing.assert_array_equal(grey(dicom(RAMP, RescaleSlope=-1, RescaleIntercept=255)), 255 - RAMP)
    np.testing.assert_array_equal(grey(dicom((RAMP.astype(int) - 128).astype(np.int8))), RAMP)


def test_monochrome1_is_inverted():
    np.testing.assert_array_equal(grey(dicom(RAMP, photometric="MONOCHROME1")), 255 - RAMP)
    windowed = dicom(RAMP, photometric="MONOCHROME1", WindowCenter=100, WindowWidth=50)
    np.testing.assert_array_equal(grey(windowed), 255 - grey(dicom(RAMP, WindowCenter=100, WindowWidth=50)))


def test_more_bits_are_stretched_as_in_a_png():
    file = io.BytesIO()
    Image.fromarray(DEEP).save(file, "PNG")
    np.testing.assert_array_equal(grey(dicom(DEEP, bits=12)), np.asarray(decode(file.getvalue())))
    signed = DEEP.astype(np.int16) - 2048
    np.testing.assert_array_equal(grey(dicom(signed, bits=12)), grey(dicom(DEEP, bits=12)))
    np.testing.assert_array_equal(grey(dicom(DEEP, bits=12, RescaleSlope=.5, RescaleIntercept=-7)),
                                  grey(dicom(DEEP, bits=12)))
    assert not grey(dicom(np.full((2, 2), 900, np.uint16), bits=12)).any()


@pytest.mark.parametrize("shape", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@given(center=st.integers(-500, 4500), width=st.integers(1, 5000), slope=st.sampled_from([1, .5, 2]),
       intercept=st.sampled_from([0, -1024]))
@settings(max_examples=25, deadline=None)
def test_windows(shape, center, width, slope, intercept):
    data = dicom(DEEP, bits=12, WindowCenter=center, WindowWidth=width, VOILUTFunction=shape, RescaleSlope=slope,
                 RescaleIntercept=intercept)
    expected = [[255 * plain_window(slope * int(v) + intercept, center, width, shape) for v in row] for row in DEEP]
    assert np.abs(grey(data) - np.array(expected)).max() <= .5 + 1e-6


def test_a_window_of_one_value_is_a_step():
    for center, expected in ((2048, 0), (2047, 255)):
        found = dicom(DEEP, bits=12, WindowCenter=center + .5, WindowWidth=1)
        assert grey(found).ravel().tolist() == [0, 0, 0, expected, 255, 255]


def test_a_window_agrees_with_pydicom_and_the_first_of_several_counts():
    from pydicom.pixels import apply_voi_lut

    found = dataset(DEEP, bits=12, WindowCenter=[1500, 50], WindowWidth=[2000, 10])
    theirs = apply_voi_lut(DEEP, found) / (2 ** 12 - 1) * 255
    assert np.abs(grey(written(found)) - theirs).max() <= .5 + 1e-6


def test_a_look_up_table_goes_before_a_window():
    import pydicom

    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [4, 1, 8])  # 4 entries, the first for value 1, 8 bits
    table.add_new("LUTData", "US", [10, 20, 40, 80])
    found = dicom(np.array([[0, 1, 2], [3, 4, 9]], np.uint16), bits=12, VOILUTSequence=[table], WindowCenter=5,
                  WindowWidth=2)
    np.testing.assert_array_equal(grey(found), [[10, 10, 20], [40, 80, 80]])


def test_modality_tables_and_values_far_apart():
    import pydicom

    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [3, 0, 16])
    table.add_new("LUTData", "US", [500, 100, 200])
    table.ModalityLUTType = "US"
    found = dicom(np.array([[0, 1, 2]], np.uint16), bits=12, ModalityLUTSequence=[table])
    np.testing.assert_array_equal(grey(found), [[255, 0, 64]])
    far = np.array([[0, 10 ** 6, 4 * 10 ** 6]], np.uint32)
    np.testing.assert_array_equal(grey(dicom(far, bits=32)), [[0, 64, 255]])


def test_colours_become_rgb():
    from pydicom.pixels import convert_color_space

    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    image = decode(dicom(colours, photometric="RGB"))
    assert image.mode == "RGB" and image.tobytes() == colours.tobytes()
    other = convert_color_space(colours, "RGB", "YBR_FULL")
    close = np.asarray(decode(dicom(other, photometric="YBR_FULL"))).astype(int) - colours
    assert np.abs(close).max() <= 2
    palette = {f"{name}PaletteColorLookupTableData": np.arange(256, dtype="<u2").tobytes() for name in ("Red", "Green")}
    palette["BluePaletteColorLookupTableData"] = bytes(512)
    palette |= {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")}
    shown = np.asarray(decode(dicom(RAMP, photometric="PALETTE COLOR", **{
        name: (np.arange(256, dtype="<u2") * 257).tobytes() if value != bytes(512) and name.endswith("Data") else value
        for name, value in palette.items()})))
    np.testing.assert_array_equal(shown, np.stack([RAMP, RAMP, 0 * RAMP], -1))


def test_compressed_pixels_are_the_same(tmp_path):
    from pydicom.uid import RLELossless

    found = dataset(DEEP, bits=12)
    found.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(grey(written(found)), grey(dicom(DEEP, bits=12)))


def test_files_without_mark_or_extension_are_known_by_what_they_hold(tmp_path):
    found = dataset(RAMP)
    bare = written(found)[132:]
    np.testing.assert_array_equal(grey(bare), RAMP)
    del found.file_meta
    oldest = written(found, enforce_file_format=False, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(grey(oldest), RAMP)
    for name in ("IM0001", "1.2.840.113", "DICOMDIR"):
        (tmp_path / name).write_bytes(dicom(RAMP))
    (tmp_path / "LICENSE").write_text("no image")
    images = ImageFolder(tmp_path)
    assert images.ids == ("1.2.840.113", "IM0001") and images.load([1]).images[0].tobytes() == RAMP.tobytes()
    with pytest.raises(BadInput, match="holds no image"):
        ImageFolder(tmp_path, extensions=[".png"])


# --- what the header says ---------------------------------------------------------------------------------------------


def scans(tmp_path, *headers, **names):
    for i, header in enumerate(headers):
        (tmp_path / f"{i}.dcm").write_bytes(dicom(np.roll(RAMP, i), **header))
    return tmp_path


HEADERS = ({"PatientID": "P1", "PatientSex": "F", "PatientAge": "045Y", "ViewPosition": "PA"},
           {"PatientID": "P1", "PatientSex": "F", "PatientAge": "046Y"},
           {"PatientID": "P2", "PatientAge": "018M", "ViewPosition": "AP"})


def test_headers_give_patients_and_facts(tmp_path):
    images = ImageFolder(scans(tmp_path, *HEADERS))
    assert images.patients == ("P1", "P1", "P2") and images.notes == ()
    assert images.facts == {"view": ("PA", "", "AP"), "sex": ("F", "F", ""), "age": ("45", "46", "1")}
    assert images.load([1]).patients == ("P1",)
    silent = ImageFolder(tmp_path, dicom_facts=False)
    assert silent.patients == silent.ids and silent.facts == {}
    assert ImageFolder(tmp_path, patient_pattern=r"(\d)").patients == ("0", "1", "2")


def test_columns_go_before_headers(tmp_path):
    (tmp_path / "table.csv").write_text("image,who,sex\n0.dcm,A,M\n1,B,\n2,C,nan\n")
    images = ImageFolder(scans(tmp_path, *HEADERS), csv="table.csv", patient_column="who", facts={"sex": "sex"})
    assert images.patients == ("A", "B", "C") and images.facts["sex"] == ("M", "F", "")
    assert images.facts["age"] == ("45", "46", "1")


def test_a_header_without_a_patient_is_noted(tmp_path):
    images = ImageFolder(scans(tmp_path, *HEADERS, {}))
    assert images.patients == ("P1", "P1", "P2", "3.dcm")
    assert images.notes == ("1 of 4 DICOM headers name no patient: those images count as patients of their own",)


def test_shares_keep_the_patients_of_headers_together(tmp_path):
    scans(tmp_path, *({"PatientID": f"P{i // 4}"} for i in range(40)))
    shares = {"train": .5, "test": .5}
    images = ImageFolder(tmp_path, split_shares=shares)
    assert all(len({split for p, split in zip(images.patients, images.splits) if p == patient}) == 1
               for patient in images.patients) and set(images.splits) == set(shares)
    test = ImageFolder(tmp_path, split_shares=shares, split="test", memo=tmp_path / "memo")
    assert set(test.patients) == {p for p, split in zip(images.patients, images.splits) if split == "test"}


def test_only_headers_are_read_where_only_patients_are_asked(tmp_path, monkeypatch):
    scans(tmp_path, *({"PatientID": f"P{i}"} for i in range(20)))
    decoded = []
    monkeypatch.setattr(dicom_module, "_picture", lambda found: decoded.append(found.PatientID))
    images = ImageFolder(tmp_path, split_shares={"train": .5, "test": .5}, split="test", limit=2)
    assert len(decoded) == 2 == len(images)


@pytest.mark.parametrize("age, expected", [("045Y", "45"), ("018M", "1"), ("006M", "0"), ("052W", "0"), ("053W", "1"),
                                           ("400D", "1"), ("57", "57"), ("", ""), ("old", "old")])
def test_years(age, expected):
    assert dicom_module.years(age) == expected


# --- injected faults --------------------------------------------------------------------------------------------------


def refused(tmp_path, data, match):
    (tmp_path / "a.dcm").write_bytes(data)
    (tmp_path / "b.dcm").write_bytes(dicom(RAMP))
    with pytest.raises(BadInput, match=match):
        decode(data)
    with pytest.raises(BadInput, match=f"1 of 2 images cannot be read: a.dcm.*{match}.*on_bad_image=skip"):
        ImageFolder(tmp_path)
    assert ImageFolder(tmp_path, on_bad_image="skip").ids == ("b.dcm",)


@pytest.mark.fault
def test_a_file_without_pixels_is_refused(tmp_path):
    found = dataset(RAMP)
    del found.PixelData
    refused(tmp_path, written(found), "has no pixels")


@pytest.mark.fault
def test_several_frames_are_refused(tmp_path):
    refused(tmp_path, dicom(np.zeros((64, 8), np.uint8), Rows=8, NumberOfFrames=8), "holds 8 frames.*file of its own")


@pytest.mark.fault
def test_compression_without_a_decoder_names_the_package(tmp_path, monkeypatch):
    from pydicom.pixels.decoders.base import Decoder
    from pydicom.uid import RLELossless

    found = dataset(RAMP)
    found.compress(RLELossless, generate_instance_uid=False)
    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    with pytest.raises(BadInput, match="no decoder for its compression, RLE Lossless.*pip install.*pylibjpeg"):
        decode(written(found))
    assert "pip install" in inspect(written(found)).reason


@pytest.mark.fault
def test_an_unknown_compression_is_refused(tmp_path):
    found = dataset(RAMP)
    found.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG2, a film
    found.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    found["PixelData"].is_undefined_length = True
    refused(tmp_path, written(found), "no decoder for its compression, MPEG2")


@pytest.mark.fault
@pytest.mark.parametrize("kept", [140, 600, -1])
def test_a_truncated_file_is_refused(tmp_path, kept):
    refused(tmp_path, dicom(RAMP)[:kept], "its header is damaged|has no pixels|cannot be decoded")


@pytest.mark.fault
def test_a_window_that_shows_nothing_is_refused(tmp_path):
    refused(tmp_path, dicom(RAMP, WindowCenter=100, WindowWidth=0), "window of center 100 and width 0")


@pytest.mark.fault
def test_a_header_that_lacks_what_pixels_need_is_refused(tmp_path):
    for i, name in enumerate(("Rows", "BitsStored", "PhotometricInterpretation")):
        found = dataset(RAMP)
        del found[name]
        (tmp_path / str(i)).mkdir()
        refused(tmp_path / str(i), written(found), f"{name}|cannot be decoded|does? not fit")


@pytest.mark.fault
def test_another_file_called_dcm_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_text("this is no picture")
    with pytest.raises(BadInput, match="a.dcm .*no image of a known format"):
        ImageFolder(tmp_path)
