import numpy as np
import pytest

from mammi.errors import BadInput
from mammi.phantom.names import FINDINGS
from mammi.phantom.render import MASK_NAMES, render
from mammi.probing_set.phantom import Phantom


def test_images_labels_and_masks_are_the_generators():
    images = Phantom(n=20, seed=4, boost=.5)
    batch = images.load([7, 2], masks=True)
    expected, masks, facts = render(images.labels[[7, 2]] == 1, 4, [7, 2], masks=True)
    assert (np.stack([np.asarray(i) for i in batch.images]) == expected).all()
    assert (batch.masks == masks).all() and batch.mask_names == MASK_NAMES
    assert batch.ids == ("phantom-4-00007", "phantom-4-00002") and (images.plans[7], images.plans[2]) == facts
    assert batch.label_names == FINDINGS and batch.labels.dtype == np.float32


def test_an_image_is_rendered_once(monkeypatch):
    images = Phantom(n=4, seed=4)
    first = images.load([1])
    monkeypatch.setattr("mammi.probing_set.phantom.render_one", None)
    again = images.load([1])
    assert (np.asarray(again.images[0]) == np.asarray(first.images[0])).all() and again.boxes == first.boxes
    assert again.masks is None and again.mask_names == ()


def test_limit_keeps_the_identity_of_images():
    every, some = Phantom(n=50, seed=3), Phantom(n=50, seed=3, limit=5)
    assert len(some) == 5 and some.ids[-1] == every.ids[-1]
    for i, key in zip(some.ids, some.keys):
        assert every.keys[every.ids.index(i)] == key
    at = every.ids.index(some.ids[2])
    assert (np.asarray(some.load([2]).images[0]) == np.asarray(every.load([at]).images[0])).all()
    assert (some.labels[2] == every.labels[at]).all()


def test_keys_tell_images_apart():
    keys = {*Phantom(n=5, seed=1).keys, *Phantom(n=5, seed=2).keys, *Phantom(n=5, seed=1, size=64).keys}
    assert len(keys) == 15 and all(len(k) == 32 for k in keys)
    assert Phantom(n=9, seed=1).keys[:5] == Phantom(n=5, seed=1).keys


def test_texts_come_from_the_facts_and_a_generator_of_the_image():
    def write(facts, rng):
        return (*facts.findings, f"{rng.random():.6f}")

    images = Phantom(n=30, seed=2, boost=1, texts=write)
    assert Phantom(n=3, seed=2).texts is None
    assert images.texts == Phantom(n=40, seed=2, boost=1, texts=write).texts[:30]
    assert all(text[:-1] == tuple(facts.findings) for text, facts in zip(images.texts, images.plans))
    assert len({text[-1] for text in images.texts}) == 30


def test_no_image_is_refused():
    with pytest.raises(BadInput, match="n=0"):
        Phantom(n=0)
