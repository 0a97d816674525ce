"""The rehearsal of the paper's run, with few images and a small MedCLIP; and the files that it is rehearsed on."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from experiments import rehearsal, stand_ins
from mammi.backbone import densenet121
from mammi.dissector.medclip_checkpoint import BERT, SWIN
from tests.dissector.test_medclip import TINY_BERT, TINY_SWIN

ROOT = Path(__file__).parents[1]


def test_the_checkpoints_have_the_true_keys(tmp_path):
    stand_ins.densenet_checkpoint(tmp_path / "densenet121.pth")
    state = torch.load(tmp_path / "densenet121.pth", weights_only=True)["state_dict"]
    assert len(state) == 727 and sum(tensor.numel() for tensor in state.values()) > 6.9e6
    densenet121(tmp_path / "densenet121.pth")
    stand_ins.medclip_checkpoint(tmp_path / "medclip.bin", TINY_BERT, TINY_SWIN, 6)
    state = torch.load(tmp_path / "medclip.bin", weights_only=True)
    wanted = stand_ins.medclip_shapes(TINY_BERT, TINY_SWIN, 6)
    assert {key: tuple(value.shape) for key, value in state.items()} == wanted
    sizes = [int(np.prod(shape)) for shape in stand_ins.medclip_shapes(BERT, SWIN, 512).values()]
    assert len(sizes) == 434 and 136e6 < sum(sizes) < 138e6


def test_the_images_are_all_different_and_made_once(tmp_path):
    names = [f"{i:08}_000.png" for i in range(30)]
    labels = np.random.default_rng(0).integers(0, 2, (30, 14))
    for _ in stand_ins.images(tmp_path / "all", names, labels, 32):
        pass
    made = {path.name: path.read_bytes() for path in (tmp_path / "all" / "images_001" / "images").iterdir()}
    assert sorted(made) == names and len(set(made.values())) == 30
    with Image.open(tmp_path / "all" / "images_001" / "images" / names[0]) as image:
        assert (image.mode, image.size) == ("L", (32, 32))
    lost = tmp_path / "all" / "images_001" / "images" / names[7]
    lost.unlink()
    for _ in stand_ins.images(tmp_path / "all", names, labels, 32):
        pass
    assert lost.read_bytes() == made[names[7]], "the same pixels, however often it was interrupted"


def test_a_label_brightens_its_place(tmp_path):
    labels = np.repeat([[0], [1]], 50, axis=0)
    for _ in stand_ins.images(tmp_path, [f"{i:08}_000.png" for i in range(100)], labels, 32):
        pass
    pixels = np.stack([np.asarray(Image.open(path)).astype(float) for path in sorted(tmp_path.rglob("*.png"))])
    assert (pixels[50:].mean(0) - pixels[:50].mean(0)).max() > 10


def test_without_the_data_folder_the_names_are_torchxrayvision_s(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MAMMI_DATA", raising=False)
    rehearsal.tables(tmp_path, 500)
    assert "instead of the official training list the first 75,312 names" in capsys.readouterr().out
    lists = [[line[:8] for line in (tmp_path / name).read_text().splitlines()] for name in rehearsal.SPLITS]
    assert len(lists[0]) == 500 and len(lists[1]) + len(lists[2]) > 36_000
    assert set(lists[1]).isdisjoint(lists[2]), "no patient in two splits"
    assert len((tmp_path / "Data_Entry_2017_v2020.csv").read_text().splitlines()) == 112_121


def test_the_paper_s_run_from_loader_to_table(tmp_path):
    command = [sys.executable, "experiments/rehearsal.py", "--images=60", "--small", f"--folder={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count(stand_ins.WARNING) == 3, "first, last and in the summary"
    folder = next(path.parent for path in tmp_path.rglob("metrics.json"))
    neurons = (folder / "neurons.csv").read_text().splitlines()
    assert len(neurons) == 15 and "Pleural thickening" in neurons[13]
    assert "Gate: medclip is failed" in done.stdout and all(line.endswith(",failed") for line in neurons[1:])
    report = (folder / "report.md").read_text()
    assert "| gate |" in report and "| failed |" in report
    assert "Synthetic images" in report and "made-up" in report and "Real images" not in report
    for stage in ("tables", "60 images", "checkpoints", "profile=paper, cold", "mammi report", "total"):
        assert stage in done.stdout.split("| stage |")[1]
