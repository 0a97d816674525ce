"""Published beside obtained: only finished runs of the table on real images count, and what lacks is named."""
import csv
import json

import pytest

from mammi.errors import BadInput
from mammi.tables.micn import MODELS, PUBLISHED, SETS, cells, main


def run(folder, probing_set="kermany", target="resnet50_imagenet", name="micn_table", synthetic=False, accuracy=.8,
        mode="fixed"):
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({
        "name": name, "synthetic": synthetic, "choices": {"probing_set": probing_set, "target": target},
        "overrides": [], "mode": mode}))
    (folder / "metrics.json").write_text(json.dumps({"accuracy": accuracy, "images_test": 624, "seeds": 3}))
    with open(folder / "models.csv", "w") as file:
        writer = csv.writer(file)
        writer.writerow(["model", *(f"{k}{e}" for k in ("accuracy", "macro_f1") for e in ("", "_low", "_high"))])
        writer.writerows([model, accuracy, .7, .9, .75, .6, .85] for model in MODELS.values())


def test_every_published_number_is_in_the_table():
    with open(PUBLISHED) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32 and {row["probing_set"] for row in rows} == set(SETS)
    assert {(r["accuracy"], r["macro_f1"]) for r in rows if r["method"] == "Med-MICN VGG19"} == {
        ("83.05", "84.37"), ("82.58", "78.07"), ("88.30", "88.16"), ("77.34", "77.53")}


def test_obtained_numbers_stand_beside_the_published_ones(tmp_path):
    run(tmp_path / "micn_table" / "a")
    run(tmp_path / "micn_table" / "b", "ddi", synthetic=True)
    run(tmp_path / "micn_table" / "c", "covid_ct", name="mine")
    found = {(one.method, one.probing_set): one for one in cells(tmp_path)}
    for method in ("Baseline ResNet50", "Med-MICN ResNet50", "Label-free CBM", "DCR"):
        assert found[method, "kermany"].got["accuracy"] == "0.8" and found[method, "kermany"].test == 624
    others = [one for key, one in found.items() if one.got is None]
    assert len(others) == 28 and all(one.lacks.startswith("not run: needs") for one in others)
    assert "ddi" in found["DCR", "ddi"].lacks and "imagenet_backbone" in found["DCR", "ddi"].lacks
    main(tmp_path, tmp_path / "to")
    text = (tmp_path / "to" / "published.md").read_text()
    assert "| Med-MICN ResNet50 | 78.37 / 74.42 | 80.00 (70.0 to 90.0) / 75.00 (60.0 to 85.0) | 624, 3 |" in text
    assert "multiple of 1/118" in text and "118 test images" in text


def test_the_newest_run_counts_but_not_one_of_mode_paper(tmp_path):
    run(tmp_path / "micn_table" / "1", accuracy=.6)
    run(tmp_path / "micn_table" / "2", accuracy=.8)
    run(tmp_path / "micn_table" / "3", accuracy=.9, mode="paper")  # chosen on the test images
    assert {one.got["accuracy"] for one in cells(tmp_path) if one.got} == {"0.8"}


@pytest.mark.fault
def test_no_folder_and_no_run(tmp_path):
    with pytest.raises(BadInput, match="no folder"):
        cells(tmp_path / "none")
    assert not any(one.got for one in cells(tmp_path))
