"""The MedCLIP adapter against a plain second implementation, on random weights under the authors' key names."""
import numpy as np
import pytest
import torch
from PIL import Image

from mammi.dissector.medclip import MedCLIP, Preprocess
from mammi.dissector.medclip_checkpoint import BERT, SWIN
from mammi.errors import BadInput, MissingAsset
from mammi.types import Batch
from tests.dissector.plain_medclip import SD, Plain, preprocess, shapes

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "chest", "x", "-", "ray", "image", "of", "mass", "ef",
         "##fusion", "edema", "pleural", "Edema"]
TEXTS = ["A chest X-ray image of a", "a chest x-ray image of a mass", "effusion", "Édema", "mass", "", "pleural mass",
         "zebra", "edema"]
TINY_BERT = {"vocab_size": len(WORDS), "hidden_size": 12, "num_hidden_layers": 4, "num_attention_heads": 2,
             "intermediate_size": 20}
TINY_SWIN = {"image_size": 224, "patch_size": 16, "embed_dim": 8, "depths": [2, 1], "num_heads": [2, 4],
             "window_size": 7}
SHORT_BERT, SHORT_SWIN = {**TINY_BERT, "num_hidden_layers": 1}, {**TINY_SWIN, "depths": [1, 1]}  # a layer of each kind
DIM = 6


def random_state(bert=TINY_BERT, swin=TINY_SWIN, dim=DIM, spread=.3):
    rng = np.random.default_rng(0)
    state = {key: torch.tensor(spread * np.asarray(rng.standard_normal(shape), np.float32))
             for key, shape in shapes(bert, swin, dim).items()}
    for key, value in state.items():
        if key.endswith(("position_ids", "relative_position_index")):
            state[key] = torch.zeros(value.shape, dtype=torch.long)
        elif key.endswith("weight") and value.ndim == 1:
            value += 1  # of a layer norm
    return state


@pytest.fixture
def files(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return tmp_path


def medclip(folder, state=None, bert=TINY_BERT, swin=TINY_SWIN, **options):
    torch.save(random_state(bert, swin) if state is None else state, folder / "pytorch_model.bin")
    return MedCLIP(folder, folder, bert=bert, swin=swin, **options)


def batch(*images):
    names = tuple(str(i) for i in range(len(images)))
    return Batch(images, names, names)


def picture(width, height, seed=0):
    """Blobs and noise: bilinear, bicubic, a shift by one pixel and a swap of the sides all tell."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = np.sin(rows / 9) + np.cos(columns / 7 + rows / 30)
    return Image.fromarray((110 + 40 * waves + 12 * rng.standard_normal((height, width))).clip(0, 255).astype(np.uint8))


def test_texts_match_the_plain_implementation(files):
    model, plain = medclip(files), Plain(random_state(), TINY_BERT, TINY_SWIN)
    tokens = {"A chest X-ray image of a": [2, 5, 6, 7, 8, 9, 10, 11, 5, 3], "effusion": [2, 13, 14, 3], "": [2, 3],
              "Édema": [2, 15, 3], "zebra": [2, 1, 3]}
    rows = model.embed_texts(list(tokens))
    assert rows.dtype == np.float32 and rows.shape == (5, DIM)
    for row, ids in zip(rows, tokens.values()):
        np.testing.assert_allclose(row, plain.text(ids), atol=1e-6)


def test_long_texts_are_cut_at_77_tokens(files):
    model, plain = medclip(files), Plain(random_state(), TINY_BERT, TINY_SWIN)
    np.testing.assert_allclose(model.embed_texts(["mass " * 200])[0], plain.text([2] + [12] * 75 + [3]), atol=1e-6)


@pytest.mark.parametrize("view", ["target_crop", "full_image"])
def test_images_match_the_plain_implementation(files, view):
    model, plain = medclip(files, view=view), Plain(random_state(), TINY_BERT, TINY_SWIN)
    images = [picture(300, 260), picture(260, 380, 1).convert("RGB"), picture(120, 90, 2)]
    rows = model.embed_images(batch(*images))
    for row, pixels in zip(rows, model.prepare(images)):
        assert torch.equal(pixels[0], pixels[1]) and torch.equal(pixels[0], pixels[2])
        np.testing.assert_allclose(row, plain.image(pixels[0].numpy()), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("view", ["target_crop", "full_image"])
@pytest.mark.parametrize("size", [(300, 260), (255, 390), (1024, 1024), (224, 224), (120, 91)])
def test_preprocessing_matches_the_plain_implementation(size, view):
    image = picture(*size)
    difference = np.abs(Preprocess(view)(image)[0].numpy() - preprocess(image, view)) * SD * 255
    assert difference.max() < 2.1, "at most the grey levels lost by rounding to 8 bits after each pass"
    assert difference.mean() < .5


def test_a_small_image_stays_as_it_is_in_the_middle_of_a_black_square():
    x = Preprocess("full_image")(Image.new("L", (100, 51), 255))[0].numpy() * SD + .5862785803043838
    np.testing.assert_allclose(x[86:137, 62:162], 1, atol=1e-6)
    assert np.allclose(x.sum(), 100 * 51, atol=.1)


def test_jpeg_changes_a_little_and_only_on_request():
    image = picture(300, 300)
    plain, compressed = (Preprocess("target_crop", jpeg)(image).numpy() * SD * 255 for jpeg in (False, True))
    assert .1 < np.abs(plain - compressed).mean() < 10


def test_a_vector_does_not_depend_on_the_other_texts(files):
    together, alone = medclip(files), medclip(files, batch_size=1)
    rows = together.embed_texts(TEXTS)
    for text, row in zip(TEXTS, rows):
        np.testing.assert_allclose(alone.embed_texts([text])[0], row, atol=1e-6)
    np.testing.assert_allclose(medclip(files, batch_size=2).embed_texts(TEXTS[::-1])[::-1], rows, atol=1e-6)
    padded = Plain(random_state(), TINY_BERT, TINY_SWIN).text([2, 12, 3, 0, 0, 0])
    assert np.abs(padded - rows[TEXTS.index("mass")]).max() > .01, "padding would have shown"


def test_a_vector_does_not_depend_on_the_other_images(files):
    images = [picture(230, 260, seed) for seed in range(3)]
    rows = medclip(files, batch_size=2).embed_images(batch(*images))
    for image, row in zip(images, rows):
        np.testing.assert_allclose(medclip(files).embed_images(batch(image))[0], row, atol=1e-6)


def test_no_texts(files):
    assert medclip(files).embed_texts([]).shape == (0, DIM)


def test_every_missing_key_is_an_error(files):
    whole = random_state(SHORT_BERT, SHORT_SWIN)
    for key in whole:
        state = {k: v for k, v in whole.items() if k != key}
        if key.endswith(("position_ids", "relative_position_index")):
            medclip(files, state, SHORT_BERT, SHORT_SWIN)
            continue
        with pytest.raises(BadInput, match="1 missing") as caught:
            medclip(files, state, SHORT_BERT, SHORT_SWIN)
        top, last = key.split(".")[0], key.split(".")[-1]
        assert f"({top}" in str(caught.value) and f"{last})" in str(caught.value), (key, str(caught.value))


def test_every_tensor_of_another_shape_is_an_error(files):
    whole = random_state(SHORT_BERT, SHORT_SWIN)
    for key in [key for key, value in whole.items() if value.ndim and value.dtype == torch.float32][::2]:
        with pytest.raises(BadInput, match=r"[12] of another shape"):
            medclip(files, {**whole, key: whole[key][1:]}, SHORT_BERT, SHORT_SWIN)


@pytest.mark.parametrize("key", ["text_model.model.encoder.layer.9.output.dense.bias", "vision_model.model.head.weight",
                                 "vision_model.projection_head.bias", "logit_scale2", "epoch"])
def test_an_unexpected_key_is_an_error(files, key):
    with pytest.raises(BadInput, match="1 unexpected") as caught:
        medclip(files, {**random_state(), key: torch.zeros(3)})
    assert key in str(caught.value)


def test_a_renamed_key_is_missing_and_unexpected(files):
    state = random_state()
    state["text_model.model.pooler.dense.wait"] = state.pop("text_model.model.pooler.dense.weight")
    with pytest.raises(BadInput, match="1 missing .*1 unexpected .*medclip-vit-pretrained.zip"):
        medclip(files, state)


def test_another_checkpoint_is_an_error(files):
    with pytest.raises(BadInput, match="5 missing .*2 unexpected"):
        medclip(files, {"fc.weight": torch.zeros(3, 3), "fc.bias": torch.zeros(3)})
    with pytest.raises(BadInput, match="no {name: tensor}"):
        medclip(files, [torch.zeros(3)])


def test_a_file_that_runs_code_is_refused(files):
    ran = files / "ran"

    class Trap:
        def __reduce__(self):
            return type(ran).touch, (ran,)

    torch.save(Trap(), files / "pytorch_model.bin")
    with pytest.raises(BadInput, match="cannot be read as tensors"):
        MedCLIP(files, files, bert=TINY_BERT, swin=TINY_SWIN)
    assert not ran.exists()


def test_truncated_weights_are_an_error(files):
    medclip(files)
    whole = (files / "pytorch_model.bin").read_bytes()
    (files / "pytorch_model.bin").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be read as tensors"):
        MedCLIP(files, files, bert=TINY_BERT, swin=TINY_SWIN)


def test_another_vocabulary_is_an_error(files):
    medclip(files)
    for words, said in ((WORDS + ["heart"], "19 tokens, but the text network knows 18"),
                        (["[pad]"] + WORDS[1:], r"18 tokens without \[PAD\]")):
        (files / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        with pytest.raises(BadInput, match=said):
            MedCLIP(files, files, bert=TINY_BERT, swin=TINY_SWIN)
    (files / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="not UTF-8"):
        MedCLIP(files, files, bert=TINY_BERT, swin=TINY_SWIN)


def test_missing_files_are_named_together(tmp_path):
    with pytest.raises(MissingAsset) as caught:
        MedCLIP(None, tmp_path)
    for words in ("paths.medclip is not set", "pytorch_model.bin", "medclip-vit-pretrained.zip", "pytrial",
                  "paths.medclip=", f"paths.medclip_vocab is {tmp_path}, which has no vocab.txt", "Bio_ClinicalBERT",
                  "paths.medclip_vocab="):
        assert words in str(caught.value)
    (tmp_path / "vocab.txt").write_text("a\n")
    with pytest.raises(MissingAsset, match="is not there") as caught:
        MedCLIP(tmp_path / "nowhere.bin", tmp_path / "vocab.txt")
    assert "medclip_vocab" not in str(caught.value)


def test_a_wrong_view_is_an_error(files):
    with pytest.raises(BadInput, match="target_crop"):
        medclip(files, view="target_corp")


def test_fingerprint_follows_content_not_place(files, tmp_path_factory):
    first = medclip(files).fingerprint
    other = tmp_path_factory.mktemp("other")
    (other / "vocab.txt").write_bytes((files / "vocab.txt").read_bytes())
    torch.save(random_state(), other / "pytorch_model.bin")
    (other / "pytorch_model.bin").write_bytes((files / "pytorch_model.bin").read_bytes())
    same = MedCLIP(other / "pytorch_model.bin", other / "vocab.txt", batch_size=3, bert=TINY_BERT, swin=TINY_SWIN)
    assert same.fingerprint == first
    changed = {medclip(files, view="full_image").fingerprint, medclip(files, jpeg_roundtrip=True).fingerprint,
               medclip(files, random_state(spread=.2)).fingerprint}
    (files / "vocab.txt").write_text("\n".join(WORDS[:5] + WORDS[:4:-1]) + "\n", encoding="utf-8")
    changed.add(medclip(files).fingerprint)
    assert len(changed | {first}) == 5


def test_nothing_is_said_while_loading(files, capfd):
    with pytest.raises(BadInput):
        medclip(files, {**random_state(), "text_model.model.more": torch.zeros(1)})
    medclip(files)
    assert capfd.readouterr() == ("", "")


def test_the_tensors_are_counted_for_the_gate(files):
    model, constants = medclip(files), ("position_ids", "relative_position_index", "logit_scale")
    assert model.tensors == len([key for key in random_state() if not key.endswith(constants)])
    assert model.known is None and not model.notes


@pytest.mark.fault
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_an_error(files, number):
    state = random_state()
    state["vision_model.projection_head.weight"][0, 0] = number
    with pytest.raises(BadInput, match="NaN or infinity in 1 tensors .vision_model.projection_head.weight"):
        medclip(files, state)


@pytest.mark.fault
def test_what_an_interrupted_download_left_is_not_taken(files):
    """Downloads are written beside their place and take their name when they are whole (mammi.download)."""
    (files / ".pytorch_model.bin.part").write_bytes(b"half")
    with pytest.raises(MissingAsset, match="has no pytorch_model.bin"):
        MedCLIP(files, files)


def test_the_full_size_has_the_434_keys_of_the_authors_file():
    assert len(shapes(BERT, SWIN, 512)) == 434


@pytest.mark.slow
def test_full_size_random_weights(tmp_path):
    words = WORDS[:5] + [f"word{i}" for i in range(BERT["vocab_size"] - 5)]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    state = random_state(BERT, SWIN, 512, spread=.05)
    torch.save(state, tmp_path / "pytorch_model.bin")
    model, plain = MedCLIP(tmp_path, tmp_path), Plain(state, BERT, SWIN)
    np.testing.assert_allclose(model.embed_texts(["word7 word0"])[0], plain.text([2, 12, 5, 3]), atol=2e-6)
    image = picture(300, 280)
    pixels = model.prepare([image])[0, 0].numpy()
    np.testing.assert_allclose(model.embed_images(batch(image))[0], plain.image(pixels), atol=2e-6)
