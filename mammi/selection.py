"""Which images represent a neuron: (P, N) activations -> (P, N) bool.

A rule judges each neuron by itself, so :func:`select` may show it some neurons at a time. A dead neuron (constant
activation) is represented by no image under any rule.

needs_every_image  attribute of a rule that makes the dissector see all images: they are then decoded once for both
"""
import numpy as np

from mammi.errors import BadInput, number

BLOCK = 2**24  # bytes of float64 that a step works on; bounds memory whatever P and N


def select(rule, activations, out=None):
    """(P, N) bool of ``rule``, written into ``out`` where there is one; no second copy of all activations is made.

    Raises :class:`BadInput` for activations that :func:`checked` refuses, and for a rule that returns anything else.
    """
    a = _matrix(activations)
    out = np.empty(a.shape, bool) if out is None else out
    for columns in blocks(a.shape[1], 8 * len(a)):
        block = checked(a[:, columns], columns.start)
        chosen = rule(block)
        if chosen.shape != block.shape or chosen.dtype != bool:
            raise BadInput(f"selection returned {chosen.dtype} {chosen.shape}; expected bool {block.shape}")
        out[:, columns] = chosen
    return out


def blocks(n, size):
    """Slices that cover ``n`` items of ``size`` bytes, :data:`BLOCK` bytes at a time."""
    step = max(1, BLOCK // size)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


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
        last = np.partition(a, len(a) - self.k, axis=0)[len(a) - self.k]  # the k-th highest value
        above, level = a > last, a == last
        first = np.cumsum(level, axis=0) <= self.k - above.sum(0)
        return (above | level & first) & (a.max(0) > a.min(0))


class All:
    """Every image: the control that any selection has to beat."""

    needs_every_image = True

    def __call__(self, activations):
        a = checked(activations)
        return np.broadcast_to(a.max(0) > a.min(0), a.shape).copy()


def checked(activations, first=0):
    """(P, N) float64; raises :class:`BadInput` on another shape, no image, or values that are not finite.

    first  number of the first column, for the message
    """
    a = np.asarray(_matrix(activations), dtype=np.float64)
    bad = ~np.isfinite(a)
    if bad.any():
        image, neuron = np.argwhere(bad)[0]
        raise BadInput(f"{int(bad.sum())} activations are not finite (first: image {image}, neuron {first + neuron}); "
                       "check the target's weights and the pixel range of its transform")
    return a


def _matrix(activations):
    a = np.asarray(activations)
    if a.ndim != 2 or not a.size:
        raise BadInput(f"activations have shape {a.shape}; expected (images, neurons), at least one of each")
    return a


def by_activation(activations, selected, neuron):
    """Selected image positions of ``neuron``, highest activation first, ties by image index."""
    images = np.flatnonzero(selected[:, neuron])
    return images[np.argsort(-np.asarray(activations)[images, neuron], kind="stable")]
