import numpy as np
import torch

from mammi.micn.baselines import Bottleneck, cubed_cosine, random_scores
from tests.micn.worlds import planted


def test_cubed_cosine_against_a_plain_loop():
    rng = np.random.default_rng(0)
    q, s = rng.standard_normal((30, 2)), rng.standard_normal((30, 2))
    found = cubed_cosine(torch.from_numpy(q), torch.from_numpy(s))
    for i in range(2):
        a, b = ((x[:, i] - x[:, i].mean()) / x[:, i].std() for x in (q, s))
        assert abs(found[i].item() - sum(a**3 * b**3) / np.sqrt(sum(a**6) * sum(b**6))) < 1e-12
    assert np.allclose(cubed_cosine(torch.from_numpy(q), torch.from_numpy(3 * q + 1)), 1)


def test_a_bottleneck_learns_concepts_and_leaves_out_what_cannot_be_learned():
    x, c, y = planted(900)
    scores = np.c_[c, np.random.default_rng(1).standard_normal(900)]  # the last is noise
    parts = {"train": slice(0, 600), "val": slice(600, 750)}
    model = Bottleneck({p: x[s] for p, s in parts.items()}, {p: scores[s] for p, s in parts.items()}, y[:600], 0)
    assert model.kept[:8].all() and not model.kept[8]
    said = model(x[750:])
    assert said.shape == (150, 2) and np.allclose(said.sum(1), 1) and (said.argmax(1) == y[750:]).mean() > .85
    assert model.converged
    again = Bottleneck({p: x[s] for p, s in parts.items()}, {p: scores[s] for p, s in parts.items()}, y[:600], 0)
    assert np.array_equal(again(x[750:]), said)


def test_a_classifier_that_is_not_done_says_so(monkeypatch):
    import sklearn.linear_model

    x, c, y = planted(300)
    whole = sklearn.linear_model.LogisticRegression
    monkeypatch.setattr(sklearn.linear_model, "LogisticRegression",
                        lambda **options: whole(**options | {"max_iter": 2}))
    model = Bottleneck({"train": x[:200], "val": x[200:]}, {"train": c[:200], "val": c[200:]}, y[:200], 0)
    assert not model.converged


def test_random_concepts_are_as_many_and_the_same_directions_in_all_parts():
    rows = {"train": np.eye(4), "test": np.eye(4)[::-1]}
    found = random_scores(rows, 6, 0)
    assert found["train"].shape == (4, 6) and np.array_equal(found["train"][::-1], found["test"])
    assert np.allclose(np.linalg.norm(found["train"], axis=0), 1)
    assert not np.array_equal(random_scores(rows, 6, 1)["train"], found["train"])
