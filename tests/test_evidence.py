import numpy as np
import pytest

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.method.mammi import Mammi
from mammi.method.random import Random
from mammi.selection import Adaptive, TopK
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
