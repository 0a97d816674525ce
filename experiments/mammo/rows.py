"""The tables of this folder's README, out of the run folders of task=compare.

    python experiments/mammo/rows.py RUN_FOLDER...

Prints for each run, as Markdown and over all layers: a row per model, the steps of reading (share of units; coverage of
the step's words), the differences to the reference, the concepts that came and went.
"""
import json
import sys
from pathlib import Path

import pandas as pd

ALL, NULL = "all layers", "permutation"
WORDS = 5


def text(row, name, digits=0):
    return f"{row[name]:.{digits}f} ({row[f'{name}_low']:.{digits}f} to {row[f'{name}_high']:.{digits}f})"


def models(folder):
    layers, workflow = pd.read_csv(folder / "layers.csv"), pd.read_csv(folder / "workflow.csv")
    print("| model | units | official | null | concepts, null | clinical | clinical by chance | entropy |")
    print("|---|---|---|---|---|---|---|---|")
    for row in layers[layers["layer"] == ALL].to_dict("records"):
        own = workflow[(workflow["model"] == row["model"]) & (workflow["part"] == "clinical")]
        share = own[(own["layer"] == ALL) & (own["threshold"] == NULL)].iloc[0]
        official = f"{row['above_official']:.0f} ({row['above_official'] / row['units']:.0%})"
        null = f"{text(row, f'above_{NULL}')}, {row[f'above_{NULL}'] / row['units']:.1%}"
        print(f"| {row['model']} | {row['units']} | {official} | {null} | {row[f'concepts_{NULL}']} "
              f"| {text(share, 'share', 2)} | {share['share_chance']:.2f} "
              f"| {text(row, f'entropy_broad_category_{NULL}', 2)} |")


def steps(folder):
    workflow = pd.read_csv(folder / "workflow.csv")
    workflow = workflow[(workflow["layer"] == ALL) & (workflow["threshold"] == NULL) & (workflow["part"] != "clinical")]
    parts = list(dict.fromkeys(workflow["part"]))
    heads = [f"{part} ({own['of_concepts'].iloc[0]} words)" for part, own in workflow.groupby("part", sort=False)]
    print(f"\n| model | {' | '.join(heads)} |\n{'|---' * (len(parts) + 1)}|")
    for model, own in workflow.groupby("model", sort=False):
        own = own.set_index("part").loc[parts].to_dict("records")
        cells = [f"{row['share']:.2f}; {text(row, 'coverage', 2)}, chance {row['coverage_chance']:.2f}" for row in own]
        print(f"| {model} | {' | '.join(cells)} |")


def differences(folder):
    delta = pd.read_csv(folder / "delta.csv")
    delta = delta[(delta["layer"] == ALL) & (delta["threshold"] == NULL) & (delta["level"] == "broad_category")]
    print("\n| model less reference | units | concepts | gained (chance) | lost (chance) |\n|---|---|---|---|---|")
    for row in delta[delta["model"] != "random"].to_dict("records"):
        print(f"| {row['model']}: {row['category']} | {text(row, 'units_difference')} "
              f"| {text(row, 'concepts_difference')} | {row['gained']} ({row['gained_chance']:.1f}) "
              f"| {row['lost']} ({row['lost_chance']:.1f}) |")


def words(folder):
    changes = pd.read_csv(folder / "changes.csv")
    changes = changes[changes["threshold"] == NULL]
    print()
    for (model, change), own in changes[changes["change"] != "kept"].groupby(["model", "change"]):
        side = "units_model" if change == "gained" else "units_reference"
        own = own.sort_values(side, ascending=False, kind="stable")
        sure = (own["p_chance"] < .05).sum()
        holder = model if change == "gained" else own["reference"].iloc[0]
        some = ", ".join(f"{row['concept']} ({row[side]})" for row in own.head(WORDS).to_dict("records"))
        print(f"- {model} {change} {len(own)} concepts ({sure} of them {holder} has more often than chance): {some}")


def main():
    for folder in map(Path, sys.argv[1:]):
        about, found = (json.loads((folder / name).read_text()) for name in ("run.json", "metrics.json"))
        print(f"\n## {about['name']}, {' '.join(about['overrides'])}\n\n{found['images']} images, {found['patients']} "
              f"patients, {found['concepts']} concepts, {found[f'missing_{NULL}']} in no layer of any model\n")
        models(folder)
        steps(folder)
        differences(folder)
        words(folder)


if __name__ == "__main__":
    main()
