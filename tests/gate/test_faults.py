"""Wrong weights and wrong preprocessing: none passes as verified. The table is experiments/gate/README.md's."""
import numpy as np
import pytest

from experiments.gate import functional, models, structural
from experiments.gate.faults import broken
from mammi.errors import MammiError
from mammi.gate.gate import Gate
from mammi.probing_set.phantom import Phantom
from mammi.text_encoder import SentenceEncoder

MILD = {"image projection: 2 bits", "image projection: noise of 5 %", "text mean: not loaded",
        "image: red and blue exchanged"}  # that words survive: only golden embeddings tell
LOADS = {"medclip: both projections zero", "medclip: random weights throughout", "open_clip: random weights throughout"}
LIT = ("towers swapped", "image projection: rows shuffled", "image: inverted grey", "image: red and blue exchanged",
       "image: mean and sd of another model", "text tower: token embeddings permuted")


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder()


@pytest.fixture(scope="module")
def images():
    return Phantom(n=200, boost=.8)


@pytest.mark.parametrize("kind", models.KINDS)
def test_the_shipped_ones_are_verified(kind, encoder, images, tmp_path):
    found = models.ask(Gate(), models.phantom(encoder, kind, 1), images, tmp_path)
    assert found.name == "verified", found.says


@pytest.mark.fault
@pytest.mark.parametrize("name", functional.FAULTS)
def test_a_fault_that_loads_is_failed(name, encoder, images, tmp_path):
    model = broken(models.phantom(encoder), functional.FAULTS[name])
    assert models.ask(Gate(), model, images, tmp_path).name == "failed"


@pytest.mark.fault
@pytest.mark.parametrize("name", [name for name in functional.FAULTS if name.startswith("image p")])
def test_without_golden_embeddings_a_fault_is_plausible_at_most(name, encoder, images, tmp_path):
    model = broken(models.phantom(encoder), functional.FAULTS[name], known=False)
    assert models.ask(Gate(), model, images, tmp_path).name == ("plausible" if name in MILD else "failed")


@pytest.mark.fault
@pytest.mark.parametrize("name", structural.FAULTS)
def test_a_file_that_is_wrong_is_refused_or_failed(name, images, tmp_path):
    if name not in LOADS:
        with pytest.raises(MammiError):
            structural.load(name, tmp_path)
        return
    model = structural.load(name, tmp_path)
    assert models.ask(Gate(images=40, permutations=200), model, images, tmp_path / "cache").name == "failed"


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("name", LIT)
def test_a_fitted_one_is_no_exception(name, encoder, images, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "lit"
    right = models.ask(Gate(), models.lit(encoder, folder, 600), images, tmp_path_factory.mktemp("right"))
    assert right.name == "verified", right.says
    model = broken(models.lit(encoder, folder, 600), functional.FAULTS[name])
    assert models.ask(Gate(), model, images, tmp_path_factory.mktemp("wrong")).name == "failed"


def test_there_are_enough_of_them():
    assert len(functional.FAULTS) + len(structural.FAULTS) >= 50 and not set(functional.FAULTS) & set(structural.FAULTS)
    assert np.all([name in functional.FAULTS for name in (*MILD, *LIT)])
