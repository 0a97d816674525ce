"""One training loop for Med-MICN and what it is compared with, on cached features or end to end."""
import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from mammi.errors import BadInput, number
from mammi.progress import track

BLOCK = 512  # images of a prediction


class Recipe(NamedTuple):
    """How to train: AdamW without a schedule, as published.

    patience  epochs without a better validation loss after which to stop; the best epoch is kept. None: all epochs
    shuffle   False: the published code's fixed order
    eval      False: dropout and batch statistics stay on while the epoch is chosen, as in the published code; in the
              end they are off
    """

    lr: float
    epochs: int = 100
    batch_size: int = 32
    weight_decay: float = .01
    patience: int | None = 10
    shuffle: bool = True
    eval: bool = True

    def checked(self):
        """Itself; :class:`BadInput` names an option of the config that cannot be."""
        for name, low in (("epochs", 1), ("batch_size", 1)):
            number(f"task.training.{name}", getattr(self, name), low, whole=True)
        for name in ("lr", "weight_decay"):
            number(f"task.training.{name}", getattr(self, name), 0)
        if self.patience is not None:
            number("task.training.patience", self.patience, 1, whole=True)
        return self


class EndToEnd(nn.Module):
    """A backbone and a head behind its ``layer``, to be trained as one: prepared images (B, C, H, W) in."""

    def __init__(self, target, layer, head):
        super().__init__()
        self.backbone, self.head = target.module, head
        self.read = lambda x, maps=False: target.forward(x, [layer], maps)[layer]

    def forward(self, x):
        return self.head(self.read(x).pooled)


def fit(module, loss, judge, n, recipe, seed, what="training"):
    """Train ``module`` and leave it, in evaluation mode, as it was in its best epoch; returns [(loss, judged)].

    loss   callable: positions (b,) of training images -> scalar tensor
    judge  callable: () -> number, the lower the better, of images that are not trained on
    n      number of training images
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], recipe.lr,
                                  weight_decay=recipe.weight_decay)
    history, best, state = [], None, None
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        for epoch in track(range(recipe.epochs), what):
            module.train()
            sums = []
            for at in _batches(rng.permutation(n) if recipe.shuffle else np.arange(n), recipe.batch_size):
                value = loss(at)
                if not torch.isfinite(value):
                    raise BadInput(f"the loss is {value.item()} in epoch {epoch + 1}: training has diverged. Next: a "
                                   "smaller task.training.lr")
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                sums.append(value.item())
            module.train(not recipe.eval)
            history.append((float(np.mean(sums)), float(judge())))
            if best is None or history[-1][1] < history[best][1]:
                best, state = epoch, copy.deepcopy(module.state_dict())
            elif recipe.patience is not None and epoch - best >= recipe.patience:
                break
    module.load_state_dict(state)
    module.eval()
    return history


def _batches(order, size):
    """The last one may be smaller; a single image joins the batch before it (batch statistics need two)."""
    cuts = list(range(size, len(order), size))
    if cuts and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


@torch.no_grad()
def predict(module, inputs, n, read, block=BLOCK):
    """What ``read`` makes of the outputs for all ``n`` images, a tuple of arrays; ``inputs[positions]`` -> (b, ...)."""
    blocks = [read(module(inputs[np.arange(at, min(at + block, n))])) for at in range(0, n, block)]
    return tuple(np.concatenate([part.float().cpu().numpy() for part in parts]) for parts in zip(*blocks))
