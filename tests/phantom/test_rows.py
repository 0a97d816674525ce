import numpy as np
import pandas as pd
import pytest

from mammi.errors import BadInput
from mammi.phantom.derive_rows import combinations as derive
from mammi.phantom.names import FINDINGS
from mammi.phantom.rows import combinations, sample_rows


def test_the_committed_table_counts_all_of_nih():
    rows, counts = combinations()
    assert counts.sum() == 112_120
    assert counts[~rows.any(1)].sum() == 60_361
    assert (rows * counts[:, None]).sum(0)[FINDINGS.index("Hernia")] == 227
    assert len({row.tobytes() for row in rows}) == len(rows)


def test_a_row_does_not_depend_on_how_many_there_are():
    assert (sample_rows(200, 7, .3)[:20] == sample_rows(20, 7, .3)).all()
    assert (sample_rows(200, 7) != sample_rows(200, 8)).any()


def test_findings_are_as_frequent_and_occur_together_as_in_nih():
    rows, counts = combinations()
    drawn = sample_rows(8000, 0).astype(float)
    truth = (rows.T * counts).astype(float) @ rows / counts.sum()
    assert np.abs(drawn.T @ drawn / len(drawn) - truth).max() < 4 * np.sqrt(.25 / len(drawn))


def test_boost_shows_every_finding_often():
    drawn = sample_rows(3000, 0, 1.0)
    assert drawn.any(1).all()
    assert drawn.mean(0).min() > 1 / 14 - 4 * np.sqrt(1 / 14 / 3000)


def test_boost_must_be_a_probability():
    with pytest.raises(BadInput, match="boost=2"):
        sample_rows(1, 0, 2)


def test_derivation_counts_combinations_whatever_their_order():
    table = pd.DataFrame({"Finding Labels": ["No Finding", "Mass|Effusion", "Effusion|Mass", "Pleural_Thickening"]})
    assert derive(table).values.tolist() == [["Effusion|Mass", 2], ["", 1], ["Pleural thickening", 1]]


def test_derivation_refuses_another_table():
    with pytest.raises(BadInput, match="Finding Labels"):
        derive(pd.DataFrame({"label": []}))
