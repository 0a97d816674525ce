"""dissector=medclip_package: the real worker in an environment whose medclip and transformers are small fakes.

The package itself is compared with our adapter by ``make parity-medclip``.
"""
import gc
import os
import re
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from experiments import parity_medclip
from mammi.dissector.medclip_package import MedCLIPPackage
from mammi.errors import BadInput, MissingAsset
from mammi.types import Batch

ROOT = Path(__file__).parents[2]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "chest", "mass", *map(str, range(28988))]
VERSIONS = {"MedCLIP": "0.0.3", "transformers": "4.24.0"}
# Models are asked for by name, .cuda() is an error, and weights must fit: as in the package.
MEDCLIP = '''
import pathlib, torch, numpy as np
class constants:
    BERT_TYPE, VIT_TYPE = "hub/bert", "hub/swin"
class MedCLIPVisionModelViT: pass
class MedCLIPModel(torch.nn.Module):
    def __init__(self, vision_cls):
        super().__init__()
        print("noise on standard output")
        assert pathlib.Path("hub/bert/config.json").exists() and pathlib.Path("hub/swin/config.json").exists()
        self.scale = torch.nn.Parameter(torch.zeros(3))
    def text_model(self, ids, mask):
        return self.scale * torch.stack([ids.sum(1), mask.sum(1), ids[:, 0]], 1)
    def encode_text(self, ids, mask):
        raise RuntimeError("no CUDA")
    def encode_image(self, pixels):
        flat = pixels.flatten(1)
        return self.scale * torch.stack([flat.mean(1), flat[:, 0], flat[:, -1]], 1)
class Inputs(dict):
    def to(self, device):
        return self
class MedCLIPProcessor:
    def __init__(self):
        self.words = pathlib.Path("hub/bert/vocab.txt").read_text().split()
    def __call__(self, text=None, images=None, return_tensors=None, truncation=None):
        if text:
            (one,) = text
            ids = torch.tensor([[self.words.index(word) for word in one.split()]])
            return Inputs(input_ids=ids, attention_mask=torch.ones_like(ids))
        return {"pixel_values": torch.tensor(np.stack([np.asarray(i.convert("L").resize((4, 4))) for i in images]),
                                             dtype=torch.float32)[:, None] / 255}
'''
TRANSFORMERS = '''
import pathlib, os
class BertConfig:
    def __init__(self, vocab_size=0): assert vocab_size == 28996
class SwinConfig: pass
class BertModel:
    def __init__(self, config): pass
    def save_pretrained(self, name):
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        pathlib.Path(name).mkdir(parents=True)
        pathlib.Path(name, "config.json").touch()
SwinModel = BertModel
'''


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "medclip.py").write_text(MEDCLIP)
    (site / "transformers.py").write_text(TRANSFORMERS)
    for name, version in VERSIONS.items():
        (site / f"{name}-{version}.dist-info").mkdir()
        (site / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (site / "ours.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")  # torch, NumPy and Pillow
    return folder / "bin" / "python"


@pytest.fixture
def package(python, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    torch.save({"scale": torch.tensor([1., 2., 3.])}, tmp_path / "pytorch_model.bin")
    return lambda **options: MedCLIPPackage(tmp_path, tmp_path, options.pop("python", python), **options)


def images(*sizes):
    rng = np.random.default_rng(0)
    found = tuple(Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)) for size in sizes)
    return Batch(found, *[tuple(map(str, range(len(found))))] * 2)


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_requests_and_answers(package, tmp_path):
    one = package(view="full_image")
    texts = one.embed_texts(["a mass", "chest", "a chest mass"])
    np.testing.assert_allclose(texts, unit([[12, 4, 15], [6, 2, 18], [18, 6, 15]]), atol=1e-6)
    assert texts.dtype == np.float32 and one.embed_texts([]).shape == (0, 512)
    batch = images((9, 7), (30, 40))
    pixels = np.stack([np.asarray(image.convert("L").resize((4, 4))) for image in batch.images]).reshape(2, 16) / 255
    wanted = np.stack([pixels.mean(1), pixels[:, 0], pixels[:, -1]], 1) * [1, 2, 3]
    np.testing.assert_allclose(one.embed_images(batch), wanted, atol=1e-6)
    found = one.ask_images([np.asarray(image.convert("L")) for image in batch.images])
    np.testing.assert_allclose(found["pixels"].reshape(2, 16), pixels, atol=1e-6)


def test_the_process_starts_once_and_ends_with_the_dissector(package):
    one, batch = package(), images((300, 260))
    crop = one.embed_images(batch)
    process, folder = one._process, one._folder.name
    whole = one.ask_images([np.asarray(image) for image in batch.images])["embeddings"]
    assert np.abs(whole - crop).max() > .01, "the view is taken before"
    assert one._process is process and process.poll() is None
    del one
    gc.collect()
    assert process.poll() is not None and not os.path.exists(folder)


def test_the_fingerprint_follows_files_view_and_versions(package, tmp_path):
    first = package().fingerprint
    assert package().fingerprint == first
    other = package()
    other.versions = {**other.versions, "transformers": "4.25.0"}
    found = {first, other.fingerprint, package(view="full_image").fingerprint}
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS[:-2], "one", "two"]) + "\n")
    found.add(package().fingerprint)
    torch.save({"scale": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    assert len(found | {package().fingerprint}) == 5


@pytest.mark.fault
def test_weights_that_do_not_fit_are_told_in_the_package_s_words(package, tmp_path):
    torch.save({"skale": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BadInput, match="(?s)medclip-vit-pretrained.*Missing key.*scale.*Unexpected key.*skale"):
        package().embed_texts(["a"])


@pytest.mark.fault
@pytest.mark.parametrize("options, words, said", [({"view": "crop"}, WORDS, "dissector.view=crop"),
                                                  ({}, WORDS[:-1], "28,995 tokens")], ids=["view", "vocabulary"])
def test_what_the_package_would_take_silently(package, tmp_path, options, words, said):
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    with pytest.raises(BadInput, match=said):
        package(**options)


@pytest.mark.fault
def test_a_request_that_fails_does_not_end_the_next(package):
    one = package()
    with pytest.raises(BadInput, match="'zebra' is not in list"):
        one.embed_texts(["zebra"])
    assert one.embed_texts(["a"]).shape == (1, 3)


@pytest.mark.fault
def test_an_environment_that_is_not_there_or_lacks_the_package(package, tmp_path):
    for python, said in ((tmp_path / "nowhere", "No such file"), (sys.executable, "medclip")):
        with pytest.raises(MissingAsset, match="make medclip-env.*dissector=medclip computes the same") as caught:
            package(python=python)
        assert said in str(caught.value) and f"dissector.python is {python}" in str(caught.value)


@pytest.mark.fault
def test_missing_files_are_named_together(python):
    with pytest.raises(MissingAsset, match="paths.medclip is not set.*paths.medclip_vocab is not set"):
        MedCLIPPackage(None, None, python)


def test_the_environment_is_one_list():
    environment = yaml.safe_load((ROOT / "environment-medclip.yml").read_text())["dependencies"]
    assert {"pip": ["-r requirements-medclip.txt"]} in environment
    lines = (ROOT / "requirements-medclip.txt").read_text()
    for pinned in ("medclip==0.0.3", "transformers==4.24.0", "sentence-transformers==2.2.2", "huggingface_hub==0.25.2"):
        assert re.search(f"^{re.escape(pinned)}\\b", lines, re.M)
    python = yaml.safe_load((ROOT / "conf" / "dissector" / "medclip_package.yaml").read_text())["python"]
    made = re.search(r"^MEDCLIP = (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    assert python == f"{made}/bin/python"


@pytest.mark.parametrize("shift, code", [(0, 0), (9e-6, 0), (2e-5, 1)])
def test_parity_fails_where_the_two_differ(monkeypatch, capsys, tmp_path, shift, code):
    rows = np.eye(3)
    monkeypatch.setattr(sys, "argv", ["parity"])
    monkeypatch.setattr(parity_medclip, "weights", lambda path: path)
    monkeypatch.setattr(parity_medclip, "vocabulary", lambda path: path)
    monkeypatch.setattr(parity_medclip, "compare", lambda *_: [("texts", rows, rows), ("pixels", rows + shift, rows)])
    assert parity_medclip.main() == code
    said = capsys.readouterr().out
    assert ("DIFFER" in said) == bool(code) and re.search(r"texts +3 +0.0e\+00 +1.0e\+00", said)
