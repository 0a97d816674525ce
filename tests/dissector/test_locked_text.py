import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from mammi.dissector.locked_text import SHIPPED, LockedText
from mammi.dissector.towers import FeatureMap, SmallResNet, Transform
from mammi.errors import BadInput, MissingAsset
from mammi.text_encoder import SentenceEncoder
from mammi.types import Batch

WORDS = ["heart", "lung", "A chest x-ray image of a mass"]
SEEDS = (0, 1, 2)
NAMES = ("phantom_nce", "phantom_soft", "phantom_captions")


class OwnVectors:
    """Gives each string its own unit vector."""

    name = "own"

    def __init__(self, width=16, fingerprint="own"):
        self.width, self.fingerprint = width, fingerprint

    def embed(self, texts):
        seeds = [int.from_bytes(hashlib.sha256(t.encode()).digest()[:4], "little") for t in texts]
        rows = np.array([np.random.default_rng(s).standard_normal(self.width) for s in seeds]).reshape(-1, self.width)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def tower(seed=0, **more):
    return SmallResNet(widths=(4, 4, 8, 8), size=32, seed=seed, **more)


def dissector(seed=0, encoder=None, **more):
    return LockedText(tower(seed), encoder or OwnVectors(), dim=8, seed=seed, **more)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    images = tuple(Image.fromarray(rng.integers(0, 256, (40, 32, 3), np.uint8)) for _ in range(5))
    return Batch(images=images, ids=tuple("abcde"), patients=tuple("abcde"))


@pytest.fixture
def saved(tmp_path):
    one = dissector(1)
    one.module.round()
    one.save(tmp_path / "weights.safetensors", {"withheld": ["mass"], "seed": 1})
    return one, tmp_path / "weights.safetensors"


def test_embedding_is_the_mean_of_the_patches(batch):
    one = dissector()
    rows, patches = one.embed_images(batch), one.patches(batch)
    assert patches.shape == (5, 2, 2, 8) and rows.dtype == patches.dtype == np.float32
    np.testing.assert_allclose(patches.mean((1, 2)), rows, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    texts = one.embed_texts(WORDS)
    np.testing.assert_allclose(one.score(batch, WORDS), (patches @ texts.T).mean((1, 2)), atol=1e-6)


def test_text_formula():
    one = dissector()
    with torch.no_grad():
        one.module.text_mean.copy_(torch.arange(16) / 16)
    expected = []
    weight, bias = (p.detach().numpy() for p in one.module.text_projection.parameters())
    for vector in one.text_encoder.embed(WORDS):
        row = bias + [sum(w * (e - k / 16) * 8 for k, (w, e) in enumerate(zip(line, vector))) for line in weight]
        expected.append(row / np.sqrt((row ** 2).sum()))
    np.testing.assert_allclose(one.embed_texts(WORDS), expected, atol=1e-5)


def test_nothing_depends_on_its_batch(batch):
    one = dissector(batch_size=2)
    alone = [one.embed_images(Batch((i,), ("a",), ("a",)))[0] for i in batch.images]
    np.testing.assert_allclose(one.embed_images(batch), alone, atol=1e-6)
    np.testing.assert_allclose(one.embed_texts(WORDS), [one.embed_texts([w])[0] for w in WORDS], atol=1e-6)
    assert one.embed_texts([]).shape == (0, 8)


def test_round_trip(saved, batch):
    one, path = saved
    again = LockedText(tower(0), OwnVectors(), weights=path, dim=8, seed=0)
    np.testing.assert_array_equal(again.embed_images(batch), one.embed_images(batch))
    np.testing.assert_array_equal(again.embed_texts(WORDS), one.embed_texts(WORDS))
    assert again.fingerprint == one.fingerprint != dissector(0).fingerprint
    assert again.withheld == ("mass",) and again.card["seed"] == 1


def test_fingerprint_sees_encoder_and_transform():
    base = dissector().fingerprint
    assert dissector().fingerprint == base
    assert dissector(encoder=OwnVectors(fingerprint="other")).fingerprint != base
    assert LockedText(tower(mean=.5), OwnVectors(), dim=8).fingerprint != base
    assert dissector(batch_size=3, name="renamed").fingerprint == base


def change(path, edit):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        about = file.metadata()
    state = load_file(path)
    edit(state)
    save_file(state, path, about)


@pytest.mark.parametrize("edit, message", [
    (lambda s: s.pop("image_projection.bias"), "1 missing .image_projection.bias"),
    (lambda s: s.update(extra=torch.zeros(1)), "1 unexpected .extra"),
    (lambda s: s.update(log_scale=torch.zeros(2)), "another shape .log_scale"),
    (lambda s: s.pop("text_projection.weight"), "no text_projection.weight")])
def test_keys_are_strict(saved, edit, message):
    _, path = saved
    change(path, edit)
    with pytest.raises(BadInput, match=message):
        LockedText(tower(), OwnVectors(), weights=path, dim=8)


def test_other_encoders_are_refused(saved, tmp_path):
    _, path = saved
    with pytest.raises(BadInput, match="another text_encoder"):
        LockedText(tower(), OwnVectors(fingerprint="else"), weights=path, dim=8)
    with pytest.raises(BadInput, match="another tower"):
        LockedText(SmallResNet(size=32), OwnVectors(), weights=path, dim=8)
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(BadInput, match="no safetensors"):
        LockedText(tower(), OwnVectors(), weights=tmp_path / "junk.safetensors", dim=8)


def test_absent_weights_name_the_next_step():
    with pytest.raises(MissingAsset, match="fit_dissector"):
        dissector(weights="phantom_nce_seed77.safetensors")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.BatchNorm2d(6))
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def test_any_network_gives_a_feature_map(batch):
    torch.manual_seed(0)
    net = Net()
    eyes = FeatureMap(net, layer="body", relu=True, size=16)
    one = LockedText(eyes, OwnVectors(), dim=8)
    assert eyes.channels == 6 and one.patches(batch).shape == (5, 4, 4, 8)
    x = one.prepare(batch)
    torch.testing.assert_close(eyes(x), net.body(x).relu())
    assert not any(p.requires_grad for p in net.parameters())
    one.module.train()
    assert not net.training and one.module.training
    assert not [k for k in one.module.trained() if k.startswith("tower")]
    before = eyes.fingerprint
    with torch.no_grad():
        net.body[0].bias += 1
    assert FeatureMap(net, layer="body", relu=True, size=16).fingerprint != before
    assert [k for k in LockedText(FeatureMap(net, layer="body", size=16, frozen=False), OwnVectors()).module.trained()
            if k.startswith("tower")]


def test_patches_stand_where_they_look():
    torch.manual_seed(0)
    one = LockedText(FeatureMap(Net(), layer="body", size=16), OwnVectors(), dim=8)
    dark = np.zeros((16, 16), np.uint8)
    light = dark.copy()
    light[0, 12] = 255  # upper right
    tokens = [one._tokens(Batch((Image.fromarray(a),), ("a",), ("a",)))[0] for a in (dark, light)]
    moved = (tokens[1] - tokens[0]).abs().sum(2) > 1e-6
    assert moved.nonzero().tolist() == [[0, 3]]


def test_tower_errors(batch):
    with pytest.raises(BadInput, match="Did you mean body"):
        FeatureMap(Net(), layer="bodi")
    with pytest.raises(BadInput, match="expected a feature map"):
        LockedText(FeatureMap(Net(), size=16), OwnVectors())
    with pytest.raises(BadInput, match="three each"):
        Transform(16, (.5, .5), (.5, .5))


def test_transform():
    image = Image.fromarray(np.full((9, 7, 3), (255, 0, 51), np.uint8))
    x = Transform(4, (0, .5, 0), (1, .5, .1))(image)
    torch.testing.assert_close(x, torch.tensor([1., -1, 2])[:, None, None].expand(3, 4, 4))
    assert Transform(4, .5, .5)(image).shape == (1, 4, 4)


@pytest.fixture(scope="module")
def minilm():
    return SentenceEncoder()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_give_their_golden_embeddings(name, seed, minilm):
    one = LockedText(SmallResNet(seed=9), minilm, f"{name}_seed{seed}.safetensors", name)
    golden = one.golden()
    for part in ("images", "texts"):
        np.testing.assert_allclose(golden[part], one.card["golden"][part], atol=1e-4)
    assert one.card["name"] == name and one.card["seed"] == seed
    assert one.withheld == ("cardiomegaly", "emphysema")
    readable = json.loads((SHIPPED / f"{name}_seed{seed}.json").read_text())
    assert readable == one.card
