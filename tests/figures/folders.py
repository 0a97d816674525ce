"""Run folders written by hand, as a run leaves them."""
import json

import numpy as np
import pandas as pd

NAMES = ("Effusion", "Mass", "Pleural thickening", "Hernia")
COUNTS = (8, 6, 4, 2)  # images that carry each label: the first 8 of 20, the first 6, ...
STAND_IN = "wordfreq_20k (stand-in for CLIP-Dissect's 20k)"
ROWS = (("mammi", "adaptive"), ("mammi", "top_k"), ("tsi", "adaptive"), ("own", "adaptive"))  # of the leaderboard
METRICS = {"hit": .5, "hit_low": .3, "hit_high": .7, "hit_ceiling": .8, "hit_lemma": .5, "hit_lemma_ceiling": .9,
           "hit_synonym": .75, "hit_synonym_ceiling": 1.0, "f1": .4, "f1_low": .2, "f1_high": .6, "cos_minilm": .6,
           "cos_minilm_low": .5, "cos_minilm_high": .7, "cos_clip": None, "cos_clip_note": "no weights given",
           "n_named": 4, "concepts_per_neuron": 1.5}


def run(folder, name, metrics=(), synthetic=True, choices=(), names=(), overrides=(), seed=0, selected=(4, 3, 2, 1),
        best=(.4, .3, .2, np.nan)):
    """One run of four neurons on 20 images; ``best`` is the score of a neuron's first word, NaN without one."""
    choices = {"method": "mammi", "selection": "adaptive", "concept_set": "openi_nouns", "target": "phantom",
               "experiment": name} | dict(choices)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({
        "name": name, "choices": choices, "overrides": [*overrides, f"experiment={name}"], "seed": seed,
        "names": {"target": "phantom_densenet", "layer": "final", "concept_set": "openi_nouns"} | dict(names),
        "synthetic": synthetic, "images": 20, "concepts": 1200, "seconds": 1.0}))
    pd.DataFrame({"neuron": range(4), "name": NAMES, "images_selected": selected}).to_csv(
        folder / "neurons.csv", index=False)
    pd.DataFrame([(i, NAMES[i], rank, "word", score - rank / 100 + .01) for i, score in enumerate(best)
                  for rank in (1, 2) if score == score], columns=["neuron", "name", "rank", "concept", "score"]).to_csv(
        folder / "annotations.csv", index=False)
    labels = {name if name != "Hernia" else "Hernia (label)": (np.arange(20) < n).astype(int)
              for name, n in zip(NAMES, COUNTS)}
    pd.DataFrame({"id": [f"image{i}" for i in range(20)], **labels}).to_csv(folder / "images.csv", index=False)
    (folder / "metrics.json").write_text(json.dumps(METRICS | dict(metrics)))
    return folder


def sweeps(folder):
    """Runs of every figure: two seeds of each point, the second a little better."""
    for seed in (0, 1):
        for alpha in ("0.9", "0.93"):
            run(folder / "figure2a" / f"{alpha}_{seed}", "figure2a", {"f1": float(alpha) - .5 + seed / 10}, seed=seed,
                overrides=[f"selection.alpha={alpha}"])
        for selection, selected in (("adaptive", (1, 3, 2, 4 + 2 * seed)), ("top_k", (5, 5, 5, 5))):
            run(folder / "figure2b" / f"{selection}_{seed}", "figure2b", choices={"selection": selection}, seed=seed,
                selected=selected)
            for layer in ("final", "penultimate"):
                run(folder / "table2" / f"{selection}_{layer}_{seed}", "table2", choices={"selection": selection},
                    names={"layer": layer}, overrides=[f"target.layer={layer}"], seed=seed, selected=selected)
        for words, called in (("20k", STAND_IN), ("mimic_nouns", "mimic_nouns")):
            run(folder / "table1" / f"{words}_{seed}", "table1", {"f1": .1 if words == "20k" else .6 + seed / 10},
                choices={"concept_set": words}, names={"concept_set": called}, seed=seed)
        for noise in ("0", "0.5"):
            for method, selection in ROWS:
                run(folder / "leaderboard" / f"{noise}_{method}_{selection}_{seed}", "leaderboard",
                    {"hit_synonym": .75 - float(noise) + seed / 4}, seed=seed, overrides=[f"target.noise={noise}"],
                    choices={"method": method, "selection": selection, "target": "planted"})
    return folder
