"""Maps and tokens of every layout, against plain indexing."""
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammi.errors import BadInput
from mammi.target.read_out import layout, read_out, spoken

B, N = 3, 5


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("reducer", ["mean", "max"])
@pytest.mark.parametrize("last", [False, True])
def test_maps_are_pooled_over_space_wherever_the_channels_are(reducer, last):
    maps = numbers(B, N, 4, 4)
    got = read_out(maps.permute(0, 2, 3, 1) if last else maps, reducer)
    for b in range(B):
        for n in range(N):
            cells = [maps[b, n, y, x] for y in range(4) for x in range(4)]
            expected = sum(cells) / 16 if reducer == "mean" else max(cells)
            assert got.pooled[b, n] == pytest.approx(expected.item(), abs=1e-6)
    assert torch.equal(got.maps, maps)


def test_maps_with_as_many_channels_as_rows_have_their_channels_first():
    assert layout((B, 4, 4, 4)).kind == "maps" and layout((B, N, 1, 1)).kind == "maps"


@pytest.mark.parametrize("prefix", [1, 5])
def test_class_and_register_tokens_are_no_patches(prefix):
    tokens = numbers(B, prefix + 9, N)
    mean, cls = read_out(tokens, "mean", prefix), read_out(tokens, "cls", prefix)
    torch.testing.assert_close(mean.pooled, sum(tokens[:, prefix + i] for i in range(9)) / 9)
    assert torch.equal(cls.pooled, tokens[:, 0])
    assert torch.equal(read_out(tokens, "max", prefix).pooled, tokens[:, prefix:].amax(1))
    for y in range(3):
        for x in range(3):
            assert torch.equal(mean.maps[:, :, y, x], tokens[:, prefix + 3 * y + x])
    torch.testing.assert_close(mean.maps.mean((2, 3)), mean.pooled)


def test_a_patch_embedding_has_no_class_token_yet():
    patches = numbers(B, 16, N)
    assert torch.equal(read_out(patches, "mean", 1).pooled, patches.mean(1))
    with pytest.raises(BadInput, match="no class token"):
        read_out(patches, "cls", 1)


def test_tokens_that_nobody_explains_are_all_pooled_and_give_no_maps():
    tokens = numbers(B, 10, N)
    got = read_out(tokens, "mean")
    assert torch.equal(got.pooled, tokens.mean(1)) and got.maps is None
    assert torch.equal(read_out(tokens, "cls").pooled, tokens[:, 0])


def test_patches_in_no_square_are_pooled_without_maps():
    got = read_out(numbers(B, 1 + 6, N), "mean", 1)
    assert got.pooled.shape == (B, N) and got.maps is None
    torch.testing.assert_close(got.pooled, numbers(B, 7, N)[:, 1:].mean(1))


@given(side=st.integers(1, 20), prefix=st.integers(0, 5))
def test_prefix_and_patches_account_for_every_token(side, prefix):
    """Unless the sum is itself a square, what makes no difference but in tiny grids."""
    form = layout((1, side ** 2 + prefix, 7), prefix)
    assert form.extra == prefix and form.side == (side, side)


def test_none_flattens_all():
    assert read_out(numbers(B, N, 2, 2), "none").pooled.shape == (B, 4 * N)
    assert read_out(numbers(B, 2, 2, 2, 2), "none").pooled.shape == (B, 16)


@pytest.mark.fault
@pytest.mark.parametrize("output, options, words", [
    ((1, 2), {}, "returns tuple"), (numbers(B, 2, 2, 2, 2), {}, "reducer=mean does not fit"),
    (numbers(4 * B, N, 2, 2), {"images": B}, r"\(12, 5, 2, 2\) for 3 images"),
    (torch.tensor(1.), {"images": 1}, "for 1 images"),
    (numbers(B, N, 2, 2), {"reducer": "cls"}, "cls is for tokens")])
def test_what_cannot_be_read_says_why(output, options, words):
    with pytest.raises(BadInput, match=words):
        read_out(output, **options)


@pytest.mark.parametrize("shape, options, words", [
    ((B, N), {}, "as it is"), ((B, N, 7, 7), {}, "mean of 7 x 7"), ((B, 7, 7, N), {}, "mean of 7 x 7"),
    ((B, 10, N), {}, "mean of 10 tokens"), ((B, 10, N), {"prefix": 1, "reducer": "max"}, "max of 3 x 3 patches"),
    ((B, 10, N), {"prefix": 1, "reducer": "cls"}, "class token"), ((B, 9, N), {"prefix": 1, "reducer": "cls"}, ""),
    ((B, N, 2, 2), {"reducer": "none"}, "flattened"), ((B, 2, 2, 2, 2), {}, "")])
def test_it_is_said_in_words(shape, options, words):
    assert spoken(shape, **options) == words
