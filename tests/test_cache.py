import numpy as np
import pytest

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.files import digest, replacing

KEYS = [digest(i) for i in range(6)]


def table(calls, stop_after=None):
    def compute(todo):
        for start in range(0, len(todo), 2):
            if stop_after is not None and start >= stop_after:
                raise KeyboardInterrupt
            block = todo[start:start + 2]
            calls.extend(block.tolist())
            yield block, {"rows": np.stack([np.full(3, float(i)) for i in block])}
    return compute


def test_second_time_computes_nothing_and_keeps_the_order(tmp_path):
    calls = []
    first = Cache(tmp_path).rows({"rows": {"weights": 1}}, KEYS, table(calls))["rows"]
    again = Cache(tmp_path).rows({"rows": {"weights": 1}}, KEYS[::-1], table(calls))["rows"]
    assert calls == list(range(6))
    assert first[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and np.array_equal(again, first[::-1])


def test_other_inputs_never_share_rows(tmp_path):
    calls = []
    for weights in (1, 2):
        Cache(tmp_path).rows({"rows": {"weights": weights}}, KEYS, table(calls))
    assert len(calls) == 12


def test_only_new_keys_are_computed(tmp_path):
    calls = []
    Cache(tmp_path).rows({"rows": {}}, KEYS[:4], table(calls))
    Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))
    assert calls == [0, 1, 2, 3, 4, 5]


def test_repeated_keys_are_computed_once(tmp_path):
    calls = []
    rows = Cache(tmp_path).rows({"rows": {}}, [KEYS[0], KEYS[1], KEYS[0]], table(calls))["rows"]
    assert calls == [0, 1] and rows[:, 0].tolist() == [0, 1, 0]


def test_interrupted_run_goes_on_where_it_stopped(tmp_path):
    calls = []
    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls, stop_after=4))
    Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))
    assert calls == [0, 1, 2, 3, 4, 5]
    assert not list(tmp_path.rglob("*.part.*"))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_damaged_shard_is_recomputed(tmp_path, damage, caplog):
    calls = []
    Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))
    shard = sorted(tmp_path.rglob("*.npz"))[0]
    content = bytearray(shard.read_bytes())
    content[content.index(np.full(3, float(np.load(shard)["rows"][1, 0])).tobytes())] ^= 0x01
    shard.write_bytes(bytes(content) if damage is None else damage)
    rows = Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))["rows"]
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and len(calls) == 8
    assert "damaged" in caplog.text


def test_two_tables_in_one_pass(tmp_path):
    def compute(todo):
        yield todo, {"a": np.ones((len(todo), 2)), "b": np.full((len(todo), 1), 7.0)}

    got = Cache(tmp_path).rows({"a": {}, "b": {}}, KEYS, compute)
    assert got["a"].shape == (6, 2) and got["b"].shape == (6, 1)


def test_json_is_computed_once_and_again_when_damaged(tmp_path):
    calls = []
    for _ in range(2):
        assert Cache(tmp_path).json("words", {"x": 1}, lambda: calls.append(1) or ["a"]) == ["a"]
    next(tmp_path.rglob("*.json")).write_text("{")
    assert Cache(tmp_path).json("words", {"x": 1}, lambda: calls.append(1) or ["a"]) == ["a"]
    assert len(calls) == 2


def test_replacing_leaves_nothing_half_written(tmp_path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "x") as part:
        part.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "old"


def test_digest_tells_shapes_types_and_borders_apart():
    values = [("ab", "c"), ("a", "bc"), (np.zeros(2),), (np.zeros((2, 1)),), (np.zeros(2, np.float32),), (b"",), ("",)]
    assert len({digest(*v) for v in values}) == len(values)


@pytest.mark.parametrize("seed", range(5))
def test_rows_against_a_plain_dictionary(tmp_path, seed):
    rng = np.random.default_rng(seed)
    plain, cache = {digest("k", i): rng.normal(size=4) for i in range(40)}, Cache(tmp_path)
    for _ in range(6):
        keys = rng.choice(list(plain), size=rng.integers(1, 50)).tolist()

        def compute(todo, keys=keys):
            for block in np.array_split(todo, 3):
                yield block, {"rows": np.array([plain[keys[i]] for i in block]).reshape(-1, 4)}

        got = cache.rows({"rows": {}}, keys, compute)["rows"]
        assert np.array_equal(got, [plain[k] for k in keys])


def test_summary_tells_of_nested_tables_and_other_folders(tmp_path):
    Cache(tmp_path).rows({"activations/final": {"weights": "abc"}}, KEYS, lambda todo: [(todo, {
        "activations/final": np.ones((len(todo), 2))})])
    (tmp_path / "models" / "x").mkdir(parents=True)
    (tmp_path / "models" / "x" / "weights").write_bytes(b"1234")
    found = {name.split("/")[0]: (inputs, files) for name, inputs, files, _ in Cache(tmp_path).summary()}
    assert "abc" in found["activations"][0] and found["activations"][1] == 1 and found["models"][1] == 1
    with pytest.raises(BadInput, match="no cache at"):
        Cache(tmp_path / "nowhere").summary()


def test_only_a_cache_is_ever_cleared(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="nothing was deleted"):
        Cache(tmp_path).clear()
    assert (tmp_path / "thesis.txt").exists()
    Cache(tmp_path / "cache").json("words", {}, lambda: ["a"])
    Cache(tmp_path / "cache").clear()
    assert not (tmp_path / "cache").exists() and (tmp_path / "thesis.txt").exists()
