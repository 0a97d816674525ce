import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammi import annotate, matching
from mammi.errors import BadInput
from mammi.selection import TopK
from tests.tiny import vector

# protocol.md A.5
IMAGES = np.array([[1, 0], [0.8, 0.6]])
TEXTS = np.array([[1, 0], [0.6, 0.8], [0, 1]])
TEMPLATE = np.array([0, 1])


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5)


def slowly(activations, images, texts, template, alpha, beta):
    """Eq. (1) and (2) in Python floats: [(word index, score), ...] per neuron."""
    found = []
    for neuron in zip(*activations.tolist()):
        high, low = max(neuron), min(neuron)
        chosen = [v for a, v in zip(neuron, images.tolist()) if a > high - (1 - alpha) * (high - low)]
        scores = []
        for t in texts.tolist():
            per_image = [cosine(v, t) - (0 if template is None else cosine(v, template.tolist())) for v in chosen]
            scores.append(sum(per_image) / len(per_image) if per_image else 0.0)
        passed = [(j, s) for j, s in enumerate(scores) if chosen and s > beta * max(scores)]
        found.append(sorted(passed, key=lambda p: (-p[1], p[0])))
    return found


def world(seed, p=5, n=3, c=6, d=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(p, n)), rng.normal(size=(p, d)), rng.normal(size=(c, d)), rng.normal(size=d)


def test_golden_values_of_eq_2():
    both = np.array([[True], [True]])
    means = matching.mean_rows(IMAGES, np.arange(2), both)
    raw = matching.products(means, TEXTS.astype(np.float32))
    assert np.allclose(raw, [[0.9, 0.78, 0.3]])
    scores = raw - matching.products(means, TEMPLATE[None].astype(np.float32))
    assert np.allclose(scores, [[0.6, 0.48, 0]], atol=1e-7)
    assert [c.tolist() for c in matching.choose(scores, 0.95)] == [[0]]


@pytest.mark.parametrize("scores, chosen", [([0.10, 0.096, 0.095, 0.094, -0.2], [0, 1]), ([-0.1, -0.2], []),
                                            ([0, -0.1], [])])
def test_golden_values_of_the_beta_rule(scores, chosen):
    assert matching.choose(np.array([scores]), 0.95)[0].tolist() == chosen


def test_nonpositive_maximum_can_keep_its_best():
    assert matching.choose(np.array([[-0.2, -0.1]]), 0.95, "top1")[0].tolist() == [1]


def test_ties_go_to_the_lower_concept():
    assert matching.choose(np.array([[0.5, 1.0, 1.0, 0.99]]), 0.95)[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("with_template", [True, False])
def test_closed_form_equals_the_per_image_loop(seed, with_template):
    a, v, t, tem = world(seed)
    tem = tem if with_template else None
    words = [f"w{j}" for j in range(len(t))]
    got = annotate(a, v, t, words, tem, alpha=0.6, beta=0.8)
    expected = slowly(a, v, t, tem, 0.6, 0.8)
    assert got.concepts == [[words[j] for j, _ in row] for row in expected]
    for scores, row in zip(got.scores, expected):
        assert np.allclose(scores, [s for _, s in row], atol=1e-6)


@given(st.integers(0, 10_000))
def test_template_never_changes_the_order(seed):
    a, v, t, tem = world(seed)
    words = list("abcdef")
    with_it, without = (annotate(a, v, t, words, x, alpha=0.5) for x in (tem, None))
    assert np.array_equal(with_it.dense.argmax(1), without.dense.argmax(1))
    assert np.allclose(np.diff(with_it.dense, axis=1), np.diff(without.dense, axis=1), atol=1e-6)


@given(st.integers(0, 10_000), st.floats(0.1, 50))
def test_embeddings_of_any_norm(seed, factor):
    a, v, t, tem = world(seed)
    assert annotate(a, v, t, "abcdef", tem).concepts == annotate(a, v * factor, t / factor, "abcdef", tem * 3).concepts


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_permuting_neurons_and_concepts_permutes_the_result(seed, random):
    a, v, t, tem = world(seed)
    words, order, perm = list("abcdef"), [2, 0, 1], list(range(6))
    random.shuffle(perm)
    plain = annotate(a, v, t, words, tem)
    mixed = annotate(a[:, order], v, t[perm], [words[j] for j in perm], tem)
    assert mixed.concepts == [plain.concepts[i] for i in order]


def test_notebook_door():
    import torch

    a, v, t, tem = world(0)
    got = annotate(torch.tensor(a), torch.tensor(v), torch.tensor(t), list("abcdef"), selection=TopK(2))
    assert got.selected.sum(0).tolist() == [2, 2, 2] and got.selected.dtype == bool
    frame = got.to_frame()
    assert list(frame.columns) == ["neuron", "name", "rank", "concept", "score"]
    assert frame.concept[0] == got.concepts[0][0] and frame["rank"].min() == 1


def test_dead_neuron_gets_no_word():
    a, v, t, tem = world(0)
    a[:, 1] = 4.0
    got = annotate(a, v, t, list("abcdef"))
    assert got.concepts[1] == [] and got.status[1] == "dead" and got.status[0] != "dead"


def test_dead_neuron_gets_no_word_under_any_selection():
    a, v, t, _ = world(0)
    a[:, 1] = 4.0
    got = annotate(a, v, t, list("abcdef"), selection=lambda a: a > 0)
    assert got.concepts[1] == [] and got.status[1] == "dead"


def test_small_floats_and_torch_selections():
    import torch

    a, v, t, _ = world(0)
    got = annotate(torch.tensor(a).bfloat16(), torch.tensor(v).half(), torch.tensor(t), list("abcdef"),
                   selection=lambda a: torch.tensor(a) > 0)
    assert got.selected.dtype == bool and got.selected.any()


@pytest.mark.parametrize("change, words", [
    (dict(beta=95), "0.95"), (dict(alpha=93), "0.93"), (dict(words=list("abc")), "3 words but 6"),
    (dict(image_embeddings=np.ones((4, 4))), "5 rows of activations but 4"),
    (dict(text_embeddings=np.ones((6, 3))), "4 dimensions, text embeddings 3"),
    (dict(text_embeddings=np.zeros((6, 4))), "row 0 has norm 0.0"),
    (dict(activations=np.full((5, 3), np.nan)), "not finite"),
    (dict(selection=lambda a: a), "expected bool"), (dict(words=list("abcdea")), "words repeat: a"),
    (dict(activations=np.full((5, 3), np.nan), selection=lambda a: a > 0), "not finite"),
    (dict(activations=np.ones(5), selection=lambda a: a > 0), "images, neurons"),
    (dict(template_embedding=np.ones(3)), "expected one of 4"),
    (dict(template_embedding=np.ones((2, 4))), "expected one of 4")])
def test_bad_input_is_named(change, words):
    a, v, t, _ = world(0)
    good = dict(activations=a, image_embeddings=v, text_embeddings=t, words=list("abcdef"))
    with pytest.raises(BadInput, match=words):
        annotate(**{**good, **change})


def leave_one_out(parts):
    """Top word after each image is left out (ties to the lower index), by brute force."""
    return [int(np.argmax(np.delete(parts, k, axis=0).astype(np.float64).mean(0))) for k in range(len(parts))]


@pytest.mark.parametrize("seed", range(40))
def test_pivotal_image_against_leaving_each_out(seed):
    rng = np.random.default_rng(seed)
    images = np.stack([vector((seed, "v", k)) for k in range(rng.integers(2, 7))])
    parts = images @ np.stack([vector((seed, "t", j)) for j in range(30)]).T
    row = parts.mean(0)
    best = int(row.argmax())
    candidates = matching.could_overtake(row, best, len(parts))
    found = matching.pivotal(row, parts[:, candidates], best, candidates)
    changed = [k for k, top in enumerate(leave_one_out(parts)) if top != best]
    assert (found is None) == (not changed)
    if found:
        assert found[0] in changed and leave_one_out(parts)[found[0]] == found[1]


def test_a_single_image_is_always_pivotal():
    row = np.array([0.1, 0.3])
    assert matching.pivotal(row, row[None], 1, np.array([0, 1])) == (0, None)


def test_runner_up_is_the_best_unchosen():
    assert matching.runner_up(np.array([0.5, 0.2, 0.4]), [0]) == (2, 0.4)
    assert matching.runner_up(np.array([0.5]), [0])[0] is None


def test_mean_rows_with_neurons_without_images():
    selected = np.array([[True, False, True], [True, False, False], [False, False, False], [True, False, True]])
    rows = np.arange(8.0).reshape(4, 2)
    got = matching.mean_rows(rows[[0, 1, 3]], np.array([0, 1, 3]), selected)
    assert np.allclose(got, [rows[[0, 1, 3]].mean(0), [0, 0], rows[[0, 3]].mean(0)])
    with pytest.raises(ValueError, match="leave out"):
        matching.mean_rows(rows[[0, 1]], np.array([0, 1]), selected)


@pytest.mark.parametrize("size", [1, 300, 10**9])
def test_means_are_the_same_bits_in_any_number_of_blocks(monkeypatch, size):
    from scipy.sparse import csr_array

    rng = np.random.default_rng(0)
    rows, selected = rng.standard_normal((60, 5), np.float32), rng.random((90, 7)) < .4
    positions = np.flatnonzero(selected.any(1))[:60]
    selected[np.setdiff1d(np.arange(90), positions)] = False
    rows = rows[:len(positions)]
    chosen = selected[positions]
    whole = csr_array(chosen.T, dtype=np.float64) @ rows.astype(np.float64)
    monkeypatch.setattr("mammi.selection.BLOCK", size)
    got = matching.mean_rows(rows, positions, selected)
    assert np.array_equal(got, (whole / chosen.sum(0)[:, None]).astype(np.float32))
