"""OpenClip on random weights of open_clip's own networks: reloading, plain arithmetic, faults."""
import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mammi import clip_model, offline
from mammi.dissector.open_clip_model import OpenClip
from mammi.errors import BadInput, MissingAsset
from mammi.text_encoder import ClipTextEncoder
from mammi.types import Batch

SIZES = {"embed_dim": 8, "quick_gelu": True,
         "vision_cfg": {"image_size": 32, "layers": 2, "width": 128, "patch_size": 16},
         "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}}
OTHER = {**SIZES, "vision_cfg": {**SIZES["vision_cfg"], "patch_size": 32}}  # as ViT-B/32 is to B/16
WIDER = {**SIZES, "vision_cfg": {**SIZES["vision_cfg"], "image_size": 64}}  # open_clip would interpolate positions
CUSTOM = {**SIZES, "custom_text": True}  # the layout of SigLIP, EVA02 and others: the text tower is a module of its own
TEXTS = ["mass", "A chest x-ray image of a mass", "", "edema", "left pleural effusion " * 40]
MEAN, SD = (.48145466, .4578275, .40821073), (.26862954, .26130258, .27577711)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    for name, sizes in (("tiny-b16", SIZES), ("tiny-b32", OTHER), ("tiny-64", WIDER),
                        ("tiny-custom", CUSTOM)):
        (folder / f"{name}.json").write_text(json.dumps(sizes))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="module")
def network(models):
    return random_network("tiny-b16")


def random_network(model):
    torch.manual_seed(0)
    network = open_clip.create_model(model).eval()
    with torch.no_grad():
        for p in network.parameters():
            p += .05 * torch.randn_like(p)
    return network


def state_of(network):
    return {key: value.contiguous() for key, value in network.state_dict().items()}


@pytest.fixture
def weights(network, tmp_path):
    save_file(state_of(network), tmp_path / "open_clip_model.safetensors")
    return tmp_path / "open_clip_model.safetensors"


def picture(width=300, height=260, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def batch(*images):
    names = tuple(str(i) for i in range(len(images)))
    return Batch(images, names, names)


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "bin"])
def test_reloaded_weights_give_the_same_bits(network, tmp_path, suffix):
    path = tmp_path / f"w.{suffix}"
    save_file(state_of(network), path) if suffix == "safetensors" else torch.save(network.state_dict(), path)
    one = OpenClip(path, "tiny-b16", view="full_image")
    own, _, transform = open_clip.create_model_and_transforms("tiny-b16", pretrained=str(path))
    image = picture()
    pixels = transform(image)[None]
    np.testing.assert_array_equal(one.prepare([image]).numpy(), pixels.numpy())
    with torch.no_grad():
        expected = own.eval().encode_image(pixels, normalize=True).numpy()
        direct = network.encode_image(pixels, normalize=True).numpy()
    np.testing.assert_array_equal(one.embed_images(batch(image)), expected)
    np.testing.assert_array_equal(expected, direct)


def test_texts_are_those_of_the_padded_network(network, weights):
    one = OpenClip(weights, "tiny-b16", batch_size=2)
    with torch.no_grad():
        expected = network.encode_text(open_clip.get_tokenizer("tiny-b16")(TEXTS), normalize=True).numpy()
    np.testing.assert_allclose(one.embed_texts(TEXTS), expected, atol=1e-6)
    np.testing.assert_allclose(one.embed_texts(TEXTS[::-1])[::-1], expected, atol=1e-6)
    assert one.embed_texts([]).shape == (0, 8) and one.embed_texts(TEXTS).dtype == np.float32
    np.testing.assert_array_equal(one.project_texts(one.text_encoder.embed(TEXTS)), one.embed_texts(TEXTS))


def test_texts_run_over_their_own_length_alone(network, weights):
    one = OpenClip(weights, "tiny-b16")
    seen = []
    hook = one._network.transformer.register_forward_hook(lambda _, given, out: seen.append(out.shape[1]))
    one.embed_texts(TEXTS)
    hook.remove()
    assert sorted(seen) == [2, 3, 4, 11, 77], "start and end with 0, 1, 2, 9 tokens; the longest is cut at 77"


def test_a_text_tower_of_its_own(tmp_path):
    network = random_network("tiny-custom")
    save_file(state_of(network), tmp_path / "w.safetensors")
    with torch.no_grad():
        expected = network.encode_text(open_clip.get_tokenizer("tiny-custom")(TEXTS), normalize=True).numpy()
    rows = OpenClip(tmp_path / "w.safetensors", "tiny-custom").embed_texts(TEXTS)
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_images_match_plain_arithmetic(network, weights):
    """Patches, attention, quick-gelu and projection in float64 on the file's own keys."""
    one = OpenClip(weights, "tiny-b16")
    w = {key: value.double().numpy() for key, value in network.state_dict().items()}
    pixels = one.prepare([picture()]).double().numpy()[0]
    x = [w["visual.class_embedding"]]
    for r in (0, 16):
        x += [np.einsum("ochw,chw->o", w["visual.conv1.weight"], pixels[:, r:r + 16, c:c + 16]) for c in (0, 16)]
    x = norm(np.stack(x) + w["visual.positional_embedding"], w, "visual.ln_pre")
    for i in range(2):
        at = f"visual.transformer.resblocks.{i}."
        y = norm(x, w, f"{at}ln_1") @ w[f"{at}attn.in_proj_weight"].T + w[f"{at}attn.in_proj_bias"]
        heads = []
        for h in range(2):  # 64 wide each
            q, k, v = (y[:, part * 128 + h * 64:part * 128 + (h + 1) * 64] for part in range(3))
            a = np.exp(q @ k.T / 8)
            heads.append(a / a.sum(1, keepdims=True) @ v)
        x = x + np.concatenate(heads, 1) @ w[f"{at}attn.out_proj.weight"].T + w[f"{at}attn.out_proj.bias"]
        y = norm(x, w, f"{at}ln_2") @ w[f"{at}mlp.c_fc.weight"].T + w[f"{at}mlp.c_fc.bias"]
        y = y / (1 + np.exp(-1.702 * y))
        x = x + y @ w[f"{at}mlp.c_proj.weight"].T + w[f"{at}mlp.c_proj.bias"]
    row = norm(x[0], w, "visual.ln_post") @ w["visual.proj"]
    np.testing.assert_allclose(one.embed_images(batch(picture()))[0], row / np.sqrt((row ** 2).sum()), atol=1e-5)


def norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def test_preprocessing(weights):
    grey = Image.new("L", (300, 200), 51)
    x = OpenClip(weights, "tiny-b16").prepare([grey])[0]
    assert x.shape == (3, 32, 32)
    np.testing.assert_allclose(x[:, 5, 5], [(.2 - m) / s for m, s in zip(MEAN, SD)], atol=1e-6)
    half = Image.new("L", (400, 200))
    half.paste(255, (0, 0, 60, 200))  # outside of the middle square
    views = {view: OpenClip(weights, "tiny-b16", view=view) for view in ("target_crop", "full_image")}
    assert all(np.ptp(one.prepare([half])[0, 0].numpy()) < .01 for one in views.values())
    assert len({one.fingerprint for one in views.values()}) == 2
    noise = picture()
    compressed = OpenClip(weights, "tiny-b16", jpeg_roundtrip=True)
    assert .01 < (compressed.prepare([noise]) - views["target_crop"].prepare([noise])).abs().mean() < 1
    assert compressed.fingerprint != views["target_crop"].fingerprint


def test_an_image_does_not_see_its_batch(weights):
    images = [picture(seed=seed) for seed in range(3)]
    rows = OpenClip(weights, "tiny-b16", batch_size=2).embed_images(batch(*images))
    for image, row in zip(images, rows):
        np.testing.assert_allclose(OpenClip(weights, "tiny-b16").embed_images(batch(image))[0], row, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_the_evaluation_encoder_shares_the_loaded_network(weights):
    one = OpenClip(weights, "tiny-b16")
    encoder = ClipTextEncoder(weights, "tiny-b16")
    assert encoder.loaded[0] is one._network and encoder.fingerprint == one.text_encoder.fingerprint
    moved = weights.rename(weights.with_name("moved.safetensors"))
    assert OpenClip(moved, "tiny-b16").fingerprint == one.fingerprint


def test_a_folder_and_openais_constants(network, weights, tmp_path):
    torch.save({"state_dict": {**network.state_dict(), "input_resolution": torch.tensor(32),
                               "context_length": torch.tensor(77), "vocab_size": torch.tensor(49408)}},
               tmp_path / "w.pt")
    row = OpenClip(weights.parent, "tiny-b16").embed_texts(TEXTS)
    np.testing.assert_array_equal(OpenClip(tmp_path / "w.pt", "tiny-b16").embed_texts(TEXTS), row)


@pytest.mark.fault
@pytest.mark.parametrize("given, wanted, said", [
    ("tiny-b32", "tiny-b16", r"visual.conv1.weight \(128, 3, 32, 32\) for \(128, 3, 16, 16\)"),
    ("tiny-64", "tiny-b16", r"1 of \d+ tensors.*positional_embedding \(17, 128\) for \(5, 128\)")])
def test_weights_of_another_architecture(tmp_path, given, wanted, said):
    save_file(state_of(random_network(given)), tmp_path / "w.safetensors")
    with pytest.raises(BadInput, match=said):
        OpenClip(tmp_path / "w.safetensors", wanted)


@pytest.mark.fault
@pytest.mark.parametrize("edit, said", [
    (lambda s: s.pop("text_projection"), r"text_projection missing for \(64, 8\)"),
    (lambda s: s.pop("logit_scale"), "logit_scale missing"),
    (lambda s: s.update(extra=torch.zeros(2)), r"extra \(2,\) for no place"),
    (lambda s: s.update({"visual.proj": s["visual.proj"].T.contiguous()}), r"visual.proj \(8, 128\) for \(128, 8\)"),
    (lambda s: s.update({"token_embedding.weight": torch.zeros(30522, 64)}), r"\(30522, 64\) for \(49408, 64\)"),
    (lambda s: s.clear() or s.update(fc=torch.zeros(2)), "tensors do not fit")])
def test_every_key_is_accounted_for(network, tmp_path, edit, said):
    state = state_of(network)
    edit(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(BadInput, match=said):
        OpenClip(tmp_path / "w.safetensors", "tiny-b16")


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore")
def test_files_that_are_no_tensors(network, weights, tmp_path):
    whole = weights.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:len(whole) // 2])
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    torch.save({}, tmp_path / "empty.pt")
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return type(ran).touch, (ran,)

    torch.save(Trap(), tmp_path / "trap.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    for name in ("cut.safetensors", "list.pt", "empty.pt", "trap.pt", "script.pt"):
        with pytest.raises(BadInput, match="cannot be read as tensors.*fetch it again"):
            OpenClip(tmp_path / name, "tiny-b16")
    assert not ran.exists()


@pytest.mark.fault
def test_absent_weights_are_an_error_not_a_warning(tmp_path):
    for given, said in ((None, "no weights given"), (tmp_path / "no.pt", "no file .*no.pt"),
                        (tmp_path, "no open_clip_model.safetensors"),
                        ("timm/vit_base_patch16_clip_224.openai", "hub is not asked")):
        with pytest.raises(MissingAsset, match=f"{said}.*paths.clip=FILE"):
            OpenClip(given)


@pytest.mark.fault
def test_downloads_are_refused_offline(monkeypatch, weights):
    monkeypatch.setattr(offline, "_offline", True)
    with pytest.raises(MissingAsset, match="offline=true.*ViT-B-16 tagged laion2b_s34b_b88k"):
        OpenClip(model="ViT-B-16", tag="laion2b_s34b_b88k")
    with pytest.raises(MissingAsset, match="timm/ViT-B-16-SigLIP on the Hugging Face hub"):
        OpenClip(weights, "ViT-B-16-SigLIP")
    OpenClip(weights, "tiny-b16")


def test_a_tag_is_downloaded_only_where_no_file_is_given(monkeypatch, weights):
    asked = []
    monkeypatch.setattr(open_clip, "download_pretrained", lambda config: asked.append(config) or str(weights))
    assert clip_model.locate(None, "ViT-B-16", "laion2b_s34b_b88k") == weights and "laion" in asked.pop()["hf_hub"]
    assert clip_model.locate(weights, "ViT-B-16", "laion2b_s34b_b88k") == weights and not asked


@pytest.mark.fault
def test_unknown_names_and_preprocessing_that_depends_on_the_weights():
    with pytest.raises(BadInput, match="Did you mean .*ViT-B-16-quickgelu"):
        clip_model.settings("ViT-B-16-quikgelu")
    with pytest.raises(BadInput, match="dissector.tag=laion.*Did you mean laion"):
        clip_model.settings("ViT-B-16", "laion")
    with pytest.raises(BadInput, match="dissector.tag.*laion2b_s32b_b82k"):
        clip_model.settings("ViT-L-14")
    assert clip_model.settings("ViT-L-14", "laion2b_s32b_b82k")["mean"] == (.5, .5, .5)
    assert clip_model.settings("ViT-B-16-quickgelu")["mean"] == MEAN
    assert clip_model.settings("tiny-b16") == {}


@pytest.mark.slow
def test_the_papers_architecture_at_full_size(tmp_path):
    network = random_network(clip_model.VIT_B16)
    save_file(state_of(network), tmp_path / "w.safetensors")
    one = OpenClip(tmp_path / "w.safetensors")
    image = picture()
    with torch.no_grad():
        texts = network.encode_text(open_clip.get_tokenizer("ViT-B-16")(TEXTS), normalize=True).numpy()
        images = network.encode_image(one.prepare([image]), normalize=True).numpy()
    np.testing.assert_allclose(one.embed_texts(TEXTS), texts, atol=1e-5)
    np.testing.assert_array_equal(one.embed_images(batch(image)), images)
    save_file(state_of(random_network("ViT-B-32-quickgelu")), tmp_path / "b32.safetensors")
    with pytest.raises(BadInput, match=r"visual.conv1.weight \(768, 3, 32, 32\) for \(768, 3, 16, 16\)"):
        OpenClip(tmp_path / "b32.safetensors")
