"""RISE (Petsiuk et al., BMVC 2018): a pixel matters as much as the read-out says when it is shown."""
import torch

from mammi.errors import number
from mammi.explainer.base import Explainer, read, without_offset
from mammi.explainer.random_masks import random_masks


class Rise(Explainer):
    """S(pixel) = sum_i f(x * M_i) M_i(pixel) / sum_i M_i(pixel) over ``masks`` random masks, less its minimum.

    masks       number of them, and of forward passes an image
    cells       of a mask's side
    keep        share of cells that is shown; what is not shown is the training images' mean
    seed        of the masks; they are the same for every image
    batch_size  images per pass; changes speed and memory, no result

    The paper divides by the masks' expectation instead of their sum: with few masks an offset of f then comes back as
    the noise of that sum. Needs no gradient.
    """

    name = "rise"

    def __init__(self, masks=500, cells=7, keep=0.5, seed=0, batch_size=64):
        self.masks = number("explainer.masks", masks, 1, whole=True)
        self.cells = number("explainer.cells", cells, 1, whole=True)
        self.keep, self.seed = number("explainer.keep", keep, 0, 1), number("explainer.seed", seed, 0, whole=True)
        self.batch_size = number("explainer.batch_size", batch_size, 1, whole=True)

    @torch.no_grad()
    def __call__(self, subject, x, readouts):
        total, shown = torch.zeros(len(x), *x.shape[-2:], dtype=torch.float64), 0
        for masks in random_masks(self.masks, self.cells, self.keep, x.shape[-2:], self.seed, self.batch_size):
            weights = masks.double()  # sums on the CPU: not every accelerator has 64 bits
            shown = shown + weights.sum(0)
            for i, readout in enumerate(readouts):
                values = read(subject, x[i] * masks[:, None].to(x), [readout] * len(masks))
                total[i] += torch.einsum("b,bhw->hw", values.cpu().double(), weights)
        return without_offset(total / shown.clamp(min=1e-6)).float().to(x.device)
