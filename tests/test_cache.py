import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mammi import cache, shards
from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.files import digest, replacing
from mammi.shards import Table

KEYS = [digest(i) for i in range(6)]


def table(calls, stop_after=None):
    def compute(todo, names):
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
@pytest.mark.parametrize("joined", [True, False])
def test_damaged_shard_is_recomputed(tmp_path, monkeypatch, damage, joined, caplog):
    calls = []
    with monkeypatch.context() as patch:
        if not joined:
            patch.setattr(shards, "SHARD", 0)
        Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))
    shard = sorted(tmp_path.rglob("*.npz"))[0]
    content = bytearray(shard.read_bytes())
    content[content.index(np.full(3, float(np.load(shard)["rows"][1, 0])).tobytes())] ^= 0x01
    shard.write_bytes(bytes(content) if damage is None else damage)
    rows = Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))["rows"]
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and len(calls) == 6 + (6 if joined else 2)
    assert "damaged" in caplog.text


def test_shards_that_are_damaged_at_every_attempt_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Table, "take", lambda *_: (_ for _ in ()).throw(shards.Gone))
    with pytest.raises(BadInput, match="cannot be read back, 5 times.*Check the disk"):
        Cache(tmp_path).rows({"rows": {}}, KEYS, table([]))


def test_small_shards_are_joined_when_the_computation_ends(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path).rows({"rows": {}}, KEYS, table([], stop_after=4))
    assert len(list(tmp_path.rglob("*.npz"))) == 2
    calls = []
    rows = Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))["rows"]
    assert calls == [4, 5] and rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert len(list(tmp_path.rglob("*.npz"))) == 1


def test_joined_shards_stay_within_their_limit(tmp_path, monkeypatch):
    keys = [digest(i) for i in range(400)]
    monkeypatch.setattr(shards, "SHARD", 8000)
    Cache(tmp_path).rows({"rows": {}}, keys, table([]))
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.npz")]
    assert 3 < len(sizes) < 20 and max(sizes) <= 8000, "200 shards of two rows each before"
    calls = []
    assert Cache(tmp_path).rows({"rows": {}}, keys[::-1], table(calls))["rows"][0, 0] == 399 and not calls


def test_a_crash_while_joining_loses_nothing(tmp_path, monkeypatch):
    def killed(path, **_):
        if not path.name.startswith("."):
            raise KeyboardInterrupt

    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))
    assert len(list(tmp_path.rglob("*.npz"))) == 4, "the joined shard and the three it was made of"
    rows = Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))["rows"]
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and len(calls) == 6
    Table(tmp_path, "rows", {}).join()
    assert len(list(tmp_path.rglob("*.npz"))) == 1 and len(Table(tmp_path, "rows", {}).shards[0][1]) == 6
    assert Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))["rows"][5, 0] == 5 and len(calls) == 6


def test_shards_that_another_process_joins_meanwhile_are_found_again(tmp_path, monkeypatch):
    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(Table, "join", lambda self: None)
        Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))
    take, asked = Table.take, []

    def late(self, keys, empty):
        asked.append(len(self.shards))
        if len(asked) == 1:
            Table(tmp_path, "rows", {}).join()  # what this table has listed is gone
        return take(self, keys, empty)

    monkeypatch.setattr(Table, "take", late)
    rows = Cache(tmp_path).rows({"rows": {}}, KEYS, table(calls))["rows"]
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and len(calls) == 6 and asked == [3, 1]


def test_processes_that_share_a_cache(tmp_path):
    """Four at once, each with other keys of the same table: all get their rows, and one shard remains."""
    code = """if True:
        import sys
        import numpy as np
        from mammi.cache import Cache
        from mammi.files import digest
        first = int(sys.argv[2])
        numbers = np.arange(first, first + 60)
        for _ in range(3):
            def compute(todo, names):
                for i in todo:
                    yield [i], {"rows": np.full((1, 4), float(numbers[i]))}
            rows = Cache(sys.argv[1]).rows({"rows": {}}, [digest(int(i)) for i in numbers], compute)["rows"]
            assert rows[:, 3].tolist() == numbers.tolist()
            numbers = numbers + 20
    """
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(first)], stderr=subprocess.PIPE)
               for first in (0, 30, 60, 0)]
    assert [process.communicate()[1] for process in running] == [b""] * 4
    calls = []
    rows = Cache(tmp_path).rows({"rows": {}}, [digest(i) for i in range(160)], table(calls))["rows"]
    assert rows[:, 0].tolist() == list(range(160)) and not calls


def test_large_arrays_lie_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "LARGE", 20)
    rows = Cache(tmp_path).rows({"rows": {}}, KEYS, table([]))["rows"]
    base = rows
    while not isinstance(base, mmap.mmap):
        base = base.base
    assert type(rows) is np.ndarray and rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["CACHEDIR.TAG", "rows"]
    monkeypatch.setattr(cache, "LARGE", 1000)
    assert np.array_equal(Cache(tmp_path).rows({"rows": {}}, KEYS, table([]))["rows"], rows)


@pytest.mark.fault
def test_a_full_disk_is_told_before_it_crashes(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(BadInput, match="paths.cache=.*no room for 763 MiB .*another disk"):
        Cache(tmp_path).empty((10**5, 10**3), np.float64)


def test_each_table_computes_only_what_it_lacks(tmp_path):
    seen = []

    def compute(todo, names):
        seen.append((todo.tolist(), list(names)))
        yield todo, {name: np.full((len(todo), 2), 1.0 + (name == "b")) for name in names}

    Cache(tmp_path).rows({"a": {}}, KEYS[:4], compute)
    Cache(tmp_path).fill({"b": {}}, KEYS[2:5], compute)
    got = Cache(tmp_path).rows({"a": {}, "b": {}}, KEYS, compute)
    assert seen == [([0, 1, 2, 3], ["a"]), ([0, 1, 2], ["b"]), ([0, 1], ["b"]), ([4], ["a"]), ([5], ["a", "b"])]
    assert got["a"].tolist() == [[1, 1]] * 6 and got["b"].tolist() == [[2, 2]] * 6
    Cache(tmp_path).fill({"a": {}, "b": {}}, KEYS, compute)
    assert len(seen) == 5


def test_two_tables_in_one_pass(tmp_path):
    def compute(todo, names):
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
    plain, store = {digest("k", i): rng.normal(size=4) for i in range(40)}, Cache(tmp_path)
    for _ in range(6):
        keys = rng.choice(list(plain), size=rng.integers(1, 50)).tolist()

        def compute(todo, names, keys=keys):
            for block in np.array_split(todo, 3):
                yield block, {"rows": np.array([plain[keys[i]] for i in block]).reshape(-1, 4)}

        got = store.rows({"rows": {}}, keys, compute)["rows"]
        assert np.array_equal(got, [plain[k] for k in keys])


def test_summary_tells_of_nested_tables_and_other_folders(tmp_path):
    Cache(tmp_path).rows({"activations/final": {"weights": "abc"}}, KEYS, lambda todo, names: [(todo, {
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
