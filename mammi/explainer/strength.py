"""z_k in [0, 1]: how strongly unit k answers, from what its layer says of an image."""
import torch

from mammi.errors import BadInput, near

READS = ("sigmoid", "softmax", "quantiles")
LOW, HIGH = .2, .95   # quantiles of a unit over the training images that z = 0 and z = 1 stand for


class Strength:
    """(B, N) raw readings -> (B, K) z of the ``units`` (K,), whole numbers in [0, N).

    sigmoid    of a logit: classes that do not exclude each other
    softmax    over all N: classes of which one holds. A single output is the second of two classes, (0, logit)
    quantiles  clip((A - low) / (high - low), 0, 1), ``low`` and ``high`` (K,): for hidden units and regression outputs
    """

    def __init__(self, read, units, low=None, high=None):
        if read not in READS:
            raise BadInput(f"task.read={read}: {near(str(read), READS)}")
        self.read, self.units = read, torch.as_tensor(units, dtype=torch.long)
        self.low, self.high = low, high

    def __call__(self, values):
        units = self.units.to(values.device)
        if self.read == "sigmoid":
            return values[:, units].sigmoid()
        if self.read == "softmax":
            return probabilities(values)[:, units]
        low, high = self.low.to(values), self.high.to(values)
        return ((values[:, units] - low) / (high - low)).clamp(0, 1)


def probabilities(logits):
    """Softmax; of one output, its sigmoid: the second of two classes whose first logit is 0."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def limits(values):
    """(low, high), each (N,), of ``values`` (P, N): the 20 % and the 95 % quantile.

    Where they are equal (a unit that is silent on most images), ``high`` is the largest value; a constant unit keeps
    ``high`` = ``low``: it never fires.
    """
    values = values.double()
    low, high = (torch.quantile(values, q, dim=0) for q in (LOW, HIGH))
    return low.float(), torch.where(high > low, high, values.amax(0)).float()
