"""Explainers that follow the gradient down to the pixels, as captum computes them."""
from contextlib import contextmanager

import numpy as np
import torch

from mammi.errors import number
from mammi.explainer.base import Explainer, check_sign, of_sign, read


class IntegratedGradients(Explainer):
    """Integral of the gradient along the line from the mean image to ``x`` (Sundararajan et al., ICML 2017), Gauss-
    Legendre with ``steps`` points; with sign, the pixels' shares add up to f(x) - f(0).

    sign        see :func:`mammi.explainer.base.of_sign`
    batch_size  images per pass; changes speed and memory, no result
    """

    name, gradients = "integrated_gradients", True

    def __init__(self, steps=50, sign="absolute", batch_size=64):
        self.steps = number("explainer.steps", steps, 1, whole=True)
        self.sign, self.batch_size = check_sign(sign), number("explainer.batch_size", batch_size, 1, whole=True)

    def __call__(self, subject, x, readouts):
        return of_sign(self.signed(subject, x, readouts), self.sign)

    def signed(self, subject, x, readouts):
        """(B, C, H, W): each value's share of f(x) - f(0)."""
        from captum.attr import IntegratedGradients as Captum

        return Captum(_function(subject, readouts)).attribute(
            x, baselines=0, additional_forward_args=torch.arange(len(x)), n_steps=self.steps,
            internal_batch_size=max(self.batch_size, len(x)))


class GradientShap(Explainer):
    """Expected gradients (Lundberg and Lee, NeurIPS 2017): the gradient at a random point between the mean image and a
    noisy ``x``, times their difference, averaged over ``samples`` draws.

    noise  its standard deviation, in units of the prepared pixels (about those of one standard deviation of images)
    seed   of the draws; they are the same for every image
    sign   see :func:`mammi.explainer.base.of_sign`
    """

    name, gradients = "gradient_shap", True

    def __init__(self, samples=50, noise=0.0, seed=0, sign="absolute"):
        self.samples = number("explainer.samples", samples, 1, whole=True)
        self.noise = number("explainer.noise", noise, 0)
        self.seed, self.sign = number("explainer.seed", seed, 0, whole=True), check_sign(sign)

    def __call__(self, subject, x, readouts):
        from captum.attr import GradientShap as Captum

        rows = []
        for image, readout in zip(x, readouts):  # one by one: what is drawn for an image does not hang on the others
            shap = Captum(_function(subject, [readout]))
            with drawn_from(self.seed, x.device):
                rows.append(shap.attribute(image[None], torch.zeros_like(image[None]), n_samples=self.samples,
                                           stdevs=self.noise, additional_forward_args=torch.zeros(1, dtype=int)))
        return of_sign(torch.cat(rows), self.sign)


@contextmanager
def drawn_from(seed, device):
    """Captum draws from the global generators of torch (the CPU's and ``device``'s) and NumPy: begin all at ``seed``,
    and leave them as found."""
    state = np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else ()):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)


def _function(subject, readouts):
    """For captum: f(x, which) -> values, where ``which`` says to which read-out each row of ``x`` belongs."""
    return lambda x, which: read(subject, x, [readouts[i] for i in which.tolist()])
