"""Which images represent a neuron: (P, N) activations -> (P, N) bool.

A dead neuron (constant activation) is represented by no image under any rule.
"""
import numpy as np

from mammi.errors import BadInput, number


class Adaptive:
    """Eq. (1): the images above ``M - (1 - alpha)(M - L)``, M and L a neuron's largest and smallest activation.

    alpha         in (0, 1); the paper's 93 % is 0.93. The comparison is strict.
    min_examples  a living neuron with fewer images gets its ``min_examples`` highest ones (default 0: the paper)
    """

    def __init__(self, alpha=0.93, min_examples=0):
        if not 0 < number("selection.alpha", alpha) < 1:
            raise BadInput(f"selection.alpha must lie in (0, 1), got {alpha}; the paper's 93% is 0.93")
        self.alpha, self.min_examples = alpha, number("selection.min_examples", min_examples, 0, whole=True)

    def __call__(self, activations):
        a = checked(activations)
        high, low = a.max(0), a.min(0)
        tau = high - (1 - self.alpha) * (high - low)
        chosen = a > tau
        few = (chosen.sum(0) < self.min_examples) & (high > low)
        if few.any():
            chosen[:, few] |= TopK(min(self.min_examples, len(a)))(a[:, few])
        return chosen


class TopK:
    """The k highest images, ties by image index (the fixed selection of Table 2; WWW uses k = 40)."""

    def __init__(self, k=40):
        self.k = number("selection.k", k, 1, whole=True)

    def __call__(self, activations):
        a = checked(activations)
        if self.k > len(a):
            raise BadInput(f"selection.k={self.k}, but there are only {len(a)} images; choose a smaller k")
        top = np.argsort(-a, axis=0, kind="stable")[: self.k]
        chosen = np.zeros(a.shape, bool)
        np.put_along_axis(chosen, top, True, axis=0)
        return chosen & (a.max(0) > a.min(0))


class All:
    """Every image: the control that any selection has to beat."""

    def __call__(self, activations):
        a = checked(activations)
        return np.broadcast_to(a.max(0) > a.min(0), a.shape).copy()


def checked(activations):
    """(P, N) float64; raises :class:`BadInput` on another shape, no image, or values that are not finite."""
    a = np.asarray(activations, dtype=np.float64)
    if a.ndim != 2 or not a.size:
        raise BadInput(f"activations have shape {a.shape}; expected (images, neurons), at least one of each")
    bad = ~np.isfinite(a)
    if bad.any():
        image, neuron = np.argwhere(bad)[0]
        raise BadInput(f"{int(bad.sum())} activations are not finite (first: image {image}, neuron {neuron}); "
                       "check the target's weights and the pixel range of its transform")
    return a


def by_activation(activations, selected, neuron):
    """Selected image positions of ``neuron``, highest activation first, ties by image index."""
    images = np.flatnonzero(selected[:, neuron])
    return images[np.argsort(-np.asarray(activations)[images, neuron], kind="stable")]
