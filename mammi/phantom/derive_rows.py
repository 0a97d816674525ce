"""Derive ``nih_rows.csv`` from the label table of NIH ChestX-ray14.

python -m mammi.phantom.derive_rows Data_Entry_2017_v2020.csv.gz
"""
import sys

import pandas as pd

from mammi.errors import BadInput
from mammi.files import replacing
from mammi.phantom.names import FINDINGS
from mammi.phantom.rows import PATH

COLUMN = "Finding Labels"


def combinations(table):
    """Frame with columns findings, images: each combination of findings and how many images show it."""
    if COLUMN not in table:
        raise BadInput(f"found columns {list(table)}, expected {COLUMN!r}: give NIH's Data_Entry_2017_v2020.csv")
    rows = table[COLUMN].str.replace("_T", " t").str.replace("No Finding", "").map(_ordered)
    counts = rows.value_counts().rename_axis("findings").reset_index(name="images")
    return counts.sort_values(["images", "findings"], ascending=[False, True], ignore_index=True)


def _ordered(text):
    return "|".join(sorted(filter(None, text.split("|")), key=FINDINGS.index))


def main(path):
    with replacing(PATH) as part:
        combinations(pd.read_csv(path, usecols=lambda name: name == COLUMN)).to_csv(part, index=False)


if __name__ == "__main__":
    main(sys.argv[1])
