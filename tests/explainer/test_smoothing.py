import numpy as np
import pytest
import torch

from mammi.explainer.smoothing import box, kernel_size, random_kernel, smooth


@pytest.mark.parametrize("side, size", [(224, 21), (64, 7), (96, 9), (112, 11), (16, 1), (448, 43)])
def test_the_kernel_grows_with_the_image(side, size):
    assert kernel_size(side) == size


def test_kernels_sum_to_one_and_follow_their_generator():
    draws = [random_kernel(7, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert all(kernel.sum().item() == pytest.approx(1) and kernel.min() >= 0 for kernel in (*draws, box(7)))
    many = torch.stack([random_kernel(3, torch.Generator().manual_seed(s)) for s in range(3000)]).mean(0)
    torch.testing.assert_close(many, box(3), atol=4e-3, rtol=0)


@pytest.mark.parametrize("padding, index", [("replicate", lambda i, n: min(max(i, 0), n - 1)),
                                            ("circular", lambda i, n: i % n)])
def test_smoothing_is_a_weighted_mean_of_the_neighbourhood(padding, index):
    rng = np.random.default_rng(0)
    masks, kernel = rng.random((2, 6, 5)), random_kernel(3, torch.Generator().manual_seed(0)).double()
    plain = np.zeros_like(masks)
    for b in range(2):
        for i in range(6):
            for j in range(5):
                plain[b, i, j] = sum(masks[b, index(i + di, 6), index(j + dj, 5)] * kernel[di + 1, dj + 1].item()
                                     for di in (-1, 0, 1) for dj in (-1, 0, 1))
    np.testing.assert_allclose(smooth(torch.from_numpy(masks), kernel, padding), plain, rtol=1e-12)


def test_what_leaks_around_the_rim_when_padding_is_circular():
    left = torch.zeros(1, 8, 8)
    left[0, :, 0] = 1
    assert smooth(left, box(3), "circular")[0, :, -1].min() > 0
    assert smooth(left, box(3))[0, :, -1].max() == 0
