"""Mammo-CLIP on random weights under the authors' key names: against NumPy in float64 and timm, faults."""
import numpy as np
import pytest
import timm
import torch
from PIL import Image

from mammi.dissector.bert import SIZES
from mammi.dissector.mammo_clip import FILE, MammoCLIP, Preprocess, _network
from mammi.efficientnet import B5, EfficientNet, Size
from mammi.errors import BadInput, MissingAsset
from mammi.types import Batch
from tests.dissector.plain_bert import last_states

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "mass", "benign", "calc", "##ification"]
BERT = {"vocab_size": len(WORDS), "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 20}
# A stage of each kind; an odd map (of 36 pixels: 18, 18, 9, 5) is halved, so padding depends on ``side``.
TOWER = Size(8, 16, 36, ((1, 3, 1, 8, 1), (6, 3, 2, 12, 2), (6, 3, 2, 12, 1), (6, 5, 1, 16, 1)))
TOKENS = {"mass": [2, 5, 3], "Benign calcification": [2, 6, 7, 8, 3], "": [2, 3]}


def random_state(tower=TOWER, bert=BERT, seed=0):
    torch.manual_seed(seed)
    state = _network(tower, bert).state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            value.uniform_(.5, 2)
        elif value.is_floating_point():
            value += .1 * torch.randn_like(value)
    return state


STATE = random_state()
W = {key: value.double().numpy() for key, value in STATE.items()}


def write(folder, state=STATE, words=WORDS):
    torch.save({"model": state, "optimizer": {"state": {}}, "config": {"model": {"temperature": .07}}, "epoch": 7},
               folder / FILE)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return folder


def mammo_clip(folder, **options):
    return MammoCLIP(folder, folder, **{"size": (48, 64), "tower": TOWER, "bert": BERT, **options})


def picture(seed=0, mode="L", size=(190, 260)):
    shape = (*size[::-1], 3) if mode == "RGB" else size[::-1]
    return Image.fromarray(np.random.default_rng(seed).integers(20, 200, shape, np.uint8))


def batch(*images):
    names = tuple(str(i) for i in range(len(images)))
    return Batch(images, names, names)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


def conv(x, weight, stride=1, side=1, groups=False):
    """(c, h, w) -> (o, h', w'), each output pixel a sum over its window; zeros around as for ``side`` pixels."""
    k, out = weight.shape[-1], -(-side // stride)
    lacks = max((out - 1) * stride + k - side, 0)
    x = np.pad(x, ((0, 0), *[(lacks // 2, lacks - lacks // 2)] * 2))
    rows, columns = ((n - k) // stride + 1 for n in x.shape[1:])
    out = np.zeros((len(weight), rows, columns))
    for r in range(rows):
        for c in range(columns):
            window = x[:, r * stride:r * stride + k, c * stride:c * stride + k]
            out[:, r, c] = (weight[:, 0] * window).sum((1, 2)) if groups else (weight * window).sum((1, 2, 3))
    return out


def norm(x, name):
    mean, var, weight, bias = (W[f"{name}.{part}"][:, None, None] for part in
                               ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / np.sqrt(var + .001) * weight + bias


def swish(x):
    return x / (1 + np.exp(-x))


def tower(x):
    """(3, h, w) -> (head,) by the paper's description, in float64."""
    top = "image_encoder."
    x, side, i = swish(norm(conv(x, W[f"{top}_conv_stem.weight"], 2, 36), f"{top}_bn0")), 18, 0
    for expansion, _, first, _, blocks in TOWER.stages:
        for stride in (first, *[1] * (blocks - 1)):
            at, y = f"{top}_blocks.{i}.", x
            if expansion > 1:
                y = swish(norm(conv(y, W[f"{at}_expand_conv.weight"]), f"{at}_bn0"))
            y = swish(norm(conv(y, W[f"{at}_depthwise_conv.weight"], stride, side, groups=True), f"{at}_bn1"))
            weigh = swish(W[f"{at}_se_reduce.weight"][:, :, 0, 0] @ y.mean((1, 2)) + W[f"{at}_se_reduce.bias"])
            weigh = W[f"{at}_se_expand.weight"][:, :, 0, 0] @ weigh + W[f"{at}_se_expand.bias"]
            y = norm(conv(y / (1 + np.exp(-weigh))[:, None, None], W[f"{at}_project_conv.weight"]), f"{at}_bn2")
            x, side, i = (x + y if x.shape == y.shape else y), -(-side // stride), i + 1
    return swish(norm(conv(x, W[f"{top}_conv_head.weight"]), f"{top}_bn1")).mean((1, 2))


def unit(x):
    return x / np.sqrt((x ** 2).sum())


@pytest.mark.parametrize("size", [(36, 36), (48, 64)])
def test_images_match_plain_arithmetic(folder, size):
    one = mammo_clip(folder, size=size)
    row = W["image_projection.projection.weight"] @ tower(one.prepare([picture()])[0].double().numpy())
    row += W["image_projection.projection.bias"]
    np.testing.assert_allclose(one.embed_images(batch(picture()))[0], unit(row), atol=1e-6)


def test_texts_match_plain_arithmetic(folder):
    rows = mammo_clip(folder).embed_texts(list(TOKENS))
    for row, ids in zip(rows, TOKENS.values()):
        last = last_states(W, "text_encoder.text_encoder.", BERT, ids)[-1]
        last = W["text_projection.projection.weight"] @ last + W["text_projection.projection.bias"]
        np.testing.assert_allclose(row, unit(last), atol=1e-6)


def test_padding_and_masking_as_the_authors_do_changes_nothing(folder):
    one = mammo_clip(folder)
    given = one._tokenizer(list(TOKENS), padding="longest", return_tensors="pt")
    with torch.no_grad():
        states = one._network.text_encoder.text_encoder(**given).last_hidden_state
        last = states[torch.arange(3), given["attention_mask"].sum(1) - 1]
        rows = torch.nn.functional.normalize(one._network.text_projection.projection(last)).numpy()
    np.testing.assert_allclose(one.embed_texts(list(TOKENS)), rows, atol=1e-6)


def test_long_texts_are_cut_at_256_tokens(folder):
    one = mammo_clip(folder)
    np.testing.assert_array_equal(one.embed_texts(["mass " * 400]), one.embed_texts(["mass " * 254]))


def test_nothing_depends_on_its_batch(folder):
    one, small = mammo_clip(folder), mammo_clip(folder, batch_size=1)
    texts, images = ["mass", "benign", "", "benign mass", "zebra"], [picture(seed) for seed in range(5)]
    np.testing.assert_allclose(one.embed_texts(texts), small.embed_texts(texts[::-1])[::-1], atol=1e-6)
    np.testing.assert_allclose(one.embed_images(batch(*images)), small.embed_images(batch(*images)), atol=1e-6)
    assert one.embed_texts([]).shape == (0, 512)


def test_preprocessing():
    """Means of 4 x 5 blocks, the image's own range, the authors' mean and standard deviation."""
    image = picture(size=(40, 40))
    x = Preprocess("full_image", size=(10, 8))(image).numpy()
    blocks = np.asarray(image, np.float64).reshape(8, 5, 10, 4).mean((1, 3))
    level = 1 / np.ptp(blocks) / .2505356
    blocks = (blocks - blocks.min()) / np.ptp(blocks)
    assert x.shape == (3, 8, 10) and (x[0] == x[1]).all() and (x[0] == x[2]).all()
    difference = np.abs(x[0] - (blocks - .3089279) / .2505356)
    assert difference.max() < 2 * level and difference.mean() < level, "rounded to whole grey levels, both ways"
    wide = Preprocess("full_image", size=(80, 80))(image)
    assert wide.shape == (3, 80, 80)
    np.testing.assert_allclose((wide.min(), wide.max()), (-.3089279 / .2505356, (1 - .3089279) / .2505356), rtol=1e-5)
    colour = Preprocess("full_image", size=(40, 40))(picture(mode="RGB", size=(40, 40))).numpy()
    assert (colour[0] != colour[1]).any() and np.isclose(colour.max(), (1 - .3089279) / .2505356)


def test_contrast_and_brightness_drop_out_and_a_blank_image_is_finite():
    prepare = Preprocess("full_image", size=(40, 40))
    grey = np.asarray(picture(size=(40, 40)), np.float32) // 2
    np.testing.assert_allclose(prepare(Image.fromarray(grey.astype(np.uint8))),
                               prepare(Image.fromarray((2 * grey + 5).astype(np.uint8))), atol=1e-5)
    assert torch.allclose(prepare(Image.new("L", (40, 40), 90)), torch.tensor(-.3089279 / .2505356))


def test_fingerprint(folder):
    one = mammo_clip(folder)
    assert mammo_clip(folder, batch_size=1).fingerprint == one.fingerprint
    assert len({m.fingerprint for m in (one, mammo_clip(folder, size=(64, 48)),
                                        mammo_clip(folder, view="target_crop"))}) == 3


@pytest.mark.fault
@pytest.mark.parametrize("edit, said", [
    (lambda s: s.pop("image_encoder._blocks.1._bn2.running_var"), "1 missing .image_encoder._blocks.1._bn2.running"),
    (lambda s: s.pop("text_projection.projection.bias"), "1 missing .text_projection.projection.bias"),
    (lambda s: s.update({"image_encoder._fc.weight": torch.zeros(2, 16)}), "1 unexpected .image_encoder._fc.weight"),
    (lambda s: s.update({"image_projection.projection.weight": torch.zeros(16, 512)}), "another shape .image_proj"),
    (lambda s: s.update({"text_encoder.text_encoder.embeddings.word_embeddings.weight": torch.zeros(99, 12)}),
     "another shape .text_encoder"),
    (lambda s: s.clear() or s.update(fc=torch.zeros(2)), "missing .*1 unexpected .fc")])
def test_every_key_is_accounted_for(tmp_path, edit, said):
    state = dict(STATE)
    edit(state)
    write(tmp_path, state)
    with pytest.raises(BadInput, match=f"is not Mammo-CLIP's B5 checkpoint: .*{said}"):
        mammo_clip(tmp_path)
    torch.save({**STATE, "text_encoder.text_encoder.embeddings.position_ids": torch.arange(512)}, tmp_path / FILE)
    mammo_clip(tmp_path)  # as older versions of transformers wrote it, and without the wrapper


@pytest.mark.fault
def test_another_size_of_the_tower(tmp_path):
    write(tmp_path, random_state(Size(8, 16, 36, TOWER.stages[:3])))
    with pytest.raises(BadInput, match="missing .*_blocks.4.*another shape"):
        mammo_clip(tmp_path)


@pytest.mark.fault
def test_absent_and_broken_files(folder, tmp_path_factory):
    with pytest.raises(MissingAsset, match="paths.mammo_clip is not set.*paths.medclip_vocab is not set"):
        MammoCLIP(None, None)
    with pytest.raises(MissingAsset, match=f"has no {FILE}"):
        mammo_clip(tmp_path_factory.mktemp("empty"))
    write(folder, words=[*WORDS, "heart"])
    with pytest.raises(BadInput, match="10 tokens, but the text network knows 9"):
        mammo_clip(folder)
    write(folder)
    whole = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(whole[:len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be read as tensors.*cut short"):
        mammo_clip(folder)


@pytest.mark.fault
@pytest.mark.parametrize("size, said", [(912, r"size=\[912\]: expected two numbers"), ((0, 64), "at least 32"),
                                        ((64.5, 64), "whole"), ("912x1520", "expected two numbers")])
def test_bad_sizes(folder, size, said):
    with pytest.raises(BadInput, match=said):
        mammo_clip(folder, size=size)


def of_timm(state):
    """{timm's key: tensor}: both networks list their parts in the same order."""
    network = timm.create_model("tf_efficientnet_b5", pretrained=False, num_classes=0)
    return network, dict(zip(network.state_dict(), state.values(), strict=True))


@pytest.mark.slow
def test_b5_is_timms_at_its_own_size_and_padded_as_for_that_size_elsewhere():
    torch.manual_seed(0)
    own = EfficientNet().eval()
    for key, value in own.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(.05, .2)
    network, state = of_timm(own.state_dict())
    network.load_state_dict(state)
    assert own._blocks[0]._bn1.eps == network.bn1.eps == .001
    with torch.no_grad():
        x = torch.randn(1, 3, 456, 456)
        a, b = own(x), network.eval()(x)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        x = x[:, :, :320, :256]
        assert (own(x) - network(x)).abs().max() > 100 * (a - b).abs().max(), "timm pads by the image's own size"
    halving = [m for m in own.modules() if getattr(m, "stride", None) == (2, 2)]
    assert [m.around for m in halving] == [(0, 1) * 2, (0, 1) * 2, (1, 2) * 2, (1, 1) * 2, (2, 2) * 2]


@pytest.mark.slow
def test_the_published_sizes(tmp_path):
    state = random_state(B5, SIZES)
    words = [*WORDS, *(f"word{i}" for i in range(28996 - len(WORDS)))]
    write(tmp_path, state, words)
    one = MammoCLIP(tmp_path / FILE, tmp_path / "vocab.txt", size=(228, 380))
    tower = one._network.image_encoder
    assert len(tower._blocks) == 39
    assert sum(p.numel() for p in tower.parameters()) + 2049 * 1000 == 30389784, "B5's with its 1,000 classes"
    assert one.embed_images(batch(picture())).shape == one.embed_texts(["mass"]).shape == (1, 512)
