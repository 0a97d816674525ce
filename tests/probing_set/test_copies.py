"""The same images as PNG, DICOM, zip and tar.gz: the same pixels, labels, patients, and the same annotations."""
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mammi.cache import Cache
from mammi.dissector.base import Dissector
from mammi.method.mammi import Mammi
from mammi.probing_set.image_folder import ImageFolder
from mammi.selection import TopK
from mammi.target.base import Target
from mammi.types import Reading
from tests.probing_set.packed import dicom, tarred, zipped
from tests.tiny import evidence, vector

WORDS = tuple(f"word{i}" for i in range(40))
SIDE = 12


def look(batch, outputs, seed):
    """(B, outputs): fixed random weights on the pixels of every image."""
    weights = np.random.default_rng(seed).standard_normal((SIDE * SIDE, outputs))
    small = [np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), float).ravel()
             for image in batch.images]
    return (np.stack(small) / 255 - .5) @ weights


class Looking(Target):
    name = "looking"

    def neurons(self, layer):
        return tuple(f"n{i}" for i in range(7))

    def read(self, batch, layers, maps=False):
        return {layer: Reading(torch.tensor(look(batch, 7, 1))) for layer in layers}

    def fingerprint(self, layer):
        return "looking"


class Seeing(Dissector):
    name, fingerprint = "seeing", "seeing"

    def embed_images(self, batch):
        rows = look(batch, 8, 2).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_texts(self, texts):
        return np.stack([vector(text) for text in texts])


def annotated(images, cache):
    found = evidence(Cache(cache), TopK(4), WORDS, target=Looking(), images=images, dissector=Seeing())
    return Mammi(on_nonpositive_max="top1")(found), found


def copies(folder, where):
    """{kind: what ``images`` is set to} of a folder of grey 8-bit PNG files; DICOM once inverted, once in a zip."""
    kinds = {"dicom": "MONOCHROME2", "inverted": "MONOCHROME1"}
    for kind, photometric in kinds.items():
        (where / kind).mkdir()
        for i, file in enumerate(sorted(folder.glob("*.png"))):
            with Image.open(file) as image:
                pixels = np.asarray(image)
            pixels = 255 - pixels if kind == "inverted" else pixels
            header = {"PatientID": f"P{i // 3}", "PatientSex": "FM"[i % 2], "PatientAge": f"0{30 + i % 60}Y"}
            (where / kind / f"{file.stem}.dcm").write_bytes(dicom(pixels, photometric=photometric, **header))
    zipped(folder, where / "all.zip")
    tarred(folder, where / "all.tar.gz", "images/")
    zipped(where / "dicom", where / "dicom.zip")
    return {"png": folder, "zip": "all.zip", "tar.gz": "all.tar.gz", **{kind: kind for kind in kinds},
            "dicom in a zip": "dicom.zip"}


def compare(folder, where, n, **options):
    found = {kind: ImageFolder(where, images=str(images), **options) for kind, images in copies(folder, where).items()}
    plain = found["png"]
    expected, evidences = {}, {}
    for kind, images in found.items():
        assert [Path(image).stem for image in images.ids] == [Path(image).stem for image in plain.ids]
        assert len(images) == n and images.load(range(n)).labels is not None
        for one, other in zip(images.load(range(n)).images, plain.load(range(n)).images):
            assert one.mode == other.mode == "L" and one.size == other.size and one.tobytes() == other.tobytes()
        np.testing.assert_array_equal(images.labels, plain.labels)
        assert images.patients == plain.patients and images.splits == plain.splits
        assert (images.keys == plain.keys) == (kind in ("png", "zip", "tar.gz"))
        expected[kind], evidences[kind] = annotated(images, where / "cache" / kind)
    first = expected["png"]
    assert len({concepts[0] for concepts in first.concepts}) > 2, "the images must matter, else equality says nothing"
    for kind, annotations in expected.items():
        assert (annotations.concepts, annotations.scores, annotations.status) == (first.concepts, first.scores,
                                                                                  first.status), kind
        np.testing.assert_array_equal(annotations.selected, first.selected)
        np.testing.assert_array_equal(annotations.dense, first.dense)
        assert annotations.contributions == first.contributions
        np.testing.assert_array_equal(evidences[kind].activations, evidences["png"].activations)


def test_copies_annotate_as_their_originals(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "png").mkdir()
    rows = ["image,finding,who,part"]
    for i in range(30):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).resize((30 + i, 26), Image.Resampling.BICUBIC)
        coarse.save(tmp_path / "png" / f"{i:02}.png")
        rows.append(f"{i:02}.png,{('Mass', 'Scar', '')[i % 3]},P{i // 3},{('train', 'test')[i // 15]}")
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    compare(tmp_path / "png", tmp_path, 30, csv="table.csv", labels_column="finding", patient_column="who",
            split_column="part")


DATA = Path(os.environ.get("MAMMI_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


@pytest.mark.skipif(not (DATA / "nih14").is_dir(), reason=f"no NIH images: neither MAMMI_DATA nor {DATA} has a folder "
                                                          "nih14")
def test_copies_of_real_images_annotate_as_their_originals(tmp_path):
    lines = (DATA / "nih14" / "labels.csv").read_text().splitlines()[:31]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "png").mkdir()
    for line in lines[1:]:
        name = line.split(",")[0]
        (tmp_path / "png" / name).write_bytes((DATA / "nih14" / "images" / name).read_bytes())
    compare(tmp_path / "png", tmp_path, 30, csv="labels.csv", labels_column="Finding Labels",
            patient_column="Patient ID", split_column="official_split")
