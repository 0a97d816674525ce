"""Losses of NEM (U) and NEMt (T), the one-sided loss of a read-out's own channel, and the occlusion under them.

B images, m (B, H, W) masks in [0, 1] of what is kept, a = mean(m); E = 1 - m is what is deleted. z in [0, 1] says how
strongly a read-out answers, p are probabilities. Every loss is a 0-d tensor, smaller is better.
"""
import torch
from torch.nn.functional import cosine_similarity

EPS = 1e-6
FIRES = .5      # z above which a read-out counts as firing
OCCLUSIONS = ("mean", "average", "noise", "blur", "swap")


def occlude(x, m, base=0.0):
    """x m + b (1 - m), (B, C, H, W): ``base`` shows where the mask is 0; 0 is a pixel of the training images' mean."""
    m = m[:, None]
    return x * m + base * (1 - m)


def base_of(x, occlusion, generator=None, silent=None):
    """What is seen where ``x`` is deleted.

    mean   0: a pixel of the training images' mean. It dims a whole image cheaply, and grey is no absence of a grey
           finding
    average  the mean of the batch's images, pixel by pixel: what such an image shows there
    noise  N(0, 1), which prepared pixels are alike in mean and deviation (the authors' takes those of raw pixels)
    blur   ``x`` under a Gaussian of 10 pixels at 224 (Fong and Vedaldi, 2017)
    swap   another image of the batch, one of those that ``silent`` (B, B) allows (j in the place of i where
           ``silent[i, j]``); without it, or where it allows none, the next one
    """
    if occlusion == "noise":
        return torch.randn(x.shape, generator=generator).to(x)
    if occlusion == "average":
        return x.mean(0, keepdim=True)
    if occlusion == "swap":
        return x[others(len(x), silent, generator).to(x.device)]
    if occlusion == "blur":
        from torchvision.transforms.functional import gaussian_blur

        sigma = 10 * x.shape[-1] / 224
        return gaussian_blur(x, 2 * int(2 * sigma) + 1, sigma)
    return 0.0


def others(n, silent=None, generator=None):
    """(n,) for each of n images the number of another one, see ``swap`` in :func:`base_of`."""
    following = torch.arange(n).roll(1)
    if silent is None:
        return following
    allowed = silent.cpu().float().fill_diagonal_(0)
    some = allowed.any(1)
    following[some] = torch.multinomial(allowed[some], 1, generator=generator)[:, 0]
    return following


def distance(u, v):
    """(1 - mean of the cosines) / 2, in [0, 1], over the last axis of (B, ..., D)."""
    return (1 - cosine_similarity(u, v, dim=-1).mean()) / 2


def u(m, near):
    """U: 4 d+ + a / 2, with ``near`` = d+ = distance(h(x), h(x_m))."""
    return 4 * near + m.mean() / 2


def u_contrastive(m, near, far):
    """U, contrastive: a / 2 + 4 d+ - d- (d+ + eps) + eps, with ``far`` = d- = distance(h(x_m), h(x_(1-m)))."""
    return m.mean() / 2 + 4 * near - far * (near + EPS) + EPS


def t(m, change):
    """T, preservation: a + 2 delta, ``change`` = delta = mean((p_c(x_m) - p_c(x))^2)."""
    return m.mean() + 2 * change


def t_inverse(m, change):
    """T, deletion: (1 - a) + 2 (1 - delta), the smallest deleted region that changes the answer most."""
    return (1 - m.mean()) + 2 * (1 - change)


def t_contrastive(m, change, change_of_rest):
    """T, contrastive: a + delta+ - delta-, delta- with 1 - m in the place of m."""
    return m.mean() + change - change_of_rest


def own(m, z, z_m, weight=2.0):
    """mean(E) + weight (1 - sum w max(0, z - z_m)^2 / sum w), w = [z > .5]: deletion must lower the own read-out.

    One-sided: a deletion that raises the answer is not rewarded. ``z`` (B,) of the image's own read-out, ``z_m`` after
    the deletion. Where nothing fires, only the area counts.
    """
    fires = (z > FIRES).to(z)
    return (1 - m.mean()) + weight * (1 - (own_drop(z, z_m) * fires).sum() / (fires.sum() + EPS))


def own_drop(z, z_m):
    """(B,) max(0, z - z_m)^2: of one image's own read-out alone."""
    return (z - z_m).clamp(min=0) ** 2


def squared_change(p, p_m, targets):
    """Mean over B of (p_m - p)^2 at each image's own target; ``p``, ``p_m`` (B, N), ``targets`` (B,)."""
    at = targets[:, None]
    return ((p_m.gather(1, at) - p.gather(1, at)) ** 2).mean()


def squared_change_paper(p, p_m, targets):
    """The authors' indexing ``p[:, targets]``: (B, B), every image is held to the labels of the whole batch."""
    return ((p_m[:, targets] - p[:, targets]) ** 2).mean()
