"""The CXR-RePaiR adapter against a plain second implementation, on random weights under OpenAI's key names."""
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mammi.dissector.cxr_repair import FILE, SIZES, CxrRepair, Preprocess
from mammi.errors import BadInput, MissingAsset
from mammi.types import Batch
from tests.dissector.plain_cxr_repair import MEAN, SD, Plain, preprocess, shapes

TEXT = {"context": 77, "vocabulary": 49408, "text_width": 64, "text_layers": 2}
TINY = {"dim": 6, "image": 224, "patch": 32, "width": 128, "layers": 2, **TEXT}
SCRATCH = {"dim": 5, "image": 320, "patch": 40, "width": 64, "layers": 1, **TEXT}
TOKENS = {"a photo of a cat": [320, 1125, 539, 320, 2368], "": [], "A  Photo": [320, 1125]}
TEXTS = ["mass", "a chest x-ray image of a mass", "", "effusion", "Pneumothorax", "mass"]


def random_state(size=TINY, spread=.2):
    rng = np.random.default_rng(0)
    state = {key: torch.from_numpy(spread * rng.standard_normal(shape or 1, np.float32)).reshape(shape)
             for key, shape in shapes(size).items()}
    for key, value in state.items():
        if key.endswith("weight") and value.ndim == 1:
            value += 1  # of a layer norm
    return state


@pytest.fixture(scope="module")
def state():
    return random_state()


@pytest.fixture
def load(tmp_path, state):
    def load(changed=None, **options):
        torch.save(state if changed is None else changed, tmp_path / FILE)
        return CxrRepair(tmp_path, **{"sizes": (TINY, SCRATCH), **options})

    return load


def batch(*images):
    names = tuple(str(i) for i in range(len(images)))
    return Batch(images, names, names)


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = np.sin(rows / 9) + np.cos(columns / 7 + rows / 30)
    return Image.fromarray((110 + 40 * waves + 12 * rng.standard_normal((height, width))).clip(0, 255).astype(np.uint8))


def test_texts_match_the_plain_implementation(load, state):
    rows = load().embed_texts(list(TOKENS))
    assert rows.dtype == np.float32 and rows.shape == (3, 6)
    for row, ids in zip(rows, TOKENS.values()):
        np.testing.assert_allclose(row, Plain(state, TINY).text(ids), atol=1e-6)


def test_long_texts_are_cut_at_77_tokens(load, state):
    row, = load().embed_texts(["a photo " * 60])
    np.testing.assert_allclose(row, Plain(state, TINY).text([320, 1125] * 37 + [320]), atol=1e-6)


@pytest.mark.parametrize("size", [TINY, SCRATCH], ids=["fine-tuned", "from scratch"])
def test_images_match_the_plain_implementation(load, size):
    state = random_state(size)
    model = load(state, view="full_image", batch_size=2)
    images = [picture(300, 260), picture(260, 380, 1).convert("RGB"), picture(120, 90, 2)]
    for row, image in zip(model.embed_images(batch(*images)), images):
        pixels = model.prepare([image])
        assert pixels.shape == (1, 3, size["image"], size["image"]) and (pixels[:, 0] == pixels[:, 2]).all()
        np.testing.assert_allclose(row, Plain(state, size).image(pixels[0, 0].numpy()), atol=2e-6)


@pytest.mark.parametrize("view", ["target_crop", "full_image"])
@pytest.mark.parametrize("shape", [(300, 260), (255, 390), (1024, 1024), (320, 320), (120, 91)])
def test_preprocessing_matches_the_plain_implementation(shape, view):
    image = picture(*shape)
    difference = np.abs(Preprocess(view)(image)[0].numpy() - preprocess(image, 224, view)) * SD
    assert difference.max() < 2.6, "at most the grey levels lost by rounding to 8 bits after each pass"
    assert difference.mean() < .6


def test_pixels_are_grey_levels_not_fractions():
    white = Preprocess("full_image", size=320)(Image.new("L", (100, 50), 255))[0].numpy()
    np.testing.assert_allclose(white[81:239], (255 - MEAN) / SD, atol=1e-5)
    np.testing.assert_allclose(white[:79], -MEAN / SD, atol=1e-5)
    grey = Preprocess()(Image.new("RGB", (300, 200), (90, 90, 90)))
    np.testing.assert_allclose(grey[0, 112, 112], -.13768, atol=1e-4)


def test_a_vector_does_not_depend_on_the_others(load):
    images = [picture(230, 260, seed) for seed in range(3)]
    some, alone = load(batch_size=2), load(batch_size=1)
    np.testing.assert_allclose(some.embed_texts(TEXTS), alone.embed_texts(TEXTS), atol=1e-6)
    np.testing.assert_allclose(some.embed_texts(TEXTS[::-1])[::-1], alone.embed_texts(TEXTS), atol=1e-6)
    np.testing.assert_allclose(some.embed_images(batch(*images)), alone.embed_images(batch(*images)), atol=1e-6)
    assert some.embed_texts([]).shape == (0, 6)


def test_the_patch_size_says_which_network_it_is(load):
    assert load().preprocess.size == 224
    assert load(random_state(SCRATCH)).preprocess.size == 320


def test_openai_s_constants_half_precision_and_safetensors_change_nothing(load, state, tmp_path):
    row = load().embed_texts(["mass"])
    more = {**state, "input_resolution": torch.tensor(224), "context_length": torch.tensor(77),
            "vocab_size": torch.tensor(49408)}
    np.testing.assert_array_equal(load(more).embed_texts(["mass"]), row)
    half = load({key: value.half() for key, value in state.items()}).embed_texts(["mass"])
    assert half.dtype == np.float32 and 0 < np.abs(half - row).max() < 1e-2
    save_file(state, tmp_path / "weights.safetensors")
    model = CxrRepair(tmp_path / "weights.safetensors", sizes=(TINY,))
    np.testing.assert_array_equal(model.embed_texts(["mass"]), row)


@pytest.mark.fault
def test_every_missing_key_is_an_error(load):
    small = {**TINY, "vocabulary": 7, "layers": 1, "text_layers": 1}
    whole = random_state(small)
    load(whole, sizes=(small,))
    for key in whole:
        with pytest.raises(BadInput, match="is not CXR-RePaiR's CLIP: 1 missing") as caught:
            load({name: value for name, value in whole.items() if name != key}, sizes=(small,))
        assert f"({key})" in str(caught.value)


@pytest.mark.fault
@pytest.mark.parametrize("change, said", [
    (lambda s: s.update({"visual.conv1.weight": s["visual.conv1.weight"].flip(0)[1:]}), "1 of another shape .visual.c"),
    (lambda s: s.update({"visual.proj": s["visual.proj"].T}), "1 of another shape .visual.proj"),
    (lambda s: s.update({"token_embedding.weight": s["token_embedding.weight"][:-5]}), "another shape .token_emb"),
    (lambda s: s.update({"visual.proj": s["text_projection"], "text_projection": s["visual.proj"]}), "2 of another"),
    (lambda s: s.update({"visual.extra": torch.zeros(2)}), "1 unexpected .visual.extra"),
    (lambda s: s.update({"ln_final.wait": s.pop("ln_final.weight")}), "1 missing .*1 unexpected"),
    (lambda s: s.update({"visual.conv1.weight": torch.tensor(1.)}), "1 of another shape")])
def test_a_changed_state_is_an_error(load, state, change, said):
    changed = dict(state)
    change(changed)
    with pytest.raises(BadInput, match=said):
        load(changed)


@pytest.mark.fault
def test_a_clip_with_other_patches_is_an_error(load):
    other = {**TINY, "patch": 16}
    with pytest.raises(BadInput, match="of another shape .*visual.conv1.weight, visual.positional_embedding"):
        load(random_state(other), sizes=(TINY,))
    with pytest.raises(BadInput, match="1 of another shape .visual.positional_embedding"):  # same patches, other image
        load(random_state({**SCRATCH, "image": 200}))


@pytest.mark.fault
def test_another_model_is_an_error(load):
    with pytest.raises(BadInput, match=r"missing .*2 unexpected .fc.bias, fc.weight.*clip-imp-pretrained"):
        load({"fc.weight": torch.zeros(3, 3), "fc.bias": torch.zeros(3)})
    with pytest.raises(BadInput, match="no {name: tensor}"):
        load([torch.zeros(3)])


@pytest.mark.fault
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_download_that_was_cut_short_is_an_error(state, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)({"logit_scale": torch.zeros(5000)}, path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(BadInput, match="cannot be read as tensors .*cut short, fetch it again"):
        CxrRepair(path, sizes=(TINY,))


@pytest.mark.fault
def test_an_absent_file_is_named_with_the_next_step(tmp_path):
    for given, said in ((None, "paths.cxr_repair is not set"), (tmp_path / "no.pt", "no.pt, which is not there"),
                        (tmp_path, f"which has no {FILE}")):
        with pytest.raises(MissingAsset, match="Next: paths.cxr_repair=FILE") as caught:
            CxrRepair(given)
        assert said in str(caught.value) and "github.com/rajpurkarlab/CXR-RePaiR" in str(caught.value)


@pytest.mark.fault
def test_wrong_options_are_errors(load):
    with pytest.raises(BadInput, match="dissector.view=target_corp: Did you mean target_crop"):
        load(view="target_corp")
    with pytest.raises(BadInput, match="dissector.jpeg_roundtrip=85: expected true or false"):
        load(jpeg_roundtrip=85)


def test_fingerprint_follows_content_not_place(load, state, tmp_path_factory):
    first = load()
    other = tmp_path_factory.mktemp("other") / "moved.pt"
    other.write_bytes(first.weights.read_bytes())
    assert CxrRepair(other, sizes=(TINY,), batch_size=3).fingerprint == first.fingerprint
    others = {load(view="full_image").fingerprint, load(jpeg_roundtrip=True).fingerprint,
              load({**state, "logit_scale": torch.tensor(9.)}).fingerprint, first.fingerprint}
    assert len(others) == 4


def test_the_tensors_are_counted_for_the_gate(load, state):
    model = load()
    assert model.tensors == len(state) and model.known is None and not model.notes


def test_the_full_size_has_the_302_keys_of_openai_s_networks():
    assert len(shapes(SIZES[0])) == len(shapes(SIZES[1])) == 302


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=["fine-tuned", "from scratch"])
def test_full_size_random_weights(tmp_path, size):
    state = random_state(size, spread=.03)
    save_file(state, tmp_path / "weights.safetensors")
    model, plain = CxrRepair(tmp_path / "weights.safetensors"), Plain(state, size)
    np.testing.assert_allclose(model.embed_texts(["a photo of a cat"])[0], plain.text([320, 1125, 539, 320, 2368]),
                               atol=2e-6)
    image = picture(300, 280)
    pixels = model.prepare([image])[0, 0].numpy()
    np.testing.assert_allclose(model.embed_images(batch(image))[0], plain.image(pixels), atol=2e-6)
