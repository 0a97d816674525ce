"""task=layers: what is listed is what reading gives, and constant or silent layers are named."""
import json

import pandas as pd
import pytest
import torch
from torch import nn

from mammi.probing_set.phantom import Phantom
from mammi.run_folder import RunFolder
from mammi.target.base import Tap, TorchTarget
from mammi.target.own_network import OwnNetwork
from mammi.target.phantom import FINDINGS, GreyInput, PhantomTarget
from mammi.target.planted import Planted
from mammi.task.layers import COLUMNS, layers
from tests.tiny import TinySet, TinyTarget


@pytest.fixture(scope="module")
def images():
    return Phantom(n=12, seed=3, boost=1)


def table_of(target, images, folder, batch_size=8):
    layers(target, images, batch_size, RunFolder(folder))
    table = pd.read_csv(folder / "layers.csv", keep_default_na=False)
    return table.set_index("layer"), json.loads((folder / "metrics.json").read_text())


def test_every_listed_layer_reads_as_listed(images, tmp_path, capsys):
    target = PhantomTarget()
    table, facts = table_of(target, images, tmp_path)
    head = capsys.readouterr().out.split("read", 1)[1].split("\n")[0]
    assert "note" not in head  # nothing to note: no column of blanks
    assert ["layer", *table.columns] == list(COLUMNS)
    names = [name for name, _ in target.module.named_modules() if name]
    assert list(table.index) == ["final", "penultimate", *names]
    assert facts == {"images": 8, "layers": len(names) + 2, "ran": len(names) + 2, "readable": len(names) + 2,
                     "constant": 0}
    got = target.read(images.load(range(8)), list(table.index))
    for name, row in table.iterrows():
        assert int(row.units) == got[name].pooled.shape[1] == len(target.neurons(name)), name
        assert int(row.constant_units) == int((got[name].pooled.std(0) == 0).sum()), name
    assert (table.loc["features", "shape"], table.loc["features", "read"]) == ("128 x 6 x 6", "mean of 6 x 6")
    assert table.loc["penultimate", "kind"] == "output of features" and table.loc["features", "kind"] == "Sequential"


class Odd(nn.Module):
    """A layer that never runs, one that returns two things, one that runs twice, windows, and zero weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act, self.never = nn.Conv2d(1, 4, 5, 4), nn.ReLU(), nn.Linear(2, 2)
        self.pair, self.windows, self.frozen = Pair(), nn.Identity(), nn.Conv2d(1, 2, 1)
        self.fc = nn.Linear(4, 3)
        nn.init.zeros_(self.frozen.weight)

    def forward(self, x):
        self.frozen(x)
        y = self.act(self.act(self.conv(x)))
        self.windows(y.reshape(-1, 4, 1, 1))
        return self.fc(self.pair(y)[0].mean((2, 3)))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_silent_constant_and_unreadable_layers_are_named(images, tmp_path):
    target = TorchTarget(Odd(), GreyInput(), {"final": Tap("fc")}, "abc", name="odd")
    table, facts = table_of(target, images, tmp_path)
    assert table.note.to_dict() == {
        "final": "", "conv": "", "act": "", "never": "never ran", "pair": "it returns tuple",
        "windows": table.loc["windows", "note"], "frozen": "constant", "fc": ""}
    assert "for 8 images" in table.loc["windows", "note"]
    assert table.runs.astype(int).to_dict() == {"final": 1, "conv": 1, "act": 2, "never": 0, "pair": 1, "windows": 1,
                                                "frozen": 1, "fc": 1}
    assert (facts["layers"], facts["ran"], facts["readable"], facts["constant"]) == (8, 7, 5, 1)
    assert not any(m._forward_hooks for m in target.module.modules())


@pytest.mark.fault
def test_a_network_of_another_pixel_range_is_listed_with_a_warning(images, tmp_path, capsys):
    network = PhantomTarget().module
    with torch.no_grad():
        network.features.norm0.running_var *= 1e5
    table_of(OwnNetwork(network, None, FINDINGS, size=96, mean=.45, sd=.25), images, tmp_path)
    notes = json.loads((tmp_path / "run.json").read_text())["notes"]
    assert "another range" in notes[0] and "another range" in " ".join(capsys.readouterr().out.split())


def test_one_image_tells_nothing_about_constancy(images, tmp_path):
    table, facts = table_of(PhantomTarget(), images, tmp_path, batch_size=1)
    assert facts["images"] == 1 and set(table.constant_units) == {""} and set(table.note) == {""}
    assert "one image cannot show" in json.loads((tmp_path / "run.json").read_text())["notes"][0]


@pytest.mark.parametrize("target, units", [(Planted(FINDINGS), 14), (TinyTarget(), 3)])
def test_targets_that_are_no_torch_networks_have_one_layer(images, tmp_path, target, units, capsys):
    table, facts = table_of(target, images if units == 14 else TinySet(), tmp_path)
    assert list(table.index) == ["final"] and int(table.loc["final", "units"]) == units and facts["layers"] == 1
    assert "is no torch network: final is its only layer" in " ".join(capsys.readouterr().out.split())
