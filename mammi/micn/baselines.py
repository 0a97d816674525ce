"""What Med-MICN is compared with that is no part of it: the label-free concept bottleneck, and a random one.

P images, d features, N concepts, J classes.
"""
import numpy as np
import torch
from torch import nn

from mammi.micn.train import Recipe, fit

CUTOFF = .45    # similarity on validation images below which a concept is left out
LAMBDA = 7e-4   # of the elastic net, of which the share .99 is absolute values
RECIPE = Recipe(lr=1e-2, epochs=300, batch_size=10**9, weight_decay=0.0, patience=30)  # whole batches


def cubed_cosine(q, s):
    """(N,) similarity in [-1, 1] of the columns of q and s (P, N): cosine of the cubes of their standard scores.

    Label-free CBM (Oikarinen et al., ICLR 2023): the cube lets the images count on which a concept is highest.
    """
    cubes = []
    for x in (q, s):
        x = (x - x.mean(0)) / x.std(0, correction=0).clamp(min=1e-8)
        cubes.append(x ** 3 / (x ** 3).norm(dim=0).clamp(min=1e-8))
    return (cubes[0] * cubes[1]).sum(0)


class Bottleneck:
    """Features -> N concept activations that follow concept scores -> a sparse linear classifier.

    features, scores  {"train", "val"}: (P, d) and (P, N) arrays; y (P,) of the training images
    keep_all          True: no concept is left out for being learned badly

    ``kept`` (N,) bool; where no concept reaches the cutoff the best one is kept. ``similarity`` (N,) on "val".
    ``converged``: whether the classifier was done before its last iteration.
    """

    def __init__(self, features, scores, y, seed, keep_all=False):
        train, val = (torch.from_numpy(np.asarray(features[part], np.float32)) for part in ("train", "val"))
        s, s_val = (torch.from_numpy(np.asarray(scores[part], np.float32)) for part in ("train", "val"))
        self.mean, self.sd = train.mean(0), train.std(0).clamp(min=1e-6)
        train, val = (train - self.mean) / self.sd, (val - self.mean) / self.sd
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.projection = nn.Linear(train.shape[1], s.shape[1], bias=False)

        def judge():
            with torch.no_grad():
                return -cubed_cosine(self.projection(val), s_val).mean()

        fit(self.projection, lambda _: -cubed_cosine(self.projection(train), s).mean(), judge, len(train), RECIPE, seed,
            "concept bottleneck")
        with torch.no_grad():
            self.similarity = cubed_cosine(self.projection(val), s_val).numpy()
            activations = self.projection(train)
        self.kept = np.ones(s.shape[1], bool) if keep_all else self.similarity >= CUTOFF
        if not self.kept.any():
            self.kept[np.argmax(self.similarity)] = True
        self.level = activations.mean(0), activations.std(0).clamp(min=1e-6)
        self.classifier, self.converged = _sparse(self._concepts(activations), y, seed)

    def _concepts(self, activations):
        return ((activations - self.level[0]) / self.level[1]).numpy()[:, self.kept]

    @torch.no_grad()
    def __call__(self, features):
        """(P, J) probabilities."""
        x = (torch.from_numpy(np.asarray(features, np.float32)) - self.mean) / self.sd
        return self.classifier.predict_proba(self._concepts(self.projection(x)))


def _sparse(x, y, seed):
    """(the fitted classifier, whether it converged)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="saga", penalty="elasticnet", l1_ratio=.99, C=1 / (LAMBDA * len(y)), max_iter=300,
                               tol=1e-3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by what is returned
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(x, y)
    return model, bool(max(model.n_iter_) < model.max_iter)


def random_scores(rows, n, seed):
    """{part: (P, n)} products of ``rows`` {part: (P, D)} with ``n`` random unit directions."""
    some = next(iter(rows.values()))
    directions = np.random.default_rng(seed).standard_normal((some.shape[1], n)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    return {part: np.asarray(own, np.float32) @ directions for part, own in rows.items()}
