"""A concept as a read-out of a dissector."""
import numpy as np
import pytest
import torch

from mammi.errors import BadInput
from mammi.explainer.actmap import ActMap
from mammi.explainer.concept import ConceptFit
from mammi.explainer.gradcam import GradCam
from mammi.explainer.gradients import IntegratedGradients
from mammi.explainer.relax import Relax
from mammi.probing_set.phantom import Phantom
from tests.dissector.test_locked_text import dissector as locked
from tests.tiny import TinyDissector

WORDS = ("effusion", "mass")


@pytest.fixture(scope="module")
def fit():
    dissector = locked()
    return ConceptFit(dissector, WORDS, dissector.embed_texts(WORDS)), Phantom(n=3).load(range(3))


def test_its_value_is_the_dissector_s_score_and_its_map_s_mean(fit):
    subject, batch = fit
    x = subject.prepare(batch)
    reading = subject.forward(x, ["concept"], maps=True)["concept"]
    wanted = subject.dissector.score(batch, WORDS)
    np.testing.assert_allclose(reading.pooled.detach(), wanted, atol=1e-5)
    np.testing.assert_allclose(reading.maps.mean((2, 3)).detach(), wanted, atol=1e-5)
    np.testing.assert_allclose(subject.forward(x, ["concept"])["concept"].pooled.detach(), wanted, atol=1e-5)
    np.testing.assert_allclose(subject.forward(x, ["embedding"])["embedding"].pooled.detach(),
                               subject.dissector.embed_images(batch), atol=1e-5)


@pytest.mark.parametrize("explainer", [ActMap(), IntegratedGradients(steps=4), Relax(masks=8, cells=3)],
                         ids=lambda one: one.name)
def test_it_can_be_explained(fit, explainer):
    subject, batch = fit
    x, readouts = subject.prepare(batch), [subject.unit(0), subject.unit(1), subject.unit(0)]
    explainer.check(subject, readouts)
    out = explainer(subject, x, readouts)
    assert out.shape == (3, *x.shape[-2:]) and out.max() > 0 and torch.equal(out, explainer(subject, x, readouts))
    assert subject.field((50, 40)) == (0, 0, 50, 40)


@pytest.mark.fault
def test_what_cannot_be_explained_is_told(fit):
    with pytest.raises(BadInput, match="not open to prepared images"):
        ConceptFit(TinyDissector(), WORDS, np.ones((2, 8)))
    with pytest.raises(BadInput, match="layers of a network"):
        GradCam().check(fit[0], [fit[0].unit(0)])
