"""What the terminal says of a run."""
import pandas as pd

from mammi.summary import summarise
from mammi.types import Annotations

LAYER = "features.denseblock3.denselayer16.conv2"


def test_units_of_a_layer_with_a_long_name_can_be_told_apart(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = Annotations((f"{LAYER}[7]", f"{LAYER}[8]", "Edema"), [["opacity"]] * 3, [[0.5]] * 3, ["ok"] * 3)
    names = {"target": "net", "layer": LAYER, "activation": "logit", "probing_set": "x", "concept_set": "y",
             "dissector": "z"}
    summarise(names, found, pd.DataFrame({"neuron": [0, 1, 2]}), {}, [], True, tmp_path)
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "opacity" in line]
    assert rows == ["[7]", "[8]", "Edema"]
