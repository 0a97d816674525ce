"""Med-MICN and what it is compared with, trained on the same features or the same backbone, with several seeds."""
import copy
import time
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from mammi.micn.baselines import Bottleneck, random_scores
from mammi.micn.metrics import exact_match
from mammi.micn.model import BlackBox, MedMICN, losses
from mammi.micn.train import BLOCK, EndToEnd, fit, predict
from mammi.task.fitting import Inputs

OURS, RULES, BLACK_BOX, DCR = "Med-MICN", "its rules alone", "black box", "DCR"
FREE, RANDOM = "label-free CBM", "random CBM"  # concept bottlenecks of the same size
FREE_ALL, RANDOM_ALL = "label-free CBM, all", "random CBM, all"  # of all concepts, and as many


class Trained(NamedTuple):
    """One seed on the test images: scores (P, J), concepts (P, N), reasoning (four arrays); training facts.

    ``state`` is of ``module``, whose backbone other seeds train, too: :meth:`restored` gives it back.
    """

    module: torch.nn.Module
    state: dict
    scores: np.ndarray
    concepts: np.ndarray
    reasoning: tuple
    seconds: float
    epochs: int

    def restored(self):
        self.module.load_state_dict(self.state)
        return self.module.eval()


class Problem:
    """What every model is trained on.

    y, labels  {part: (P,)}, {part: (P, N)}; features {part: (P, d)} of the frozen backbone's ``layer``
    images     {part: probing set} where the backbone is trained along, else None
    lambdas    weights of the concepts' and of the rules' loss
    """

    def __init__(self, target, layer, y, labels, features, options, recipe, lambdas, paper, images=None):
        self.target, self.layer, self.options, self.recipe = target, layer, options, recipe
        self.lambdas, self.paper, self.finetune = lambdas, paper, images is not None
        self.y = {part: torch.from_numpy(own).to(target.device) for part, own in y.items()}
        self.labels = {part: torch.from_numpy(own).to(target.device) for part, own in labels.items()}
        self.features = {part: torch.from_numpy(np.array(own, np.float32)).to(target.device)
                         for part, own in features.items()}
        self.classes = int(y["train"].max()) + 1
        self.inputs = self.features if images is None else {
            part: Inputs(target, own, recipe.batch_size) for part, own in images.items()}
        self.block = recipe.batch_size if self.finetune else BLOCK
        self._start = copy.deepcopy(target.module.state_dict())

    def module(self, head):
        """``head`` on what is in ``inputs``; the backbone is as it was at the beginning."""
        self.target.module.load_state_dict(self._start)
        head = head.to(self.target.device)
        if not self.paper:
            head.scale.fit(self.features["train"])
        if not self.finetune:
            return head
        self.target.module.requires_grad_(True)
        return EndToEnd(self.target, self.layer, head)

    def train(self, create, loss, judged, scores, seed, what):
        """(module in its best epoch, seconds, epochs); ``create`` () -> head, ``loss`` (output, y, labels) -> scalar.

        Best by the loss ``judged`` on the validation images; as published by exact matches of ``scores`` of outputs on
        the test images.
        """
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            module = self.module(create())
        begun = time.perf_counter()

        def value(part, at, of=loss):
            return of(module(self.inputs[part][at]), self.y[part][at], self.labels[part][at])

        def judge():
            if self.paper:
                found, = predict(module, self.inputs["test"], len(self.y["test"]), lambda o: (scores(o),), self.block)
                return -exact_match(found, self.y["test"].cpu().numpy())
            n, total = len(self.y["val"]), 0.0
            with torch.no_grad():
                for at in np.split(np.arange(n), range(self.block, n, self.block)):
                    total += value("val", at, judged).item() * len(at)
            return total / n

        history = fit(module, lambda at: value("train", at), judge, len(self.y["train"]), self.recipe, seed, what)
        return module, time.perf_counter() - begun, len(history)

    def micn(self, seed, fusion=True):
        """:class:`Trained` Med-MICN; without ``fusion`` the Deep Concept Reasoner."""
        d, n = self.features["train"].shape[1], self.labels["train"].shape[1]

        def loss(output, y, labels):
            return losses(output, y, labels, self.paper, fusion, *self.lambdas)["total"]

        def judged(output, y, labels):  # unweighted: else rules are left half learned
            return losses(output, y, labels, self.paper, fusion, 1, 1)["total"]

        module, seconds, epochs = self.train(
            lambda: MedMICN(d, n, self.classes, fusion=fusion, **self.options), loss, judged,
            lambda o: o.scores.sigmoid() if fusion else o.scores, seed, f"{OURS if fusion else 'DCR'}, seed {seed}")
        scores, concepts, *reasoning = predict(module, self.inputs["test"], len(self.y["test"]), lambda o: (
            o.scores.softmax(1) if fusion and not self.paper else o.scores.sigmoid() if fusion else o.scores,
            o.concepts, *o.reasoning), self.block)
        return Trained(module, copy.deepcopy(module.state_dict()), scores, concepts, tuple(reasoning), seconds, epochs)

    def black_box(self, seed):
        """(P, J) probabilities of the backbone with a linear head."""
        def loss(output, y, _):
            return cross_entropy(output, y)

        module, *_ = self.train(lambda: BlackBox(self.features["train"].shape[1], self.classes), loss, loss,
                                lambda o: o.softmax(1), seed, f"black box, seed {seed}")
        return predict(module, self.inputs["test"], len(self.y["test"]), lambda o: (o.softmax(1),), self.block)[0]

    def bottleneck(self, scores, seed, keep_all=False):
        """((P, J) probabilities, concepts kept, whether its classifier converged) of a label-free concept bottleneck
        on the frozen features."""
        features = {part: own.cpu().numpy() for part, own in self.features.items()}
        model = Bottleneck(features, scores, self.y["train"].cpu().numpy(), seed, keep_all)
        return model(features["test"]), int(model.kept.sum()), model.converged


def compared(problem, ours, found, seeds):
    """({model: (S, P, J) scores}, {model: a line on it}); ``ours``: Med-MICN of each seed, ``found``: the labels."""
    others = [problem.micn(seed, fusion=False) for seed in seeds]
    scores = {BLACK_BOX: np.stack([problem.black_box(seed) for seed in seeds]),
              DCR: np.stack([one.scores for one in others])}
    rows = found.rows or {part: own.cpu().numpy() for part, own in problem.features.items()}
    n, own = len(found.words), filled(found.scores)

    def random(seed, size):
        return problem.bottleneck(random_scores(rows, size, seed), seed, keep_all=True)

    free = [problem.bottleneck(own, seed) for seed in seeds]
    kept = [size for _, size, _ in free]
    sizes = f"{', '.join(map(str, kept))} of {n}"
    space = "the dissector's space" if found.rows else "the space of the features"
    made = {FREE: (free, f"kept {sizes} concepts"),
            RANDOM: ([random(*one) for one in zip(seeds, kept)], f"{sizes} random directions in {space}"),
            FREE_ALL: ([problem.bottleneck(own, seed, keep_all=True) for seed in seeds], f"{n} concepts"),
            RANDOM_ALL: ([random(seed, n) for seed in seeds], f"{n} random directions in {space}")}
    scores |= {model: np.stack([said for said, *_ in runs]) for model, (runs, _) in made.items()}
    scores |= {RULES: np.stack([one.reasoning[0] for one in ours]), OURS: np.stack([one.scores for one in ours])}
    about = {BLACK_BOX: "linear head on " + ("the same features" if not problem.finetune else "a backbone tuned alike"),
             DCR: "rules without fusion", RULES: "highest truth", OURS: "fused"}
    for model, (runs, what) in made.items():
        undone = sum(not converged for *_, converged in runs)
        about[model] = f"frozen features; {what}"
        about[model] += f"; {undone} of {len(runs)} classifiers not converged" if undone else ""
    return scores, about


def filled(scores):
    """Unknown labels (NaN) become the mean of the known ones of training."""
    means = np.nanmean(scores["train"], 0)
    return {part: np.where(np.isnan(own), means, own) for part, own in scores.items()}
