"""What embeddings must be before they can mean anything, and golden ones."""
import json

import numpy as np
import pytest

from mammi.errors import BadInput, MissingAsset
from mammi.gate import geometry
from mammi.gate.golden import golden, read


def units(n=30, d=8, seed=0, about=None, spread=1.):
    rows = spread * np.random.default_rng(seed).standard_normal((n, d)) + (0 if about is None else about)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_mean_cosine_is_that_of_all_pairs():
    rows = units(7)
    pairs = [float(rows[i].astype(float) @ rows[j]) for i in range(7) for j in range(7) if i != j]
    assert geometry.mean_cosine(rows) == pytest.approx(np.mean(pairs), abs=1e-6)


def test_good_embeddings_pass():
    rows = units()
    assert geometry.norms(rows, rows, "image").state == geometry.spread(rows, "image").state == "pass"
    assert geometry.anisotropy(rows, "image").state == "pass"


@pytest.mark.fault
@pytest.mark.parametrize("broken", [lambda r: 2 * r, lambda r: r * [[np.nan]], lambda r: np.where(r > .5, np.inf, r),
                                    lambda r: np.roll(r, 1, axis=0), lambda r: -r])
def test_wrong_norms_and_second_passes_fail(broken):
    check = geometry.norms(broken(units()), units(), "text")
    assert check.state == "fail" and check.decisive


@pytest.mark.fault
def test_constant_and_repeated_embeddings_fail():
    constant = units(about=1., spread=1e-3)
    assert geometry.spread(constant, "image").state == "fail", "all but constant"
    assert geometry.spread(np.repeat(units(1), 20, axis=0), "image").state == "fail"
    assert geometry.spread(np.repeat(units(4), 5, axis=0), "image").state == "fail", "twenty inputs, four vectors"
    assert geometry.spread(units(1), "image").state == "unknown"


def test_a_narrow_cone_is_a_warning():
    check = geometry.anisotropy(units(about=5.), "image")
    assert check.state == "fail" and not check.decisive and check.numbers["mean_cosine"] > .95
    assert geometry.spread(units(about=5.), "image").state == "pass"


def test_scores_of_a_scorer_must_vary():
    scores = np.random.default_rng(0).random((20, 5))
    assert geometry.score_spread(scores).state == "pass"
    for broken in (np.repeat(scores[:1], 20, axis=0), np.repeat(scores[:, :1], 5, axis=1), scores * np.nan):
        assert geometry.score_spread(broken).state == "fail"
    assert geometry.score_spread(scores[:, :1]).state == "unknown", "one text"


def test_golden_embeddings_within_the_tolerance():
    known = {"images": units(3).tolist(), "texts": units(2, seed=1).tolist()}
    near = {part: (np.array(rows) + 5e-4).tolist() for part, rows in known.items()}
    far = known | {"texts": (np.array(known["texts"]) + .01).tolist()}
    assert golden(near, known, 1e-3, "a card").state == "pass"
    check = golden(far, known, 1e-3, "a card")
    assert check.state == "fail" and check.decisive and check.numbers["difference"] == pytest.approx(.01)
    assert golden(known, None, 1e-3, "a card").state == "unknown"
    older = golden(known, {"images": known["images"][:2], "texts": known["texts"]}, 1e-3, "a card")
    assert older.state == "unknown" and "other images and texts" in older.says
    for other in ({"scores": [[1., 2.]] * 3}, known | {"scores": [[1., 2.]] * 3}, {"images": known["images"]},
                  known | {"texts": np.array(known["texts"])[:, :4].tolist()}):
        check = golden(known, other, 1e-3, "a card")
        assert check.state == "fail" and check.decisive and "another model" in check.says
    broken = known | {"images": [[float("nan")] * 8] * 3}
    assert golden(broken, known, 1e-3, "a card").state == "fail"


@pytest.mark.fault
def test_a_file_that_holds_none(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"images": [[1, 0]]}))
    assert read(tmp_path / "a.json") == {"images": [[1., 0.]]}
    with pytest.raises(MissingAsset, match="gate.golden=.*no such file"):
        read(tmp_path / "b.json")
    for content in ("{", "[1]", '{"images": "none"}', '{"images": [[1], [1, 2]]}', "{}"):
        (tmp_path / "c.json").write_text(content)
        with pytest.raises(BadInput, match="golden.json of a run|is no golden.json"):
            read(tmp_path / "c.json")
