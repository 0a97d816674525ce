import mmap

import numpy as np
import pytest
import torch

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.evaluation.final_layer import FinalLayer
from mammi.method.mammi import Mammi
from mammi.method.random import Random
from mammi.selection import Adaptive, All, TopK
from mammi.task.annotate import annotate
from mammi.types import Batch, Reading
from tests import tiny
from tests.tiny import ACTIVATIONS, WORDS, TinyDissector, TinyScorer, TinySet, TinyTarget, evidence, vector


def slow_scores(images, words, template):
    prompts = [vector(f"{template} {w}") - vector(template) for w in words]
    return np.array([np.mean([vector(i) @ p for i in images]) for p in prompts])


def test_scores_are_eq_2(tmp_path):
    found = evidence(Cache(tmp_path))
    got = Mammi(beta=0.95)(found)
    assert np.allclose(got.dense[0], slow_scores(["image2", "image3"], WORDS, "A picture of a"), atol=1e-6)
    assert np.allclose(got.dense[1], slow_scores(["image0", "image4"], WORDS, "A picture of a"), atol=1e-6)
    assert got.status[2] == "dead" and got.concepts[2] == []


def test_contributions_add_up_to_the_score(tmp_path):
    got = Mammi()(evidence(Cache(tmp_path), TopK(3)))
    for i in (0, 1):
        if got.concepts[i]:
            assert np.isclose(np.mean([part for _, part in got.contributions[i]]), got.scores[i][0], atol=1e-6)
            assert {p for p, _ in got.contributions[i]} == set(np.flatnonzero(got.selected[:, i]))


def test_a_scorer_without_embeddings_gives_the_same_annotations(tmp_path):
    a = Mammi(on_nonpositive_max="top1")(evidence(Cache(tmp_path)))
    b = Mammi(on_nonpositive_max="top1")(evidence(Cache(tmp_path), dissector=TinyScorer()))
    assert a.concepts == b.concepts and np.allclose(a.dense, b.dense, atol=1e-6)
    for x, y in zip(a.why, b.why):
        assert x.pop("margin") == pytest.approx(y.pop("margin"), abs=1e-6) and x == y


class Logits(TinyScorer):
    """A scorer without bounds: large differences between single images."""

    fingerprint = "tiny-logits-1"

    def score(self, batch, texts):
        return 40 * super().score(batch, texts) + 20


def test_the_pivotal_image_of_an_unbounded_scorer_by_brute_force(tmp_path):
    words = tuple(f"word{j}" for j in range(40))
    found = evidence(Cache(tmp_path), TopK(3), words=words, dissector=Logits())
    got = Mammi(beta=0.5)(found)
    for i in (0, 1):
        parts = found.match([f"A picture of a {w}" for w in words]).parts(np.flatnonzero(got.selected[:, i]),
                                                                         np.arange(40))
        changes = {words[np.delete(parts, k, axis=0).mean(0).argmax()] for k in range(3)} - {got.concepts[i][0]}
        assert (got.why[i]["without_it"] in changes) if changes else got.why[i]["pivotal_image"] is None


def test_only_representative_images_are_embedded_and_only_once(tmp_path):
    dissector, target = TinyDissector(), TinyTarget()
    Mammi()(evidence(Cache(tmp_path), dissector=dissector, target=target))
    assert sorted(dissector.images) == ["image0", "image2", "image3", "image4"]
    assert target.passes == 3
    Mammi()(evidence(Cache(tmp_path), Adaptive(0.9), words=(*WORDS, "hernia"), dissector=dissector, target=target))
    assert sorted(dissector.images) == ["image0", "image1", "image2", "image3", "image4"]
    assert dissector.texts[-1] == "A picture of a hernia" and len(dissector.texts) == len(WORDS) + 2
    assert target.passes == 3


def test_other_images_share_nothing_and_overlapping_ones_do(tmp_path):
    target = TinyTarget(np.vstack([ACTIVATIONS, ACTIVATIONS + 1]))
    evidence(Cache(tmp_path), target=target).activations  # noqa: B018
    more = TinySet(n=7)
    got = evidence(Cache(tmp_path), target=target, images=more).activations
    assert sorted(more.loaded) == [5, 6] and np.allclose(got, target.table[:7])


def test_two_weights_never_share_activations(tmp_path):
    other = evidence(Cache(tmp_path), target=TinyTarget(ACTIVATIONS * 2))
    plain = evidence(Cache(tmp_path))
    assert np.allclose(other.activations, 2 * plain.activations)


def test_prob_is_the_sigmoid_and_shares_the_cached_logits(tmp_path):
    target = TinyTarget()
    logits = evidence(Cache(tmp_path), target=target).activations
    target.activation = "prob"
    assert np.allclose(evidence(Cache(tmp_path), target=target).activations, 1 / (1 + np.exp(-logits)))
    assert target.passes == 3


def test_nan_activations_stop_before_the_dissector_runs(tmp_path):
    bad, dissector = ACTIVATIONS.copy(), TinyDissector()
    bad[1, 1] = np.nan
    with pytest.raises(BadInput, match="not finite.*image 1, neuron 1"):
        Mammi()(evidence(Cache(tmp_path), target=TinyTarget(bad), dissector=dissector))
    assert not dissector.images and not list(tmp_path.rglob("*.npz")), "a NaN must not stay in the cache"


def test_template_choices(tmp_path):
    words = Mammi(template="")(evidence(Cache(tmp_path)))
    bare = np.array([np.mean([vector(i) @ vector(w) for i in ("image2", "image3")]) for w in WORDS])
    assert np.allclose(words.dense[0], bare, atol=1e-6)
    with pytest.raises(BadInput, match="spaces"):
        Mammi(template="A scan of a ")(evidence(Cache(tmp_path)))
    with pytest.raises(BadInput, match="template=5: expected a text"):
        Mammi(template=5)


def test_random_words_are_seeded_and_as_many_as_the_method_gives(tmp_path):
    like = Mammi(beta=0.2, on_nonpositive_max="top1")
    found = evidence(Cache(tmp_path))
    a, b, c = (Random(like, seed)(found) for seed in (0, 0, 1))
    assert a.concepts == b.concepts != c.concepts
    assert [len(words) for words in a.concepts] == [len(words) for words in like(found).concepts] != [1, 1, 0]
    assert a.concepts[2] == [] and a.status[2] == "dead" and all(len(set(w)) == len(w) for w in a.concepts)


class Encoder:
    fingerprint = "encoder-1"

    def __init__(self):
        self.seen = []

    def embed(self, texts):
        self.seen += texts
        return np.stack([vector(t) for t in texts])


class Projected(TinyDissector):
    """A dissector on a text encoder that others share."""

    def __init__(self, encoder, number):
        super().__init__()
        self.text_encoder, self.fingerprint, self.number = encoder, f"projected-{number}", number

    def project_texts(self, vectors):
        return np.roll(vectors, self.number, axis=1)


def test_dissectors_on_one_text_encoder_share_its_vectors(tmp_path):
    encoder = Encoder()
    a, b = (evidence(Cache(tmp_path), dissector=Projected(encoder, n)).text_embeddings(WORDS) for n in (1, 2))
    assert encoder.seen == list(WORDS) and np.allclose(np.roll(a, 1, axis=1), b)


def test_gathering_decodes_each_image_once_for_target_and_dissector(tmp_path):
    images, dissector, target = TinySet(), TinyDissector(), TinyTarget()
    parts = {"images": images, "dissector": dissector, "target": target}
    found = evidence(Cache(tmp_path), **parts)
    found.gather()
    assert images.loaded == [0, 1, 2, 3, 4] and target.passes == 3 and len(dissector.images) == 5
    assert np.allclose(found.activations, ACTIVATIONS)
    assert np.allclose(found.image_embeddings(), [vector(f"image{i}") for i in range(5)])
    evidence(Cache(tmp_path), **parts).gather(["final"])
    assert len(images.loaded) == 5, "nothing was lacking any more"


def test_gathering_computes_only_what_is_lacking(tmp_path):
    target, dissector = TinyTarget(), TinyDissector()
    evidence(Cache(tmp_path), target=target, dissector=dissector).image_embeddings([1, 3])
    evidence(Cache(tmp_path), target=target, dissector=dissector, images=TinySet(2)).activations  # noqa: B018
    assert sorted(dissector.images) == ["image1", "image3"] and target.passes == 1
    images = TinySet()
    evidence(Cache(tmp_path), target=target, dissector=dissector, images=images).gather()
    assert sorted(images.loaded) == [0, 2, 3, 4], "of image 1 both were there"
    assert sorted(dissector.images) == [f"image{i}" for i in range(5)]


def test_a_dissector_without_embeddings_is_left_out_of_gathering(tmp_path):
    found = evidence(Cache(tmp_path), dissector=TinyScorer())
    found.gather()
    assert np.allclose(found.activations, ACTIVATIONS) and not (tmp_path / "images").exists()


@pytest.mark.parametrize("part", ["method", "selection", "neither"])
def test_what_needs_every_image_is_asked_before_the_first_pass(tmp_path, part):
    class Out:
        """A run folder that keeps nothing."""

        path, settings, earlier = tmp_path, None, None

        def file(self, name):
            return tmp_path / name

        def __getattr__(self, name):
            return lambda *_, **__: None

    method, images = Mammi(), TinySet()
    method.needs_every_image = part == "method"
    selection = All() if part == "selection" else TopK(1)
    images.labels = np.nan_to_num(images.labels)
    annotate(TinyTarget(), images, tiny.TinyConcepts(), TinyDissector(), selection, Random(method),
             FinalLayer(bootstrap=10), Cache(tmp_path / "cache"), 2, Out())
    decoded = images.loaded[:7]
    assert (decoded[:5] == [0, 1, 2, 3, 4]) and (decoded[5:] == [0, 3]) == (part == "neither")
    assert (tmp_path / "neurons.png").exists()


def test_large_matrices_stay_on_disk_and_change_nothing(tmp_path, monkeypatch):
    plain = Mammi(on_nonpositive_max="top1")(evidence(Cache(tmp_path)))
    monkeypatch.setattr("mammi.cache.LARGE", 0)
    monkeypatch.setattr("mammi.selection.BLOCK", 16)
    found = evidence(Cache(tmp_path))
    for array in (found.activations, found.selected, found.image_embeddings()):
        base = array
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(base, mmap.mmap), "in a file, not in memory"
    got = Mammi(on_nonpositive_max="top1")(found)
    assert got.concepts == plain.concepts and got.scores == plain.scores and got.why == plain.why
    for some, others in zip(got.contributions, plain.contributions):
        assert [image for image, _ in some] == [image for image, _ in others]
        assert np.allclose([part for _, part in some], [part for _, part in others], atol=1e-6)
    found.target.activation = "prob"
    assert np.allclose(evidence(Cache(tmp_path), target=found.target).activations, 1 / (1 + np.exp(-ACTIVATIONS)))


@pytest.mark.fault
def test_constant_neurons_stop_before_the_dissector_runs(tmp_path):
    dissector = TinyDissector()
    with pytest.raises(BadInput, match="no image represents any neuron of final: over 5 images .* constant"):
        Mammi()(evidence(Cache(tmp_path), target=TinyTarget(np.ones((5, 3))), dissector=dissector))
    assert not dissector.images


class Many(TinySet):
    """Images whose rows are made up as they are asked for."""

    def load(self, indices, masks=False):
        return Batch((None,) * len(indices), tuple(self.ids[i] for i in indices), ())


class ManyRead(TinyTarget):
    def __init__(self):
        super().__init__(np.zeros((1, 256)))

    def read(self, batch, layers, maps=False):
        rng = np.random.default_rng(int(batch.ids[0][5:]))
        return {layer: Reading(torch.from_numpy(rng.standard_normal((len(batch), 256), np.float32)))
                for layer in layers}


def test_memory_grows_with_the_images_only_by_their_names_and_keys(tmp_path, monkeypatch):
    import tracemalloc

    for name, value in (("cache.LARGE", 2**14), ("shards.SHARD", 2**17), ("selection.BLOCK", 2**17)):
        monkeypatch.setattr(f"mammi.{name}", value)
    peaks = []
    for p in (500, 500, 4000):  # the first one imports and warms up
        found = evidence(Cache(tmp_path / str(p)), images=Many(p), target=ManyRead())
        found.batch_size = 64
        tracemalloc.start()
        Mammi(why=False)(found)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.activations.shape == (p, 256) and found.selected.sum() < 10 * 256
    matrices = 3500 * (4 * 256 + 256)
    assert peaks[2] - peaks[1] < .25 * matrices
