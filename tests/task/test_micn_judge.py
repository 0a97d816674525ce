"""What the table of models says of outputs by hand."""
import numpy as np

from mammi.task.micn_judge import table_of_models
from mammi.task.micn_models import BLACK_BOX, OURS

Y = np.array([0, 0, 1, 1])


def test_the_published_accuracy_stands_beside_the_highest_output():
    ours = np.array([[[.9, .1], [.4, .3], [.8, .9], [.2, .6]], [[.9, .1], [.1, .9], [.2, .9], [.2, .6]]])
    table, facts = table_of_models({BLACK_BOX: ours[1:], OURS: ours}, {}, Y, list("abcd"), 0)
    assert table["accuracy_exact"].tolist() == [.75, (.5 + .75) / 2]
    assert table["accuracy"].tolist() == [.75, (1 + .75) / 2] and facts["accuracy"] == .875
    assert facts["accuracy_low"] < facts["accuracy"] <= facts["accuracy_high"]
    assert facts["accuracy_less_black_box"] == .125
