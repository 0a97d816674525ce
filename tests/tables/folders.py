"""Run folders as ``task=annotate`` leaves them, written by hand: four neurons, or as many as ``hits`` has."""
import json
import os
from math import sqrt

import pandas as pd

PHANTOM = {"profile": "phantom", "target": "phantom", "probing_set": "phantom", "concept_set": "openi_nouns",
           "dissector": "phantom_nce", "selection": "adaptive", "method": "mammi", "evaluation": "final_layer"}
PAPER = {"profile": "paper", "target": "densenet121_nih14", "probing_set": "nih14_full", "concept_set": "mimic_nouns",
         "dissector": "medclip", "selection": "adaptive", "method": "mammi", "evaluation": "final_layer"}


def run(folder, name="table1", hits=(1, 0, 1, 0), f1=None, choices=None, names=None, overrides=(), seed=0, at=None,
        synthetic=True, profile=PHANTOM, metrics=None, neurons=None, images=400):
    """``at``: when it finished, in seconds; ``metrics`` and ``neurons`` change what would be written."""
    choices = profile | (choices or {})
    f1 = hits if f1 is None else f1
    said = {"layer": "final", "activation": "logit"} | {group: choices[group] for group in (
        "target", "probing_set", "concept_set", "dissector")} | (names or {})
    columns = {"neuron": range(len(hits)), "name": [f"n{i}" for i in range(len(hits))], "status": "ok",
               "images_selected": 5, "hit": hits, "f1": f1,
               "cos_minilm": [x / 2 for x in f1]} | (neurons or {})
    mean = {key: sum(columns[key]) / len(hits) for key in ("hit", "f1", "cos_minilm")}
    numbers = {"n_named": len(hits), "unique_all": 3 + seed, "hit_ceiling": .75, "cos_clip": None,
               "cos_clip_note": "no weights. Next: give some"} | mean
    numbers |= {f"{key}_{end}": value + step for key, value in mean.items()
                for end, step in (("low", -.1), ("high", .1), ("se", .0))}
    (folder / ".hydra").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({
        "name": name, "choices": choices, "overrides": [f"experiment={name}", "paths.outputs=elsewhere", *overrides],
        "seed": seed, "names": said, "synthetic": synthetic, "images": images, "concepts": 663}))
    pd.DataFrame(columns).to_csv(folder / "neurons.csv", index=False)
    (folder / "annotations.csv").write_text("neuron,name,rank,concept,score\n0,n0,1,mass,0.5\n")
    (folder / "metrics.json").write_text(json.dumps(numbers | (metrics or {})))
    if at is not None:
        os.utime(folder / "metrics.json", (at, at))
    return folder


def concept_sets(folder, seeds=(0, 1), words=("20k", "mimic_nouns"), **more):
    """Runs of table 1; MIMIC's nouns hit more."""
    hits = {"20k": [0, 0, 0, 0, 0, 0], "wordnet": [1, 0, 0, 0, 0, 0], "mimic_nouns": [1, 1, 1, 1, 0, 0]}
    for seed in seeds:
        for option in words:
            own = {"concept_set": f"openi_nouns (stand-in for {option})"} if option == "mimic_nouns" else {}
            some = hits[option][:-1] + [int(option != "20k" and seed == 1)]
            run(folder / "table1" / "date" / f"{option}{seed}", hits=some, seed=seed,
                choices={"concept_set": option}, names=own, overrides=[f"concept_set={option}", f"seed={seed}"], **more)
    return folder


def the_paper_s(folder, name="table1", **more):
    """A run of the paper's configuration that gives the published numbers: 14 neurons, lists of 1, 1, 1 and 2 words."""
    hits, f1 = [1] * 4 + [0] * 10, [1, 1, 1, 2 / 3] + [0] * 10
    cosines = {"cos_clip": [.8599] * 14, "cos_mpnet": [.5290] * 14}
    return run(folder, **{"name": name, "hits": hits, "f1": f1, "profile": PAPER, "synthetic": False,
                          "neurons": cosines, "images": 75312,
                          "metrics": {key: values[0] for key, values in cosines.items()} | {
                              "hit_low": .117, "hit_high": .546, "hit_se": sqrt(4 / 14 * 10 / 14 / 14)}, **more})
