"""How many neurons of a study get a top word that its training sentences teach for their label: its name or a phrase.

python experiments/real_mini/taught.py RUN_FOLDER
"""
import sys
from pathlib import Path

import pandas as pd
import yaml


def main(folder):
    config = yaml.safe_load((Path(folder) / ".hydra" / "config.yaml").read_text())
    phrases = config["task"]["train"]["label_sentences"]["phrases"]
    table = pd.read_csv(Path(folder) / "study.csv", keep_default_na=False)
    for model in ("target", "twin"):
        own = [label for label, word in zip(table["label"], table[f"top_concept_{model}"])
               if word in {label, *(phrase.removeprefix("a ").removeprefix("an ") for phrase in phrases[label])}]
        print(f"{model}: {len(own)} of {len(table)}{': ' if own else ''}{', '.join(own)}")


if __name__ == "__main__":
    main(sys.argv[1])
