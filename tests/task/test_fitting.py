import numpy as np
import pytest

from mammi.errors import BadInput
from mammi.phantom.names import FINDINGS
from mammi.probing_set.phantom import Phantom
from mammi.task.fitting import aurocs, labels_of, shuffled
from tests.tiny import TinySet


def test_labels_are_matched_by_name():
    images = Phantom(n=6, seed=1, boost=1)
    np.testing.assert_array_equal(labels_of(images, FINDINGS[::-1]), images.labels[:, ::-1])
    with pytest.raises(BadInput, match="tiny has no label 'Massive'.*Mass"):
        labels_of(TinySet(), ("Massive",))


def test_auroc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    truth = (rng.random((60, 2)) < .4).astype(np.float32)
    truth[:5, 0] = np.nan
    truth[:, 1] = np.arange(60) < 9
    scores = rng.standard_normal((60, 2)) + np.nan_to_num(truth)
    positive, negative = scores[truth[:, 0] == 1, 0], scores[truth[:, 0] == 0, 0]
    pairs = [p > n for p in positive for n in negative]
    assert aurocs(scores, truth, ("a", "b")) == {"a": pytest.approx(np.mean(pairs))}


def test_an_epoch_shows_each_image_once_at_most():
    batches = list(shuffled(10, 4, 3, np.random.default_rng(0)))
    assert len(batches) == 6
    for i in range(0, 6, 2):
        assert len(set(np.concatenate(batches[i:i + 2]))) == 8
