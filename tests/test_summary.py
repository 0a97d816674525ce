"""What the terminal says of a run."""
import pandas as pd

from mammi.summary import summarise
from mammi.types import Annotations, Check, Verdict

LAYER = "features.denseblock3.denselayer16.conv2"


def test_units_of_a_layer_with_a_long_name_can_be_told_apart(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = Annotations((f"{LAYER}[7]", f"{LAYER}[8]", "Edema"), [["opacity"]] * 3, [[0.5]] * 3, ["ok"] * 3)
    names = {"target": "net", "layer": LAYER, "activation": "logit", "probing_set": "x", "concept_set": "y",
             "dissector": "z"}
    summarise(names, found, pd.DataFrame({"neuron": [0, 1, 2]}), {}, [], True, tmp_path)
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "opacity" in line]
    assert rows == ["[7]", "[8]", "Edema"]


def test_the_gate_s_verdict_and_its_warnings_are_printed(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    names = dict.fromkeys(("target", "layer", "activation", "probing_set", "concept_set"), "x") | {"dissector": "vlm"}
    found, neurons = Annotations(("a",), [["opacity"]], [[0.5]], ["ok"]), pd.DataFrame({"neuron": [0]})
    verdict = Verdict("failed", "zero-shot: [0.4, 0.5]", (Check("zero-shot", "fail", "[0.4, 0.5]", True),
                                                          Check("hubness", "fail", "one word"),
                                                          Check("template", "pass", "of no concern")))
    summarise(names, found, neurons, {}, [], True, tmp_path, verdict)
    out = capsys.readouterr().out
    assert "Gate: vlm is failed: zero-shot: [0.4, 0.5]. Its words above mean nothing here" in out
    assert "Gate, hubness: one word" in out and "of no concern" not in out and out.count("[0.4, 0.5]") == 1
    summarise(names, found, neurons, {}, [], True, tmp_path, Verdict("verified", "all met"))
    assert "Gate: vlm is verified: all met\n" in capsys.readouterr().out
