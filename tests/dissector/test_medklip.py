"""The MedKLIP adapter against a plain second implementation, on random weights under the authors' key names."""
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from mammi.cache import Cache
from mammi.dissector import bert, medklip
from mammi.dissector.medklip import MedKLIP, Preprocess
from mammi.dissector.medklip_network import SIZES
from mammi.errors import BadInput, MissingAsset
from mammi.types import Batch
from tests.dissector.plain_medklip import Plain, bert_shapes, shapes
from tests.tiny import evidence

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "chest", "x", "-", "ray", "of", "mass", "ef", "##fusion",
         "edema", "nodule"]
TOKENS = {"A chest x-ray of a mass": [2, 5, 6, 7, 8, 9, 10, 5, 11], "effusion": [2, 12, 13], "edema": [2, 14],
          "": [2], "zebra": [2, 1]}  # no [SEP] at the end
BOOK = {"mass": "a mass of edema", "normal": "a chest"}
TINY = {"blocks": (1, 2, 1, 1), "width": 16, "heads": 2, "layers": 2, "inner": 24, "text_width": 12}
TINY_BERT = {"vocab_size": len(WORDS), "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 20}


def random_state(found, spread=.5):
    rng = np.random.default_rng(0)
    state = {}
    for key, shape in found.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
            continue
        value = torch.from_numpy(rng.standard_normal(shape, np.float32))
        if key.endswith("running_var"):
            value = value.abs() + .5
        elif key.endswith("weight") and len(shape) == 1:
            value = 1 + spread * value  # of a norm
        else:
            value *= (2 / value[0].numel()) ** .5 if key.startswith("res_") else spread
        state[key] = value
    return state


def save(folder, state=None, text_state=None, words=WORDS):
    state = random_state(shapes(TINY)) if state is None else state
    text_state = random_state(bert_shapes(TINY_BERT)) if text_state is None else text_state
    torch.save({"model": {f"module.{key}": value for key, value in state.items()}, "epoch": 3},
               folder / "checkpoint_final.pth")
    torch.save(text_state, folder / "pytorch_model.bin")
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = save(tmp_path_factory.mktemp("medklip"))
    (folder / "book.json").write_text(json.dumps(BOOK))
    return folder


def load(folder, **options):
    return MedKLIP(folder, folder, folder, **{"sizes": TINY, "text_sizes": TINY_BERT, **options})


@pytest.fixture(scope="module")
def model(saved):
    return load(saved, batch_size=2)


@pytest.fixture(scope="module")
def plain():
    return Plain(random_state(shapes(TINY)), random_state(bert_shapes(TINY_BERT)), TINY, TINY_BERT)


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height // 20, width // 20), np.uint8)).resize((width, height))


IMAGES = (picture(300, 260), picture(240, 380, 1).convert("RGB"), picture(120, 100, 2))


def batch(*images):
    names = tuple(str(i) for i in range(len(images)))
    return Batch(images, names, names)


@pytest.mark.parametrize("book", [None, "book.json"])
def test_scores_match_the_plain_implementation(saved, plain, book):
    model = load(saved, book=book and saved / book, batch_size=2)
    scores = model.score(batch(*IMAGES), list(TOKENS))
    assert scores.shape == (3, 5) and scores.dtype == np.float32 and 0 < scores.min() and scores.max() < 1
    texts = [[2, 5, 11, 10, 14], [2, 5, 6]] if book else []
    entities = [plain.query(ids) for ids in texts]
    for row, image in zip(scores, IMAGES):
        patches = plain.patches(model.prepare([image])[0].numpy())
        expected = [plain.present(patches, plain.query(ids), entities) for ids in TOKENS.values()]
        np.testing.assert_allclose(row, expected, atol=2e-5)
    assert scores.std(0).max() > 1e-3 and scores.std(1).max() > 1e-3, "else the test would see nothing"


def test_the_book_changes_the_answers(saved, model):
    beside = load(saved, book=saved / "book.json").score(batch(IMAGES[0]), ["effusion"])
    assert abs(beside - model.score(batch(IMAGES[0]), ["effusion"])) > .01


@pytest.mark.parametrize("book", [None, "book.json"])
def test_an_answer_depends_on_no_other_question_or_image(saved, book, monkeypatch):
    monkeypatch.setattr(medklip, "QUERIES", 2)
    model, texts = load(saved, book=book and saved / book, batch_size=2), [*TOKENS, "mass", "edema"]
    scores = model.score(batch(*IMAGES), texts)
    monkeypatch.setattr(medklip, "QUERIES", 256)
    for i, image in enumerate(IMAGES):
        alone = [model.score(batch(image), [text])[0, 0] for text in texts]
        np.testing.assert_allclose(scores[i], alone, atol=1e-5)
    np.testing.assert_allclose(model.score(batch(*IMAGES[::-1]), texts[::-1]), scores[::-1, ::-1], atol=1e-5)
    assert model.score(batch(*IMAGES), []).shape == (3, 0)


def test_each_text_goes_through_bert_once(saved):
    model, seen = load(saved), []
    model._bert.register_forward_hook(lambda _module, _input, output: seen.append(len(output.last_hidden_state)))
    for image in IMAGES:
        model.score(batch(image), ["mass", "edema", "a mass", "mass"])
    assert seen == [2, 1]


def test_long_texts_are_cut_at_64_tokens(model, plain):
    patches = plain.patches(model.prepare(IMAGES[:1])[0].numpy())
    expected = plain.present(patches, plain.query([2] + [11] * 63))
    np.testing.assert_allclose(model.score(batch(IMAGES[0]), ["mass " * 90]), expected, atol=2e-5)


def test_preprocessing_is_that_of_the_authors():
    theirs = transforms.Compose([transforms.Resize([224, 224]), transforms.ToTensor(),
                                 transforms.Normalize((.485, .456, .406), (.229, .224, .225))])
    for image in IMAGES:
        ours = Preprocess("full_image")(image)
        torch.testing.assert_close(ours, theirs(image.convert("RGB")), atol=1e-5, rtol=0)
        cropped = transforms.CenterCrop(224)(transforms.Resize(256)(image.convert("RGB")))
        torch.testing.assert_close(Preprocess()(image), theirs(cropped), atol=1e-5, rtol=0)


def test_the_embedding_scorer_is_a_cosine(saved, plain):
    model = load(saved, scorer="embedding", batch_size=2)
    assert model.embeds and not model.notes
    images, texts = model.embed_images(batch(*IMAGES)), model.embed_texts(list(TOKENS))
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-6)
    for row, image in zip(images, IMAGES):
        mean = plain.patches(model.prepare([image])[0].numpy()).mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-5)
    for row, ids in zip(texts, TOKENS.values()):
        query = plain.query(ids)
        np.testing.assert_allclose(row, query / np.linalg.norm(query), atol=1e-5)
    np.testing.assert_allclose(model.score(batch(*IMAGES), list(TOKENS)), images @ texts.T, atol=1e-6)
    assert model.embed_texts([]).shape == (0, 16)


def test_the_query_scorer_has_no_space(model):
    assert not model.embeds
    with pytest.raises(NotImplementedError, match="medklip"):
        model.embed_images(batch(IMAGES[0]))
    with pytest.raises(NotImplementedError, match="medklip"):
        model.embed_texts(["mass"])


def test_evidence_averages_the_answers(model, tmp_path):
    known = evidence(Cache(tmp_path), dissector=model)
    matched = known.match(["mass", "edema"])
    scores = model.score(known.images.load(np.arange(5)), ["mass", "edema"])
    for i, chosen in enumerate(known.selected.T):
        if chosen.any():
            np.testing.assert_allclose(matched.mean[i], scores[chosen].mean(0), atol=1e-5)


def test_fingerprint_follows_content_not_place(saved, tmp_path):
    first = load(saved).fingerprint
    for name in ("checkpoint_final.pth", "pytorch_model.bin", "vocab.txt"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    assert load(tmp_path, batch_size=5).fingerprint == first
    others = {load(saved, **options).fingerprint
              for options in ({"view": "full_image"}, {"jpeg_roundtrip": True}, {"scorer": "embedding"},
                              {"book": saved / "book.json"})}
    save(tmp_path, text_state=random_state(bert_shapes(TINY_BERT), .2))
    others.add(load(tmp_path).fingerprint)
    assert len(others | {first}) == 6


def test_the_notes_say_what_is_not_known(saved, model):
    assert "alone" in model.notes[0] and len(model.notes) == 1 and model.tensors > 20
    assert not load(saved, book=saved / "book.json").notes


def test_the_gate_asks_the_scorer(model):
    golden = model.golden()
    assert np.shape(golden["scores"]) == (3, 2) and model.golden() == golden


@pytest.mark.fault
def test_a_missing_key_is_an_error(tmp_path):
    whole = random_state(shapes(TINY))
    for key in list(whole)[::6]:
        save(tmp_path, {name: value for name, value in whole.items() if name != key})
        with pytest.raises(BadInput, match="is not MedKLIP's checkpoint: 1 missing") as caught:
            load(tmp_path)
        assert f"({key})" in str(caught.value)


@pytest.mark.fault
@pytest.mark.parametrize("change, said", [
    (lambda s: s.update({"decoder.layers.2.norm1.bias": torch.zeros(16)}), "1 unexpected .decoder.layers.2.norm1.bias"),
    (lambda s: s.update({"classifier.weight": torch.zeros(3, 16)}), "1 of another shape .classifier.weight"),
    (lambda s: s.update({"res_l2.weight": s["res_l2.weight"].T}), "1 of another shape .res_l2.weight"),
    (lambda s: s.update({"cl_fc.weight": s["disease_embedding_layer.weight"],
                         "disease_embedding_layer.weight": s["cl_fc.weight"]}), "2 of another shape .cl_fc.weight"),
    (lambda s: s.update({"decoder.norm.wait": s.pop("decoder.norm.weight")}), "1 missing .*1 unexpected"),
    (lambda s: [s.pop(key) for key in list(s) if key.startswith("res_features.5.1.")], "18 missing")])
def test_a_changed_state_is_an_error(tmp_path, change, said):
    state = random_state(shapes(TINY))
    change(state)
    save(tmp_path, state)
    with pytest.raises(BadInput, match=said):
        load(tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize("change, said", [
    (lambda s: s.pop("bert.encoder.layer.1.output.dense.bias"), "is not Bio_ClinicalBERT: 1 missing"),
    (lambda s: s.update({"bert.encoder.layer.2.output.dense.bias": torch.zeros(12)}), "1 unexpected"),
    (lambda s: s.update({"gpt.weight": torch.zeros(12)}), "1 unexpected .gpt.weight"),
    (lambda s: s.update({"bert.embeddings.word_embeddings.weight": torch.zeros(20, 12)}), "1 of another shape")])
def test_another_text_network_is_an_error(tmp_path, change, said):
    state = random_state(bert_shapes(TINY_BERT))
    change(state)
    save(tmp_path, text_state=state)
    with pytest.raises(BadInput, match=said):
        load(tmp_path)


@pytest.mark.fault
def test_another_checkpoint_is_an_error(tmp_path):
    save(tmp_path)
    torch.save({"fc.weight": torch.zeros(3, 3)}, tmp_path / "checkpoint_final.pth")
    with pytest.raises(BadInput, match=r"missing .*1 unexpected .fc.weight.*MediaBrain-SJTU/MedKLIP"):
        load(tmp_path)
    torch.save({"model": [1, 2]}, tmp_path / "checkpoint_final.pth")
    with pytest.raises(BadInput, match="no {name: tensor}"):
        load(tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize("name", ["checkpoint_final.pth", "pytorch_model.bin"])
def test_a_download_that_was_cut_short_is_an_error(tmp_path, name):
    whole = (save(tmp_path) / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:len(whole) // 2])
    with pytest.raises(BadInput, match=f"{name} cannot be read as tensors .*cut short, fetch it again"):
        load(tmp_path)


@pytest.mark.fault
def test_another_vocabulary_is_an_error(tmp_path):
    save(tmp_path, words=[*WORDS, "heart"])
    with pytest.raises(BadInput, match="17 tokens, but the text network knows 16"):
        load(tmp_path)


@pytest.mark.fault
def test_missing_files_are_named_together(tmp_path):
    with pytest.raises(MissingAsset) as caught:
        MedKLIP(None, tmp_path, tmp_path / "nowhere.txt")
    for words in ("paths.medklip is not set", "github.com/MediaBrain-SJTU/MedKLIP", "paths.medklip=FILE",
                  f"paths.clinical_bert is {tmp_path}, which has no pytorch_model.bin", "paths.medclip_vocab is",
                  "nowhere.txt, which is not there"):
        assert words in str(caught.value)


@pytest.mark.fault
def test_wrong_options_are_errors(saved, tmp_path):
    with pytest.raises(BadInput, match="dissector.scorer=querry: Did you mean query"):
        load(saved, scorer="querry")
    with pytest.raises(BadInput, match="dissector.view=middle"):
        load(saved, view="middle")
    with pytest.raises(MissingAsset, match="dissector.book=.*no such file.*observation explanation.json"):
        load(saved, book=tmp_path / "no.json")
    for text, said in (("{", "is no JSON"), ("[]", "is not {entity"), ('{"mass": 3}', "is not {entity"),
                       ("{}", "is not {entity")):
        (tmp_path / "book.json").write_text(text)
        with pytest.raises(BadInput, match=f"dissector.book: .*book.json {said}"):
            load(saved, book=tmp_path / "book.json")


@pytest.mark.slow
def test_full_size_random_weights(tmp_path):
    state, text_state = random_state(shapes(SIZES), .05), random_state(bert_shapes(bert.SIZES), .05)
    save(tmp_path, state, text_state, [*WORDS, *(f"word{i}" for i in range(bert.SIZES["vocab_size"] - len(WORDS)))])
    model, plain = MedKLIP(tmp_path, tmp_path, tmp_path), Plain(state, text_state, SIZES, bert.SIZES)
    patches = plain.patches(model.prepare(IMAGES[:1])[0].numpy())
    expected = [plain.present(patches, plain.query(ids)) for ids in ([2, 11], [2, 16, 5])]
    np.testing.assert_allclose(model.score(batch(IMAGES[0]), ["mass", "word0 a"])[0], expected, atol=1e-4)
