"""Real images and real ImageNet weights, small: HAM10000 of the data folder, EfficientNet-Lite0 at 64 pixels."""
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mammi.backbone import efficientnet_lite0
from mammi.errors import MissingAsset
from mammi.explainer.nemt import Nemt
from mammi.probing_set.image_folder import ImageFolder
from mammi.run_folder import RunFolder
from mammi.target.base import Tap, TorchTarget
from mammi.target.transform import ResizeCrop
from mammi.task.fit_explainer import fit_explainer

DATA = os.environ.get("MAMMI_DATA")
pytestmark = pytest.mark.skipif(not DATA or not (Path(DATA) / "ham10000_subset").is_dir(),
                                reason="MAMMI_DATA names no folder with ham10000_subset")


def skin(split, limit):
    return ImageFolder(DATA, "ham10000_subset", "images", csv="labels.csv", image_column="image_id", labels_column="dx",
                       patient_column="lesion_id", split_shares={"train": .6, "val": .15, "test": .25}, split=split,
                       limit=limit, dataset="ham10000")


@pytest.mark.slow
def test_a_decoder_of_hidden_units_is_fitted_on_photographs(tmp_path):
    try:
        network = efficientnet_lite0(classes=7)
    except MissingAsset as error:
        pytest.skip(str(error))
    target = TorchTarget(network, ResizeCrop(64, 64, (.5,) * 3, (.5,) * 3),
                         {"final": Tap("classifier"), "penultimate": Tap("bn2")}, [f"class {i}" for i in range(7)],
                         "classifier", name="efficientnet_lite0", layer="penultimate")
    units, val = list(range(0, 1280, 160)), skin("val", 16)
    card = fit_explainer(target, skin("train", 96), val, RunFolder(tmp_path), epochs=16, batch_size=8, width=16,
                         units=units, weight=4.0)
    losses = card["loss_by_epoch"]
    assert np.mean(losses[-3:]) < .8 * np.mean(losses[:3])
    E = Nemt(tmp_path / "weights.safetensors")(target, target.prepare(val.load([0, 1])),
                                               [target.unit("penultimate", unit) for unit in units[:2]])
    assert E.shape == (2, 64, 64) and torch.isfinite(E).all() and E.amax() > 0
