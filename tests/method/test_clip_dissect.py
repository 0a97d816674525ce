"""CLIP-Dissect's five functions against the protocol's golden values and against plain loops in float64."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammi import selection
from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.image_text import Products, highest
from mammi.method.clip_dissect import (
    MEASURES,
    ClipDissect,
    cos_similarity,
    cos_similarity_cubed,
    rank_reorder,
    soft_wpmi,
    wpmi,
)
from tests.tiny import TinyDissector, TinyScorer, TinySet, TinyTarget, evidence, vector

# protocol.md C.2
P = np.array([[.30, .20, .10], [.25, .22, .15], [.10, .30, .20], [.12, .18, .33]])
Q = np.array([[3, 0], [2, .1], [0, 1], [.5, 2]])
GOLDEN = [
    (soft_wpmi, {"top_k": 2}, [[.663387, -.122714, -1.798396], [-2.836282, .109288, .606737]]),
    (wpmi, {"top_k": 2}, [[-.601124, -.905936, -1.194849], [-1.280293, -.805104, -.654018]]),
    (cos_similarity, {}, [[.953632, .676138, .493441], [.387713, .663636, .917848]]),
    (cos_similarity_cubed, {}, [[.989686, -.217612, -.404945], [-.457039, -.080889, .988320]])]
FEW = {"soft_wpmi": {"top_k": 3}, "wpmi": {"top_k": 2}, "rank_reorder": {"top_fraction": 0.6}}


def order(values):
    """Positions from the highest value down, ties by position."""
    return sorted(range(len(values)), key=lambda k: (-values[k], k))


def information(p, q, k, a, lam, term):
    """L - lam * (logsumexp over neurons - log N) of sums of ``term(rank, G)`` over the k highest images."""
    g = [[math.exp(a * x) / sum(math.exp(a * y) for y in row) for x in row] for row in p]
    own = [[sum(term(r, g[image][j]) for r, image in enumerate(order(neuron)[:k])) for j in range(len(p[0]))]
           for neuron in zip(*q)]
    high = [max(column) for column in zip(*own)]
    shared = [h + math.log(sum(math.exp(x - h) for x in column) / len(own)) for h, column in zip(high, zip(*own))]
    return [[x - lam * y for x, y in zip(row, shared)] for row in own]


def slow_soft_wpmi(p, q, top_k=3, a=10, lam=1):
    def term(r, g):
        return math.log(1 + (.998 - r / top_k * (.998 - .97)) * (g - 1) + 1e-7)

    return information(p, q, top_k, a, lam, term)


def slow_wpmi(p, q, top_k=2, a=2, lam=.6):
    return information(p, q, top_k, a, lam, lambda _, g: math.log(g + 1e-7))


def slow_rank_reorder(p, q, top_fraction=0.6, power=3, scale=.5, seed=0):
    n = int(top_fraction * len(p))
    rng = np.random.default_rng(seed)
    shuffles = [rng.permutation(n) for _ in range(5)]
    out = []
    for neuron in zip(*q):
        top = order(neuron)[:n]
        high = [neuron[k] for k in top]
        base = sum(abs(high[r] - high[s[r]]) ** power for s in shuffles for r in range(n)) / (5 * n) or 1
        out.append([])
        for concept in zip(*p):
            said = [concept[k] for k in top]
            rank = {r: place for place, r in enumerate(sorted(range(n), key=lambda r: (said[r], r)))}
            error = sum(abs(high[r] - high[n - 1 - rank[r]]) ** power for r in range(n)) / n
            out[-1].append(-error / base / max(sum(said) / n, 1e-6) ** scale)
    return out


def slow_cos_similarity(p, q, prepare=lambda x: x, least=1e-30):
    def unit(column):
        x = prepare(column)
        return [v / max(math.sqrt(sum(w * w for w in x)), least) for v in x]

    return [[sum(x * y for x, y in zip(unit(neuron), unit(concept))) for concept in zip(*p)] for neuron in zip(*q)]


def slow_cos_similarity_cubed(p, q):
    return slow_cos_similarity(p, q, lambda x: [(v - sum(x) / len(x)) ** 3 for v in x], 1e-3)


def world(seed, p=5, n=3, c=6):
    """Cosines of both signs and activations with a tie."""
    rng = np.random.default_rng(seed)
    similarity, activations = rng.uniform(-.4, .6, (p, c)), rng.normal(size=(p, n))
    activations[1] = activations[0]
    return similarity, activations


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("measure, constants, scores", GOLDEN, ids=lambda x: getattr(x, "__name__", None))
def test_golden_values(measure, constants, scores, dtype):
    got = measure(P.astype(dtype), Q, **constants)
    assert got.dtype == (np.float64 if "wpmi" in measure.__name__ else dtype)
    assert np.allclose(got, scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MEASURES)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4), c=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_the_same_as_a_plain_loop(name, seed, n, c):
    similarity, activations = world(seed, 5, n, c)
    slow = globals()[f"slow_{name}"](similarity.tolist(), activations.tolist())
    got = MEASURES[name](similarity, activations, **FEW.get(name, {}))
    assert got.shape == (n, c) and np.allclose(got, slow, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", MEASURES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_order_of_neurons_and_concepts_does_not_matter(name, seed):
    similarity, activations = world(seed)
    rng = np.random.default_rng(seed)
    neurons, concepts = rng.permutation(3), rng.permutation(6)
    plain = MEASURES[name](similarity, activations, **FEW.get(name, {}))
    moved = MEASURES[name](similarity[:, concepts], activations[:, neurons], **FEW.get(name, {}))
    assert np.allclose(moved, plain[np.ix_(neurons, concepts)], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_dead_neurons_and_constant_or_negative_columns_give_numbers(name):
    similarity, activations = world(1)
    similarity[:, 0], similarity[:, 1], similarity[:, 2] = 0, -.3, -np.abs(similarity[:, 2])
    activations[:, 0], activations[:, 1] = 0, 7
    for dtype in (np.float64, np.float32):
        got = MEASURES[name](similarity.astype(dtype), activations, **FEW.get(name, {}))
        assert np.isfinite(got).all()
    if name == "cos_similarity_cubed":
        assert not got[:2].any() and not got[:, :2].any()


def test_of_negative_concepts_the_one_in_the_right_order_wins():
    activations = np.arange(6.0)[:, None]
    similarity = np.stack([-activations[:, 0] - 1, activations[:, 0] - 9, activations[[0, 2, 1, 3, 5, 4], 0]], 1)
    scores = rank_reorder(similarity, activations, top_fraction=1)[0]
    assert scores.argmax() == 1 and scores[1] == 0 > scores[2] > scores[0]


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("p, k", [(5, 3), (40, 2)])
def test_blocks_and_cosines_on_the_fly_change_nothing(name, p, k, monkeypatch):
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(n, 8)).astype(np.float32) for n in (p, 30))
    images, texts = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts))
    activations = rng.normal(size=(p, 3))
    constants = {"top_k": k} if "wpmi" in name else FEW.get(name, {})
    whole = MEASURES[name](images @ texts.T, activations, **constants)
    monkeypatch.setattr(selection, "BLOCK", 8 * p * 7)
    for similarity in (images @ texts.T, Products(images, texts)):
        assert np.allclose(MEASURES[name](similarity, activations, **constants), whole, rtol=1e-5, atol=1e-5)


def test_many_images_keep_the_products_in_range():
    """Sums of 400 logarithms, some of certain concepts (G = 1): no factor may be lost to over- or underflow."""
    rng = np.random.default_rng(0)
    similarity, activations = rng.uniform(-.5, .5, (400, 4)), rng.normal(size=(400, 2))
    similarity[::2, 0] = 30
    for measure, slow in ((soft_wpmi, slow_soft_wpmi), (wpmi, slow_wpmi)):
        right = np.array(slow(similarity.tolist(), activations.tolist(), top_k=300, lam=.5))
        assert np.allclose(measure(similarity, activations, top_k=300, lam=.5), right, rtol=1e-9, atol=1e-9)
        single = measure(similarity.astype(np.float32), activations, top_k=300, lam=.5)
        assert np.allclose(single, right, rtol=1e-5, atol=1e-3)


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=12), st.data())
def test_the_highest_images_are_a_stable_order(values, data):
    k = data.draw(st.integers(1, len(values)))
    assert highest(np.array(values, float)[:, None], k)[:, 0].tolist() == order(values)[:k]


def test_a_seed_is_the_same_permutations():
    similarity, activations = world(3, 30)
    first, again, other = (rank_reorder(similarity, activations, .5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.allclose(first, other)
    assert np.array_equal(first, rank_reorder(similarity, activations, .5, seed=np.random.default_rng(1)))


def test_one_neuron_is_its_own_marginal():
    similarity, activations = world(2, n=1)
    assert not soft_wpmi(similarity, activations, top_k=2).any()
    assert soft_wpmi(similarity, activations, top_k=2, lam=0).any()


@pytest.mark.fault
@pytest.mark.parametrize("name, told", [("soft_wpmi", "method.top_k=100, but there are only 5 images"),
                                        ("wpmi", "method.top_k=28, but there are only 5 images"),
                                        ("rank_reorder", "5% of 5 images")])
def test_too_few_images(name, told):
    with pytest.raises(BadInput, match=told):
        MEASURES[name](*world(0))


@pytest.mark.fault
@pytest.mark.parametrize("name", MEASURES)
def test_what_does_not_fit_or_is_not_finite(name):
    similarity, activations = world(0)
    with pytest.raises(BadInput, match="5 images in image_text_similarity, 4 in activations"):
        MEASURES[name](similarity, activations[:4])
    with pytest.raises(BadInput, match="two dimensions"):
        MEASURES[name](similarity[:, :0], activations)
    bad = similarity.copy()
    bad[order(activations[:, 0].tolist())[0], 2] = np.nan
    with pytest.raises(BadInput, match="image_text_similarity is not finite"):
        MEASURES[name](bad, activations, **FEW.get(name, {}))
    with pytest.raises(BadInput, match="activations are not finite"):
        MEASURES[name](similarity, activations * np.inf, **FEW.get(name, {}))


@pytest.mark.fault
@pytest.mark.parametrize("options, told", [
    ({"similarity": "soft_pmi"}, "Did you mean soft_wpmi"), ({"similarity": "cos_similarity", "top_k": 5}, "no such"),
    ({"top_k": 2.5}, "method.top_k=2.5"), ({"top_k": 0}, "method.top_k=0"), ({"words": 0}, "method.words"),
    ({"lam": "much"}, "method.lam"), ({"similarity": "rank_reorder", "a": 3}, "method.a=3")])
def test_bad_options(options, told):
    with pytest.raises(BadInput, match=told):
        ClipDissect(**options)


@pytest.mark.fault
def test_a_run_with_too_few_images_names_the_option(tmp_path):
    with pytest.raises(BadInput, match="method.top_k=100, but there are only 5 images"):
        ClipDissect()(evidence(Cache(tmp_path)))
    with pytest.raises(BadInput, match="spaces at an end"):
        ClipDissect(top_k=2, template="a ")(evidence(Cache(tmp_path)))
    dead = evidence(Cache(tmp_path), target=TinyTarget(np.ones((5, 2))))
    with pytest.raises(BadInput, match="every neuron is constant"):
        ClipDissect(top_k=2)(dead)


@pytest.mark.parametrize("dissector", [TinyDissector, TinyScorer])
@pytest.mark.parametrize("template, prompt", [("", "{}"), ("An image of", "An image of {}"),
                                              (None, "A picture of a {}")])
def test_words_of_a_run(dissector, template, prompt, tmp_path):
    found = evidence(Cache(tmp_path), dissector=dissector())
    got = ClipDissect(top_k=2, words=2, template=template)(found)
    words = found.concepts.words
    similarity = [[float(vector(i) @ vector(prompt.format(w))) for w in words] for i in TinySet().ids]
    right = slow_soft_wpmi(similarity, found.activations[:, :2].tolist(), top_k=2)  # without the dead one
    assert np.allclose(got.dense[:2], right, atol=1e-5) and not got.dense[2].any()
    assert got.concepts[:2] == [[words[j] for j in order(row)[:2]] for row in right]
    assert got.scores[0] == sorted(got.scores[0], reverse=True) and got.concepts[2] == got.scores[2] == []
    assert got.status == ["ok", "ok", "dead"] and got.vocabulary == words
    assert [np.flatnonzero(column).tolist() for column in got.selected.T] == [[2, 3], [0, 4], []]


def test_ties_go_to_the_first_word(tmp_path):
    found = evidence(Cache(tmp_path), dissector=Same())
    for name in MEASURES:
        if name == "rank_reorder":
            continue  # five images are too few
        got = ClipDissect(name, top_k=2 if "wpmi" in name else None, words=9)(found)
        assert got.concepts[:2] == [list(found.concepts.words)] * 2
        assert (got.selected is None) == ("wpmi" not in name)


class Same(TinyDissector):
    """Every text is the same one."""

    def embed_texts(self, texts):
        return np.stack([vector("one")] * len(texts))


def test_a_single_living_neuron_still_gets_its_word(tmp_path):
    one = TinyTarget(np.array([[0, 1], [3, 1], [2, 1], [1, 1], [0.5, 1]]))
    found = evidence(Cache(tmp_path), target=one)
    got = ClipDissect(top_k=2)(found)
    similarity = [[float(vector(i) @ vector(w)) for w in found.concepts.words] for i in TinySet().ids]
    right = slow_soft_wpmi(similarity, found.activations[:, :1].tolist(), top_k=2, lam=0)
    assert np.allclose(got.dense[:1], right, atol=1e-5) and got.concepts[1] == []
    assert got.concepts[0] == [found.concepts.words[int(np.argmax(right))]]
