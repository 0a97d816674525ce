"""The paper's configuration from loader to table at full scale, on stand-ins: does it run, and at what cost?

    make rehearsal                                      75,312 tiny images, the target sees 32 x 32 pixels
    python experiments/rehearsal.py --full              the target sees 224 x 224 pixels, as in the paper
    python experiments/rehearsal.py --images 300 --small

NIH's own file names, labels and boxes, from the data folder (MAMMI_DATA) or from torchxrayvision. The images are made
up, and called synthetic: that is all that differs in the loader. The networks are of full size with the true key names
(``--small``: a small MedCLIP) and random weights. Everything lies in outputs/rehearsal and is made once: an interrupted
rehearsal goes on where it stopped.
"""
import argparse
import gzip
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments" / "benchmarks")]
from machine import machine  # noqa: E402

from experiments import stand_ins  # noqa: E402
from mammi.files import replacing  # noqa: E402
from mammi.progress import track  # noqa: E402

IMAGES, WORDS, SIZE = 75_312, 1_361, 32
TABLES = ("Data_Entry_2017_v2020.csv", "BBox_List_2017.csv")
SPLITS = ("train_official.txt", "val_official.txt", "test_official.txt")
SMALL = {"bert": {"vocab_size": 28996, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
                  "intermediate_size": 24},
         "swin": {"image_size": 224, "patch_size": 16, "embed_dim": 12, "depths": [1, 1], "num_heads": [2, 4],
                  "window_size": 7}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES, help=f"only the first so many (default {IMAGES:,})")
    parser.add_argument("--full", action="store_true", help="the target sees 224 x 224 pixels (hours without a GPU)")
    parser.add_argument("--small", action="store_true", help="a small MedCLIP and no second run, for tests")
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs" / "rehearsal")
    parser.add_argument("overrides", nargs="*", help="more for run.py, such as device=cuda target.layer=penultimate")
    asked = parser.parse_args()
    print(f"{machine()}\n{stand_ins.WARNING}", flush=True)
    root, stages = asked.folder.resolve(), []

    def stage(name, work):
        begun = time.perf_counter()
        peak = work()
        stages.append((name, time.perf_counter() - begun, peak))

    stage("stand-ins: NIH's tables", lambda: tables(root / "nih14", asked.images))
    stage(f"stand-ins: {asked.images:,} images", lambda: pictures(root / "nih14"))
    stage("stand-ins: checkpoints", lambda: networks(root / "models", asked.small))
    options = [*choices(root, asked), *asked.overrides]
    for name in ("cold, or on from where it stopped", "again: everything is in the cache")[:2 - asked.small]:
        stage(f"run.py profile=paper, {name}", lambda: run("run.py", *options))
    last = max((path.parent for path in (root / "rehearsal").rglob("metrics.json")), key=os.path.getmtime)
    stage("mammi report", lambda: run("-m", "mammi", "report", str(last)))

    print("\n| stage | seconds | peak GiB |\n|---|---|---|")
    for name, seconds, peak in stages:
        print(f"| {name} | {seconds:.1f} | {'' if peak is None else f'{peak:.2f}'} |")
    print(f"| total | {sum(seconds for _, seconds, _ in stages):.1f} | |")
    print(f"\n{stand_ins.WARNING}\nRun folder: {last}")


def tables(folder, n):
    """NIH's tables and MAMMI's split lists, unpacked; the training list is cut to ``n``."""
    sources = [Path(os.environ.get("MAMMI_DATA") or "nowhere") / "nih14" / "full_tables"]
    sources += [Path(where) / "data" for where in find_spec("torchxrayvision").submodule_search_locations]
    found = {name: next((text for source in sources if (text := _unpacked(source / f"{name}.gz"))), None)
             for name in (*TABLES, *SPLITS)}
    if found["train_official.txt"] is None:
        print(f"MAMMI_DATA is not set: instead of the official training list the first {IMAGES:,} names of "
              "torchxrayvision's copy of NIH's table")
        names = [row.split(",")[0] for row in found[TABLES[0]].splitlines()[1:]]
        ends = [_patient_ends(names, IMAGES), _patient_ends(names, IMAGES + 11_212)]
        for split, some in zip(SPLITS, np.split(names, ends)):
            found[split] = "\n".join(some) + "\n"
    found["train_official.txt"] = "".join(found["train_official.txt"].splitlines(keepends=True)[:n])
    for name, text in found.items():
        with replacing(folder / name) as part:
            part.write_text(text, encoding="utf-8")


def _patient_ends(names, at):
    """The first place from ``at`` on where another patient's images begin."""
    while names[at][:8] == names[at - 1][:8]:
        at += 1
    return at


def _unpacked(path):
    return gzip.decompress(path.read_bytes()).decode() if path.is_file() else None


def pictures(folder):
    """An image for each line of the training list."""
    names = [line.split()[0] for line in (folder / SPLITS[0]).read_text().splitlines()]
    rows = (row.split(",")[:2] for row in (folder / TABLES[0]).read_text().splitlines()[1:])
    findings = {name: set(labels.split("|")) for name, labels in rows}
    classes = sorted(set().union(*findings.values()) - {"No Finding"})
    labels = np.array([[label in findings[name] for label in classes] for name in names], float)
    for _ in track(stand_ins.images(folder, names, labels, SIZE), "images", stand_ins.BLOCK, len(names)):
        pass


def networks(folder, small):
    """The target's and MedCLIP's checkpoints, MedCLIP's vocabulary, and a word list where the paper's is not here."""
    sizes = SMALL if small else {}
    for path, make in ((folder / "densenet121.pth", stand_ins.densenet_checkpoint),
                       (_medclip(folder, small), lambda path: stand_ins.medclip_checkpoint(path, **sizes))):
        if not path.exists():
            make(path)
    stand_ins.vocabulary(folder / "vocab.txt", "chest ray image of".split())
    if _nouns() is None:
        from wordfreq import top_n_list

        words = [word for word in top_n_list("en", 5000) if word.isalpha() and len(word) > 2][:WORDS]
        (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        print(f"MAMMI_DATA holds no concepts/mimic_nouns.txt: instead {len(words):,} common English words")


def _medclip(folder, small):
    return folder / ("small_medclip.bin" if small else "pytorch_model.bin")


def _nouns():
    path = Path(os.environ.get("MAMMI_DATA") or "nowhere") / "concepts" / "mimic_nouns.txt"
    return path if path.is_file() else None


def choices(root, asked):
    """What follows ``run.py``."""
    models = root / "models"
    options = ["profile=paper", "name=rehearsal", f"paths.outputs={root}", f"probing_set.root={root / 'nih14'}",
               "probing_set._target_=experiments.stand_ins.MadeUp", "probing_set.name=made-up nih14_full",
               f"paths.target_weights={models / 'densenet121.pth'}", f"paths.medclip={_medclip(models, asked.small)}",
               f"paths.medclip_vocab={models / 'vocab.txt'}"]
    if _nouns() is None:
        options += ["concept_set=text_file", f"concept_set.path={models / 'words.txt'}"]
    if not asked.full:
        options += [f"target.resize={SIZE * 256 // 224}", f"target.crop={SIZE}"]
    if asked.small:
        options += ["+dissector._convert_=all"]
        options += [f"+dissector.{name}={sizes}".replace("'", "").replace(" ", "") for name, sizes in SMALL.items()]
    return options


def run(*arguments):
    """Run Python in a process of its own; its peak memory in GiB."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except KeyboardInterrupt:
        process.wait()
        sys.exit("Interrupted: the same command goes on from here.")
    if status:
        sys.exit(f"python {' '.join(arguments)} failed")
    return usage.ru_maxrss / 2**20


if __name__ == "__main__":
    main()
