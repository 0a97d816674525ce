"""Extremal perturbations (Fong, Patrick and Vedaldi, ICCV 2019): the part of given area that keeps the most."""
import numpy as np
import torch
from torchvision.transforms.functional import gaussian_blur

from mammi.errors import BadInput, number
from mammi.explainer.base import Explainer, read

SHARPNESS = 20.0       # of the smooth maximum
WEIGHTS = 1.0, 300.0   # of the area's constraint, at the first and the last step


class Extremal(Explainer):
    """A smooth mask m of area ``area`` that maximises f(m x + (1 - m) blurred x): what is to be seen to keep it.

    The mask is the smooth maximum of Gaussian bumps on a coarse grid; its area is held by || sort(m) - r ||^2, r having
    ``area`` ones above zeros, with a weight that grows: at the first step all cells are equal, and a strong constraint
    would settle where they lie by their order. f is taken as a share of what lies between the blurred image
    and the whole one, so that one step size does for logits and for units.

    area   share of the image, in (0, 1); NEMt's comparison has 0.05
    steps  of Adam, rate ``lr``
    cells  of the mask's side
    smooth standard deviation of a cell's bump as a share of the image's side; the authors' 21 of 224 pixels are 0.094
    fill   what hides: ``blur`` or ``mean``, the training images' mean
    blur   its standard deviation as a share of the image's side
    """

    name, gradients = "extremal", True

    def __init__(self, area=0.1, steps=200, lr=0.05, cells=16, smooth=0.07, fill="blur", blur=0.09):
        if not 0 < number("explainer.area", area) < 1:
            raise BadInput(f"explainer.area={area}: expected a share of the image in (0, 1), such as 0.1")
        if fill not in ("blur", "mean"):
            raise BadInput(f"explainer.fill={fill}: expected blur or mean")
        self.area, self.steps = area, number("explainer.steps", steps, 1, whole=True)
        self.lr, self.cells = number("explainer.lr", lr, 1e-9), number("explainer.cells", cells, 2, whole=True)
        self.smooth = number("explainer.smooth", smooth, 1e-3, 1)
        self.fill, self.blur = fill, number("explainer.blur", blur, 1e-3, 1)

    def __call__(self, subject, x, readouts):
        x, size = x.detach(), x.shape[-2:]
        hidden = self._hidden(x)
        with torch.no_grad():
            nothing, all_ = read(subject, hidden, readouts), read(subject, x, readouts)
        span = (all_ - nothing).abs().clamp(min=1e-6)
        bumps = [_bumps(side, self.cells, self.smooth).to(x) for side in size]
        reference = (torch.arange(size[0] * size[1], device=x.device) >= (1 - self.area) * size[0] * size[1]).to(x)
        grid = torch.full((len(x), self.cells, self.cells), .5, device=x.device, requires_grad=True)
        adam = torch.optim.Adam([grid], self.lr)
        for weight in np.geomspace(*WEIGHTS, self.steps):
            mask = smooth(grid, *bumps)
            kept = (read(subject, x * mask[:, None] + hidden * (1 - mask[:, None]), readouts) - nothing) / span
            off = (mask.flatten(1).sort(1).values - reference).square().mean(1)
            grid.grad, = torch.autograd.grad((weight * off - kept).sum(), grid)  # each image by itself
            adam.step()
            with torch.no_grad():
                grid.clamp_(0, 1)
        with torch.no_grad():
            return smooth(grid, *bumps).clamp(0, 1).float()

    def _hidden(self, x):
        if self.fill == "mean":
            return torch.zeros_like(x)
        sd = self.blur * max(x.shape[-2:])
        kernel = [min(2 * int(2 * sd) + 1, side - 1 + side % 2) for side in (x.shape[-1], x.shape[-2])]
        return gaussian_blur(x, kernel, [sd, sd])


def smooth(grid, rows, columns):
    """(B, H, W) mask of (B, h, w) cells: at each pixel the smooth maximum of the cells' bumps, one axis at a time.

    rows, columns  (H, h) and (W, w) weights of :func:`_bumps`
    """
    wide = _soft_max(grid[:, :, None, :] * columns[None, None])          # (B, h, W, w) -> (B, h, W)
    return _soft_max(wide.transpose(1, 2)[:, None] * rows[None, :, None])  # (B, H, W, h) -> (B, H, W)


def _soft_max(z):
    return ((SHARPNESS * z).softmax(-1) * z).sum(-1)


def _bumps(side, cells, sd):
    """(side, cells): a bump of each cell, 1 up to half a cell from its centre, then Gaussian of ``sd`` sides."""
    pixels, centres = (torch.arange(side) + .5) / side, (torch.arange(cells) + .5) / cells
    beyond = ((pixels[:, None] - centres).abs() - .5 / cells).clamp(min=0)
    return torch.exp(-.5 * (beyond / sd) ** 2)
