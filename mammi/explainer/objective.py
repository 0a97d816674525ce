"""One step of fitting a decoder: draw a read-out an image, mask what it may look at, ask the network again."""
from typing import NamedTuple

import torch

from mammi.errors import BadInput, near
from mammi.explainer import losses
from mammi.explainer.smoothing import box, kernel_size, random_kernel, smooth
from mammi.explainer.strength import probabilities

LOSSES = {"fixed": ("own", "t_inverse", "t", "t_contrastive", "u", "u_contrastive"),
          "paper": ("t_inverse", "t", "t_contrastive", "u", "u_contrastive")}  # the first is the default
DELETION = ("own", "t_inverse")    # of these the explanation is 1 - m
EMBEDDING = ("u", "u_contrastive")
LEAST = 1e-3                       # chance of a silent unit to be drawn, against 1 of one at its height


class Rules(NamedTuple):
    """What fitting and explaining must agree on.

    mode       ``fixed``; ``paper``: as the authors' code, see :class:`mammi.explainer.nemt.Nemt`
    loss       a name of ``LOSSES[mode]``
    occlusion  a name of ``losses.OCCLUSIONS``
    kernel     pixels a side of the smoothing kernel, odd
    """

    mode: str
    loss: str
    occlusion: str
    kernel: int

    @property
    def deletes(self):
        """Whether m says what to delete: then the explanation is 1 - m."""
        return self.loss in DELETION

    @property
    def embeds(self):
        """Whether the loss looks at the whole layer, not at one unit."""
        return self.loss in EMBEDDING

    def smoothed(self, masks, kernel):
        return smooth(masks, kernel, "circular" if self.mode == "paper" else "replicate")

    def kernel_of_explanations(self, seed, device):
        """(k, k): a box; ``paper``: noise, drawn from ``seed`` (the authors draw it anew at each call)."""
        if self.mode == "fixed":
            return box(self.kernel, device)
        return random_kernel(self.kernel, torch.Generator().manual_seed(seed), device)


def rules(mode="fixed", loss=None, occlusion=None, kernel=None, side=224):
    """:class:`Rules` of options as a user types them, for images of ``side`` pixels; :class:`BadInput` names a bad one.

    loss None: ``own`` in mode fixed, ``t_inverse`` in mode paper. occlusion None: ``swap`` with ``own``, else ``mean``,
    as published. kernel None: 21 of 224 pixels, 7 of 64
    """
    if mode not in LOSSES:
        raise BadInput(f"task.mode={mode}: expected fixed or paper")
    loss = LOSSES[mode][0] if loss is None else loss
    if loss not in LOSSES[mode]:
        hint = " own is not the authors': it needs task.mode=fixed" if loss == "own" else ""
        raise BadInput(f"task.loss={loss} with task.mode={mode}: {near(str(loss), LOSSES[mode])}{hint}")
    occlusion = ("swap" if loss == "own" else "mean") if occlusion is None else occlusion
    if occlusion not in losses.OCCLUSIONS:
        raise BadInput(f"task.occlusion={occlusion}: {near(str(occlusion), losses.OCCLUSIONS)}")
    kernel = kernel_size(side) if kernel is None else kernel
    if isinstance(kernel, bool) or not isinstance(kernel, int) or kernel % 2 != 1 or not 1 <= kernel <= side:
        raise BadInput(f"task.kernel={kernel}: expected an odd number of pixels, at most the image's {side}")
    return Rules(mode, loss, occlusion, kernel)


class Objective:
    """The loss of a batch, differentiable in the decoder alone.

    subject   what is explained, a :class:`mammi.explainer.base.Subject`, frozen
    tap       its :class:`~mammi.explainer.features.FeatureTap`
    layer     where the read-outs lie
    strength  :class:`~mammi.explainer.strength.Strength` of the K units; None with the losses U
    weight    of the drop against the area (loss ``own``)
    generator draws units, kernels and noise
    """

    def __init__(self, subject, tap, layer, strength, rules, weight, generator):
        self.subject, self.tap, self.layer, self.strength = subject, tap, layer, strength
        self.rules, self.weight, self.generator = rules, weight, generator
        self._maps = rules.embeds and rules.mode == "paper"

    def __call__(self, decoder, x, targets=None):
        """``x`` (B, C, H, W) prepared; ``targets`` (B,) the classes of the images, for mode paper with a loss T."""
        rules = self.rules
        readings, features = self.tap.read(self.subject, x, [self.layer], self._maps)
        before = readings[self.layer]
        if self.strength is not None:
            p = self.strength(before.pooled)
            asked = channel = self.draw(p)
        else:
            p = None if rules.embeds else probabilities(before.pooled)
            asked, channel = targets, torch.zeros(len(x), dtype=torch.long, device=x.device)
        m = rules.smoothed(decoder(features, channel), random_kernel(rules.kernel, self.generator, x.device))
        silent = None if self.strength is None else (p[:, asked].T < losses.FIRES)  # image j does not fire for i's unit
        base = losses.base_of(x, rules.occlusion, self.generator, silent)
        after = self._answer(losses.occlude(x, m, base))
        rest = self._answer(losses.occlude(x, 1 - m, base)) if rules.loss.endswith("contrastive") else None
        return self._of_embedding(m, before, after, rest) if rules.embeds else self._of_units(m, p, asked, after, rest)

    def _answer(self, x):
        return self.subject.forward(x, [self.layer], self._maps)[self.layer]

    def draw(self, z):
        """(B,) one unit an image, with a chance in proportion to z + .001."""
        return torch.multinomial((z + LEAST).cpu(), 1, generator=self.generator)[:, 0].to(z.device)

    def _of_embedding(self, m, before, after, rest):
        """The losses U; ``paper`` compares unpooled maps over their last axis, the width, where there are maps."""
        def h(reading):
            return reading.maps if self._maps and reading.maps is not None else reading.pooled

        near = losses.distance(h(before), h(after))
        if rest is None:
            return losses.u(m, near)
        return losses.u_contrastive(m, near, losses.distance(h(after), h(rest)))

    def _of_units(self, m, p, asked, after, rest):
        """The loss ``own`` and the losses T, of the unit or class ``asked`` (B,) of each image; ``p`` before."""
        read = self.strength or probabilities
        p_m = read(after.pooled)
        if self.rules.loss == "own":
            z, z_m = (values.gather(1, asked[:, None])[:, 0] for values in (p, p_m))
            return losses.own(m, z, z_m, self.weight)
        change = losses.squared_change_paper if self.rules.mode == "paper" else losses.squared_change
        delta = change(p, p_m, asked)
        if rest is not None:
            return losses.t_contrastive(m, delta, change(p, read(rest.pooled), asked))
        return (losses.t if self.rules.loss == "t" else losses.t_inverse)(m, delta)
