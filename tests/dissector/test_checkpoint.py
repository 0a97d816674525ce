"""What every adapter shares: files of tensors, keys accounted for, the view of an image."""
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.transforms import CenterCrop, Resize

from mammi.dissector import checkpoint
from mammi.dissector.view import View
from mammi.errors import BadInput, MissingAsset
from mammi.text_encoder import by_length

STATE = {"weight": torch.arange(6.).reshape(2, 3), "bias": torch.ones(2)}


@pytest.mark.parametrize("content", [STATE, {"state_dict": STATE, "epoch": 3}, {"model": STATE, "state_dict": {}}])
def test_tensors_are_found_under_the_first_wrapper(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    state = checkpoint.read(tmp_path / "a.pt", "a model", ("model", "state_dict"))
    assert state.keys() == STATE.keys() and all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_safetensors_give_the_same(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    assert torch.equal(checkpoint.read(tmp_path / "a.safetensors", "a model")["weight"], STATE["weight"])


@pytest.mark.fault
def test_what_holds_no_tensors_is_an_error(tmp_path):
    for content in ({"model": STATE, "epoch": 3}, {"weight": "heavy"}, [STATE], STATE["bias"]):
        torch.save(content, tmp_path / "a.pt")
        with pytest.raises(BadInput, match="a.pt is no {name: tensor}. It must be a model"):
            checkpoint.read(tmp_path / "a.pt", "a model")
    for name, content in (("a.pt", b""), ("a.bin", b"<html>not found</html>"), ("a.safetensors", b"<html>"),
                          ("b.safetensors", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=f"{name} cannot be read as tensors .*It must be a model"):
            checkpoint.read(tmp_path / name, "a model")


@pytest.mark.fault
def test_a_file_that_runs_code_is_refused(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return type(ran).touch, (ran,)

    torch.save({"weight": Trap()}, tmp_path / "a.pt")
    with pytest.raises(BadInput, match="cannot be read as tensors"):
        checkpoint.read(tmp_path / "a.pt", "a model")
    assert not ran.exists()


def test_a_network_is_filled_in_its_own_precision(tmp_path):
    network = nn.Linear(3, 2).train()
    state = {**{key: value.half() for key, value in STATE.items()}, "old.position_ids": torch.zeros(4)}
    assert checkpoint.fill(network, state, "a.pt", "a model", "it", ("position_ids",)) is network
    assert torch.equal(network.weight, STATE["weight"]) and network.weight.dtype == torch.float32
    assert not network.training


@pytest.mark.fault
def test_an_error_counts_all_and_names_three():
    with pytest.raises(BadInput) as caught:
        checkpoint.fill(nn.Linear(3, 2), {"bias": torch.ones(3), **{f"{n}.z": torch.ones(1) for n in range(5)}},
                        "a.pt", "a model", "the file")
    assert str(caught.value) == ("dissector.weights: a.pt is not a model: 1 missing (weight); 5 unexpected (0.z, 1.z, "
                                 "2.z, ...); 1 of another shape (bias). It must be the file")


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_every_key_is_accounted_for(has, needs, larger):
    problems = checkpoint.compare({key: torch.zeros(2 if key in larger else 1) for key in has},
                                  {key: torch.zeros(1) for key in needs}, prefix="x.")
    fitting = {key for key in "abcdef" if key in has and key in needs and key not in larger}
    told = {key for keys in problems.values() for key in keys}
    assert told == {f"x.{key}" for key in has | needs} - {f"x.{key}" for key in fitting}


def test_files_and_folders_are_found(tmp_path):
    (tmp_path / "a.bin").touch()
    (tmp_path / "mine.pt").touch()
    assert checkpoint.locate("one", ("paths.a", tmp_path, "a.bin", "A"), ("paths.b", tmp_path / "mine.pt", "b.bin", "B")
                             ) == [tmp_path / "a.bin", tmp_path / "mine.pt"]


@pytest.mark.fault
def test_all_absent_files_are_named(tmp_path):
    with pytest.raises(MissingAsset) as caught:
        checkpoint.locate("one", ("paths.a", None, "a.bin", "A"), ("paths.b", tmp_path, "b.bin", "B"))
    assert str(caught.value) == (
        "dissector=one: paths.a is not set: it must be A. Next: paths.a=FILE, or the folder that holds it. paths.b is "
        f"{tmp_path}, which has no b.bin: it must be B. Next: paths.b=FILE, or the folder that holds it.")


@pytest.mark.parametrize("size", [(300, 260), (90, 200)])
def test_the_target_s_crop_and_the_full_image(size):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0]), np.uint8))
    assert np.array_equal(View("full_image").seen(image), image.convert("RGB"))
    assert np.array_equal(View().seen(image), CenterCrop(224)(Resize(256)(image.convert("RGB"))))
    assert View("full_image", True).seen(image).size == size


@pytest.mark.fault
def test_wrong_views_are_errors():
    with pytest.raises(BadInput, match="dissector.view=full: Did you mean full_image"):
        View("full")
    with pytest.raises(BadInput, match="dissector.jpeg_roundtrip=yes: expected true or false"):
        View(jpeg_roundtrip="yes")


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 4))
def test_blocks_hold_every_text_once_and_one_length(lengths, size):
    tokens = [[7] * n for n in lengths]
    blocks = by_length(tokens, size)
    assert sorted(i for block in blocks for i in block) == list(range(len(tokens)))
    assert all(0 < len(block) <= size and len({lengths[i] for i in block}) == 1 for block in blocks)
