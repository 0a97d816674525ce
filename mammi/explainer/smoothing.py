"""NEMt's smoothing of a mask: a box of noise, moved over it. It takes the place of a penalty on roughness."""
import torch
from torch.nn.functional import conv2d, pad


def kernel_size(side):
    """The odd number of pixels nearest 21 of 224 (the authors'), for an image of ``side`` pixels: 7 at 64, 9 at 96."""
    return 2 * int(21 * side / 448) + 1


def random_kernel(size, generator=None, device="cpu"):
    """(size, size) of U(0, 1), divided by their sum; its expectation is :func:`box`."""
    kernel = torch.rand(size, size, generator=generator).to(device)
    return kernel / kernel.sum()


def box(size, device="cpu"):
    """(size, size), all equal, sum 1."""
    return torch.full((size, size), 1 / size ** 2, device=device)


def smooth(masks, kernel, padding="replicate"):
    """(B, H, W) in [0, 1]: K * m, beyond the rim as ``padding`` says (``circular``: from the other side)."""
    reach = [len(kernel) // 2] * 4
    padded = pad(masks[:, None], reach, mode=padding)
    return conv2d(padded, kernel[None, None].to(masks))[:, 0].clamp(0, 1)
