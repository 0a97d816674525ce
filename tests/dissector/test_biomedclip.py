"""BiomedCLIP from a folder of open_clip's layout: against open_clip itself, plain arithmetic, faults."""
import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from mammi import offline
from mammi.dissector.biomedclip import BERT, FILES, BiomedCLIP, _network
from mammi.errors import BadInput, MissingAsset
from mammi.types import Batch
from tests.dissector.plain_bert import last_states
from tests.dissector.plain_medclip import _attend, _gelu

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "chest", "x", "-", "ray", "image", "of", "mass", "edema"]
TINY = {"vocab_size": len(WORDS), "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 20}
TEXTS = ["mass", "A chest  X-ray image of a mass", "", "Edema", "mass &amp; edema", "chest " * 400]
TOKENS = {"mass": [2, 12, 3], "A chest  X-ray image of a mass": [2, 5, 6, 7, 8, 9, 10, 11, 5, 12, 3], "": [2, 3]}
MEAN, SD = [.48145466, .4578275, .40821073], [.26862954, .26130258, .27577711]


def config(timm="vit_tiny_patch16_224", dim=8, text="nobody/asked", **more):
    """The published open_clip_config.json, with a smaller image tower."""
    return {"model_cfg": {"embed_dim": dim,
                          "vision_cfg": {"timm_model_name": timm, "timm_model_pretrained": False, "timm_pool": "",
                                         "timm_proj": "linear", "image_size": 224},
                          "text_cfg": {"hf_model_name": text, "hf_tokenizer_name": text, "hf_proj_type": "mlp",
                                       "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 256,
                                       **more}},
            "preprocess_cfg": {"mean": MEAN, "std": SD}}


def random_state(dim=8, timm="vit_tiny_patch16_224", bert=TINY):
    torch.manual_seed(0)
    state = _network(dim, {"timm_model_name": timm, "timm_pool": "", "image_size": 224}, bert).state_dict()
    for value in state.values():
        value += .05 * torch.randn_like(value)
    return {**state, "text.transformer.embeddings.position_ids": torch.arange(512)[None]}  # as in the published file


STATE = random_state()


def write(folder, state=STATE, words=WORDS, layout=None):
    torch.save(state, folder / FILES[0])
    (folder / FILES[1]).write_text(json.dumps(layout or config()))
    (folder / FILES[2]).write_text("\n".join(words) + "\n")
    return folder


def biomedclip(folder, **options):
    return BiomedCLIP(folder, bert=options.pop("bert", TINY), **options)


def picture(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (260, 300, 3), np.uint8))


def batch(*images):
    names = tuple(str(i) for i in range(len(images)))
    return Batch(images, names, names)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


def test_open_clip_says_the_same(folder, tmp_path):
    """open_clip reads the folder itself once PubMedBERT's configuration and the tokenizer's lie in it as well."""
    (folder / FILES[1]).write_text(json.dumps(config(text=str(folder))))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **TINY}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))
    network, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.no_grad():
        pixels = transform(picture())[None]
        image = network.eval().encode_image(pixels, normalize=True).numpy()
        texts = network.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS), normalize=True).numpy()
    one = biomedclip(folder, view="full_image", batch_size=2)
    np.testing.assert_array_equal(one.prepare([picture()]).numpy(), pixels.numpy())
    np.testing.assert_array_equal(one.embed_images(batch(picture())), image)
    np.testing.assert_allclose(one.embed_texts(TEXTS), texts, atol=1e-6)


def test_texts_match_plain_arithmetic(folder):
    rows = biomedclip(folder).embed_texts(list(TOKENS))
    w = {key: value.double().numpy() for key, value in STATE.items()}
    for row, ids in zip(rows, TOKENS.values()):
        x = last_states(w, "text.transformer.", TINY, ids)[0]
        x = w["text.proj.2.weight"] @ _gelu(w["text.proj.0.weight"] @ x)
        np.testing.assert_allclose(row, x / np.sqrt((x ** 2).sum()), atol=1e-6)


def test_images_match_plain_arithmetic(folder):
    one = biomedclip(folder)
    w = {key.removeprefix("visual.trunk."): value.double().numpy() for key, value in STATE.items()}
    pixels = one.prepare([picture()])[0].double().numpy()
    patches = pixels.reshape(3, 14, 16, 14, 16).transpose(1, 3, 0, 2, 4).reshape(196, -1)
    x = patches @ w["patch_embed.proj.weight"].reshape(192, -1).T + w["patch_embed.proj.bias"]
    x = np.concatenate([w["cls_token"][0], x]) + w["pos_embed"][0]
    for i in range(12):
        at = f"blocks.{i}."
        qkv = np.split(linear(norm(x, w, f"{at}norm1"), w, f"{at}attn.qkv"), 3, 1)
        heads = zip(*(np.split(part, 3, 1) for part in qkv))
        x = x + linear(np.concatenate([_attend(*h) for h in heads], 1), w, f"{at}attn.proj")
        x = x + linear(_gelu(linear(norm(x, w, f"{at}norm2"), w, f"{at}mlp.fc1")), w, f"{at}mlp.fc2")
    row = w["visual.head.proj.weight"] @ norm(x, w, "norm")[0]
    np.testing.assert_allclose(one.embed_images(batch(picture()))[0], row / np.sqrt((row ** 2).sum()), atol=1e-5)


def linear(x, w, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-6) * w[f"{name}.weight"] + w[f"{name}.bias"]


def test_nothing_depends_on_its_batch(folder):
    one, small = biomedclip(folder), biomedclip(folder, batch_size=1)
    np.testing.assert_allclose(one.embed_texts(TEXTS), small.embed_texts(TEXTS[::-1])[::-1], atol=1e-6)
    images = [picture(seed) for seed in range(2)]
    np.testing.assert_allclose(one.embed_images(batch(*images)), small.embed_images(batch(*images)), atol=1e-6)
    assert one.embed_texts([]).shape == (0, 8)


def test_long_texts_are_cut_at_256_tokens(folder):
    one = biomedclip(folder)
    np.testing.assert_array_equal(one.embed_texts(["chest " * 400]), one.embed_texts(["chest " * 254]))
    assert np.abs(one.embed_texts(["chest " * 254]) - one.embed_texts(["chest " * 253])).max() > 1e-6


def test_fingerprint_and_the_file_instead_of_the_folder(folder):
    one = biomedclip(folder)
    assert biomedclip(folder / FILES[0], batch_size=1).fingerprint == one.fingerprint
    assert biomedclip(folder, view="full_image").fingerprint != one.fingerprint
    (folder / FILES[1]).write_text(json.dumps(config(context_length=77)))
    assert biomedclip(folder).fingerprint != one.fingerprint


@pytest.mark.fault
@pytest.mark.parametrize("edit, said", [
    (lambda s: s.pop("visual.head.proj.weight"), "1 missing .visual.head.proj.weight"),
    (lambda s: s.pop("text.proj.2.weight"), "1 missing .text.proj.2.weight"),
    (lambda s: s.update(extra=torch.zeros(2)), "1 unexpected .extra"),
    (lambda s: s.update({"text.transformer.pooler.dense.bias": torch.zeros(12)}), "1 unexpected .*pooler"),
    (lambda s: s.update({"visual.head.proj.weight": torch.zeros(192, 8)}), "another shape .visual.head"),
    (lambda s: s.update({"text.transformer.embeddings.word_embeddings.weight": torch.zeros(99, 12)}),
     "another shape .*word_embeddings"),
    (lambda s: s.clear() or s.update(fc=torch.zeros(2)), "missing .*1 unexpected .fc")])
def test_every_key_is_accounted_for(tmp_path, edit, said):
    state = dict(STATE)
    edit(state)
    write(tmp_path, state)
    with pytest.raises(BadInput, match=f"is not BiomedCLIP: .*{said}"):
        biomedclip(tmp_path)


@pytest.mark.fault
def test_another_image_tower_or_vocabulary(folder):
    write(folder, layout=config(timm="vit_tiny_r_s16_p8_224"))
    with pytest.raises(BadInput, match="is not BiomedCLIP"):
        biomedclip(folder)
    write(folder, words=[*WORDS, "heart"])
    with pytest.raises(BadInput, match="15 tokens, but the text network knows 14"):
        biomedclip(folder)


@pytest.mark.fault
@pytest.mark.parametrize("layout, said", [
    ("{", "not BiomedCLIP's configuration"), ("[]", "not BiomedCLIP's configuration"),
    (json.dumps({"model_cfg": {}}), "KeyError: 'vision_cfg'"),
    (json.dumps(config(hf_pooler_type="mean_pooler")), "hf_pooler_type is mean_pooler, not cls_last"),
    (json.dumps(config(timm="vit_bass_patch16_224")), "timm knows no vit_bass_patch16_224")])
def test_another_configuration(folder, layout, said):
    (folder / FILES[1]).write_text(layout)
    with pytest.raises(BadInput, match=said):
        biomedclip(folder)


@pytest.mark.fault
def test_absent_and_broken_files(folder, monkeypatch):
    monkeypatch.setattr(offline, "_offline", True)
    for given, said in ((None, "paths.biomedclip is not set"), (folder / "none", "is not there"),
                        ("microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", "is not there")):
        with pytest.raises(MissingAsset, match=f"{said}.*vocab.txt"):
            biomedclip(given)
    biomedclip(folder)
    whole = (folder / FILES[0]).read_bytes()
    (folder / FILES[0]).write_bytes(whole[:len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be read as tensors.*cut short"):
        biomedclip(folder)
    (folder / FILES[2]).unlink()
    with pytest.raises(MissingAsset, match="has no vocab.txt"):
        biomedclip(folder)


@pytest.mark.slow
def test_the_published_sizes(tmp_path):
    state = random_state(512, "vit_base_patch16_224", BERT)
    words = [*WORDS, *(f"word{i}" for i in range(30522 - len(WORDS)))]
    one = BiomedCLIP(write(tmp_path, state, words, config("vit_base_patch16_224", 512)))
    assert round(one.weights.stat().st_size / 1e6) == 784, "MB, as the hub lists the file"
    assert one.embed_images(batch(picture())).shape == one.embed_texts(["mass"]).shape == (1, 512)
    w = {key: value.double().numpy() for key, value in state.items() if key.startswith("text.")}
    x = w["text.proj.2.weight"] @ _gelu(w["text.proj.0.weight"] @ last_states(w, "text.transformer.", BERT,
                                                                                 [2, 12, 3])[0])
    np.testing.assert_allclose(one.embed_texts(["mass"])[0], x / np.sqrt((x ** 2).sum()), atol=1e-5)
