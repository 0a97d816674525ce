"""``python -m mammi micn-table``: Med-MICN's published table beside what finished runs obtained, and why they differ.

Published: accuracy and F1 in percent on four data sets. Obtained: runs of ``experiment=micn_table`` on real images.
"""
import csv
from pathlib import Path
from typing import NamedTuple

from mammi.errors import BadInput
from mammi.files import replacing
from mammi.manifest import Manifest
from mammi.report import read, to_markdown

PUBLISHED = Path(__file__).with_name("published_micn.csv")
NAME = "micn_table"
SETS = {"covid_ct": "COVID-CT", "ddi": "DDI", "kermany": "Chest X-Ray", "fitzpatrick17k": "Fitzpatrick17k"}
BACKBONES = {"ResNet50": "resnet50_imagenet", "VGG19": "vgg19_imagenet", "DenseNet169": "densenet169_imagenet"}
FIRST = next(iter(BACKBONES.values()))  # whose runs the rows without a backbone are taken from
MODELS = {"Baseline": "black box", "Med-MICN": "Med-MICN", "Label-free CBM": "label-free CBM", "DCR": "DCR"}
# From the fractions in the table: what was tested, and on how many images.
TESTED = {"covid_ct": "118 test images, the official validation split; here the official test split",
          "ddi": "132 test images (a fifth; the published script takes 15 %); here a fifth by another draw",
          "kermany": "624 test images, the official split; here the same, and validation images drawn from training",
          "fitzpatrick17k": "203 test images of an unknown selection; here a fifth of all"}
ALL = ("published: the best epoch on the test images, one seed, an exact match for Med-MICN's accuracy; here "
       "validation, several seeds, the highest output")
HEAD = """# Med-MICN: published and obtained

Published: Hu et al., Med-MICN (NeurIPS 2024), one run. Obtained: runs of `experiment=micn_table`, mean over the \
seeds (95 % interval over patients and seeds); a run on synthetic images does not count, nor one with \
task.mode=paper. Accuracy / macro F1 in percent. Concept \
labels here are a dissector's or experts'; the published code has none for COVID-CT but the class's own. The published \
Label-free CBM value on DDI is a multiple of 1/118 and the one on Chest X-Ray of 1/132: they look shifted by a column. \
Where they differ, in all rows: {all}.

Written by `python -m mammi micn-table`, not to be edited."""


class Cell(NamedTuple):
    """What the table says of one method on one set; ``got``: the row of a run's models.csv, or None and ``lacks``."""

    method: str
    probing_set: str
    published: str
    got: dict | None
    test: int | None
    seeds: int | None
    lacks: str


def cells(folder):
    """[:class:`Cell`] of every published number, with the newest finished run below ``folder`` that belongs to it."""
    runs, manifest, out = _runs(folder), Manifest(), []
    with open(PUBLISHED, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        model = next(m for m in MODELS if row["method"].startswith(m))
        backbone = BACKBONES.get(row["method"].removeprefix(model).strip(), FIRST)
        run = runs.get((row["probing_set"], backbone))
        got, lacks = None, ""
        if run is None:
            needs = [*manifest.needs("probing_set", row["probing_set"]), *manifest.needs("target", backbone),
                     *manifest.needs("dissector", "biomedclip")]
            lacks = "not run: needs " + ", ".join(" or ".join(any_of) for any_of in needs)
        else:
            with open(run.folder / "models.csv", newline="", encoding="utf-8") as file:
                got = next((one for one in csv.DictReader(file) if one["model"] == MODELS[model]), None)
            lacks = "" if got else "not computed (task.baselines=false)"
        out.append(Cell(row["method"], row["probing_set"], f"{row['accuracy']} / {row['macro_f1']}", got,
                        run and run.metrics.get("images_test"), run and run.metrics.get("seeds"), lacks))
    return out


def _runs(folder):
    """{(probing set, target): newest run} of the table on real images, with mode=fixed, of which ALL speaks."""
    if not Path(folder).is_dir():
        raise BadInput(f"{folder} is no folder; give one that holds runs, such as outputs")
    found = []
    for there in [Path(folder), *Path(folder).rglob(NAME)]:
        try:
            found += read(there)[0] if there.name == NAME else []
        except BadInput:  # no run is finished there: then the cells say what they need
            continue
    return {(run.about["choices"].get("probing_set"), run.about["choices"].get("target")): run for run in found
            if run.about.get("name") == NAME and run.kind == "real" and run.about.get("mode") == "fixed"
            and (run.folder / "models.csv").is_file()}


def frame(found):
    """DataFrame of texts, a line a cell."""
    import pandas as pd

    lines = []
    for one in found:
        both = one.got and [_percent(one.got, key) for key in ("accuracy", "macro_f1")]
        obtained = " / ".join(both) if both else one.lacks
        lines.append({"method": one.method, "data": SETS[one.probing_set], "published": one.published,
                      "obtained": obtained, "test images, seeds": f"{one.test}, {one.seeds}" if one.got else "",
                      "why they differ": TESTED[one.probing_set]})
    return pd.DataFrame(lines)


def _percent(row, key):
    value, low, high = (100 * float(row[name]) for name in (key, f"{key}_low", f"{key}_high"))
    return f"{value:.2f} ({low:.1f} to {high:.1f})"


def main(folder, to):
    """Write ``published.md`` into ``to`` and say how many numbers could be set beside the published ones."""
    found = cells(folder)
    table = frame(found)
    parts = [HEAD.format(all=ALL)]
    for name in SETS.values():
        parts += [f"## {name}", to_markdown(table[table["data"] == name].drop(columns="data"))]
    try:
        with replacing(Path(to) / "published.md") as part:
            part.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--to {to} cannot be written ({error}): give another folder") from error
    done = sum(one.got is not None for one in found)
    print(f"{done} of {len(found)} published numbers have an obtained one beside them. Written: {to}/published.md")
