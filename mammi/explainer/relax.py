"""RELAX (Wickstroem et al., IJCV 2023): which pixels an image's embedding rests on, and how sure that is."""
import torch
from torch.nn.functional import cosine_similarity

from mammi.errors import BadInput, number
from mammi.explainer.base import Explainer, without_offset
from mammi.explainer.random_masks import random_masks


class Relax(Explainer):
    """R(pixel) = sum_i M_i s_i / sum_i M_i with s_i = cos(h(x), h(x * M_i)); uncertainty sum_i M_i (s_i - R)^2 /
    sum_i M_i.

    It explains the embedding h, not the read-out: all read-outs of an image get the same map.

    layer       h, pooled: None takes ``penultimate``, of a concept's read-out the dissector's image embedding
    certain     keep R only where the uncertainty is below the image's mean ("U-RELAX")
    masks, cells, keep, seed, batch_size  as of :class:`mammi.explainer.rise.Rise`; the paper takes 3000 masks

    The map is less its minimum: a cosine of .9 at the least important pixel is no importance. Needs no gradient.
    """

    name = "relax"

    def __init__(self, layer=None, certain=False, masks=500, cells=7, keep=0.5, seed=0, batch_size=64):
        if not isinstance(certain, bool):
            raise BadInput(f"explainer.certain={certain}: expected true or false")
        self.layer, self.certain = layer, certain
        self.masks = number("explainer.masks", masks, 1, whole=True)
        self.cells = number("explainer.cells", cells, 1, whole=True)
        self.keep, self.seed = number("explainer.keep", keep, 0, 1), number("explainer.seed", seed, 0, whole=True)
        self.batch_size = number("explainer.batch_size", batch_size, 1, whole=True)

    def __call__(self, subject, x, readouts):
        return self.with_uncertainty(subject, x, readouts)[0]

    @torch.no_grad()
    def with_uncertainty(self, subject, x, readouts):
        layer = self.layer or getattr(subject, "embedding", "penultimate")
        whole = subject.forward(x, [layer])[layer].pooled
        sums, squares = torch.zeros(2, len(x), *x.shape[-2:], dtype=torch.float64)
        shown = 0
        for masks in random_masks(self.masks, self.cells, self.keep, x.shape[-2:], self.seed, self.batch_size):
            weights = masks.double()  # sums on the CPU: not every accelerator has 64 bits
            shown = shown + weights.sum(0)
            for i in range(len(x)):
                part = subject.forward(x[i] * masks[:, None].to(x), [layer])[layer].pooled
                s = cosine_similarity(part, whole[i:i + 1], dim=1).cpu().double()
                sums[i] += torch.einsum("b,bhw->hw", s, weights)
                squares[i] += torch.einsum("b,bhw->hw", s ** 2, weights)
        importance = sums / shown.clamp(min=1e-6)
        uncertainty = (squares / shown.clamp(min=1e-6) - importance ** 2).clamp(min=0)
        maps = without_offset(importance)
        if self.certain:
            maps = torch.where(uncertainty < uncertainty.mean((1, 2), keepdim=True), maps, 0)
        return maps.float().to(x.device), uncertainty.float().to(x.device)
