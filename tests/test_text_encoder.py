import numpy as np
import pytest

from mammi.errors import BadInput, MissingAsset
from mammi.text_encoder import ClipTextEncoder, SentenceEncoder

TEXTS = ["heart", "A chest x-ray image of a mass", "", "There is a small left pleural effusion.", "lung",
         "a very long text " * 200]


@pytest.fixture(scope="module")
def minilm():
    return SentenceEncoder(batch_size=4)


def test_vectors_are_units_and_tell_meanings_apart(minilm):
    rows = minilm.embed(["cardiomegaly", "an enlarged heart", "a banana"])
    assert rows.shape == (3, 384) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + .2


def test_a_text_does_not_see_its_batch(minilm):
    together = minilm.embed(TEXTS + TEXTS[::-1])
    alone = np.concatenate([minilm.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, np.concatenate([alone, alone[::-1]]), atol=1e-6)


def test_no_text(minilm):
    assert minilm.embed([]).shape == (0, 384)


def test_fingerprint_is_of_the_content(minilm, tmp_path):
    for name in ("config.json", "modules.json", "model.safetensors"):
        (tmp_path / name).write_text(name)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("mean")
    first = SentenceEncoder(tmp_path, device="cpu").fingerprint
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert SentenceEncoder(moved, batch_size=1).fingerprint == first != minilm.fingerprint
    (moved / "1_Pooling" / "config.json").write_text("cls")
    assert SentenceEncoder(moved).fingerprint != first
    (moved / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="model.safetensors"):
        SentenceEncoder(moved).fingerprint  # noqa: B018


def test_missing_model_names_three_ways(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: (_ for _ in ()).throw(OSError("offline")))
    for path in ("nobody/nothing", None):
        with pytest.raises(MissingAsset) as error:
            SentenceEncoder(path, name="mpnet").embed(["heart"])
        assert all(way in str(error.value) for way in ("local folder", "hub", "make mpnet"))
    with pytest.raises(BadInput, match="modules.json"):
        SentenceEncoder(tmp_path).embed(["heart"])


def test_clip_without_weights_says_so(tmp_path):
    with pytest.raises(MissingAsset, match="ViT-B/16"):
        ClipTextEncoder().embed(["heart"])
    with pytest.raises(MissingAsset, match="nothing.pt"):
        ClipTextEncoder(tmp_path / "nothing.pt").fingerprint  # noqa: B018


def test_clip_text_tower(tmp_path):
    open_clip = pytest.importorskip("open_clip")
    import json

    import torch
    from safetensors.torch import save_file

    shape = {"embed_dim": 8, "vision_cfg": {"image_size": 16, "layers": 1, "width": 64, "patch_size": 8},
             "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}}
    (tmp_path / "tiny-test.json").write_text(json.dumps(shape))
    open_clip.add_model_config(tmp_path / "tiny-test.json")
    torch.manual_seed(0)
    network = open_clip.create_model("tiny-test").eval()
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    encoder = ClipTextEncoder(tmp_path / "w.safetensors", model="tiny-test", batch_size=2)
    rows = encoder.embed(TEXTS[:4])
    with torch.no_grad():
        expected = network.encode_text(open_clip.get_tokenizer("tiny-test")([TEXTS[1]]))[0]
    np.testing.assert_allclose(rows[1], (expected / expected.norm()).numpy(), atol=1e-6)
    assert rows.shape == (4, 8) and encoder.embed([]).shape == (0, 8)
    state.pop("text_projection")
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(BadInput, match="text_projection"):
        ClipTextEncoder(tmp_path / "less.safetensors", model="tiny-test").embed(["heart"])
