"""What fitting a target and fitting a dissector share: prepared images, steps, jitter, and what a card says."""
import math

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from mammi.errors import BadInput, near, number
from mammi.evaluation.ranking import ENOUGH
from mammi.files import digest
from mammi.progress import track

MEMORY = 2 * 2**30  # bytes of prepared images that are kept; above, images are prepared anew each epoch


def check_options(epochs, lr, batch_size, weight_decay, warm_up, jitter):
    """Raise :class:`BadInput` on an option of training that is no number or outside its range."""
    number("epochs", epochs, 1, whole=True)
    number("batch_size", batch_size, 1, whole=True)
    number("warm_up", warm_up, 0, 1)
    for name, value in (("lr", lr), ("weight_decay", weight_decay), ("jitter", jitter)):
        number(name, value, 0)


def check_enough(images, batch_size, what=""):
    """Raise :class:`BadInput` where ``images`` training images make no whole batch."""
    if images < batch_size:
        raise BadInput(f"{images} training images{what} are fewer than batch_size={batch_size} of training: give more, "
                       "or a smaller task.batch_size (batch_size alone is not it)")


def finite(loss, step):
    """``loss`` if it is a number, else :class:`BadInput`: nothing comes back from there."""
    if not math.isfinite(loss):
        raise BadInput(f"the loss is {loss} at step {step + 1}: training has diverged. Next: a smaller task.lr")
    return loss


def labels_of(images, classes):
    """(P, classes) float32 labels in the order of ``classes``."""
    if images.labels is None:
        raise BadInput(f"{images.name} has no labels to train or validate on")
    for name in classes:
        if name not in images.label_names:
            raise BadInput(f"{images.name} has no label {name!r}. {near(name, images.label_names)}")
    return np.ascontiguousarray(images.labels[:, [images.label_names.index(c) for c in classes]], np.float32)


class Inputs:
    """The prepared images of a set, (b, C, H, W) float32 by positions; kept in 16 bits where they fit ``MEMORY``.

    target  has ``prepare`` (batch -> tensor, an image a row) and ``device``
    """

    def __init__(self, target, images, batch_size):
        self.target, self.images, self.batch_size = target, images, batch_size
        one = target.prepare(images.load([0]))[0]
        self.kept = None
        if one.numel() * 2 * len(images) <= MEMORY:
            self.kept = torch.zeros(len(images), *one.shape, dtype=torch.float16)
            for block in track(self.blocks(), f"preparing {len(images)} images"):
                self.kept[block] = self._prepare(block).half().cpu()

    def blocks(self):
        """Positions of the whole set, a batch at a time."""
        return np.split(np.arange(len(self.images)), range(self.batch_size, len(self.images), self.batch_size))

    def __getitem__(self, positions):
        if self.kept is None:
            return self._prepare(positions)
        return self.kept[positions].float().to(self.target.device)

    def _prepare(self, positions):
        return self.target.prepare(self.images.load(positions))


def shuffled(n, batch_size, epochs, rng):
    """Positions of each step; every epoch drops the incomplete last batch."""
    for _ in range(epochs):
        order = rng.permutation(n)
        yield from (order[i:i + batch_size] for i in range(0, n - batch_size + 1, batch_size))


def augmented(x, jitter, rng):
    """(B, C, H, W) with each image's contrast and brightness changed a little."""
    scale = 1 + jitter * rng.uniform(-1, 1, (len(x), 1, 1, 1))
    shift = .6 * jitter * rng.uniform(-1, 1, (len(x), 1, 1, 1))
    return x * torch.as_tensor(scale).to(x) + torch.as_tensor(shift).to(x)


def aurocs(scores, truth, classes):
    """{class: area under the ROC curve} where there are enough known positives and negatives."""
    out = {}
    for k, name in enumerate(classes):
        known = ~np.isnan(truth[:, k])
        positive = truth[known, k] == 1
        if min(positive.sum(), (~positive).sum()) >= ENOUGH:
            out[name] = float(roc_auc_score(positive, scores[known, k]))
    return out


def about(images):
    """What a card says of a set."""
    return {"name": images.name, "images": len(images), "synthetic": images.synthetic,
            "first": images.ids[0], "last": images.ids[-1], "content": digest(list(images.keys))}


def print_scores(scores, truth, classes, path):
    """Print the AUROC of each class, their mean, and where the weights lie."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for column in ("label", "positives", "validation AUROC"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for k, name in enumerate(classes):
        table.add_row(name, str(int((truth[:, k] == 1).sum())), f"{scores[name]:.3f}" if name in scores else "too few")
    console = Console()
    console.print(table)
    if scores:
        console.print(f"mean of {len(scores)}: {np.mean(list(scores.values())):.3f}")
    console.print(f"Weights: {path}", soft_wrap=True)
