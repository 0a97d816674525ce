"""What Figure 3 is about: images, the classes predicted on them, and how much each neuron matters for them."""
from typing import NamedTuple

import numpy as np

from mammi import importance
from mammi.errors import BadInput, near, number
from mammi.task.performance import columns_of


class Case(NamedTuple):
    """One row of the figure: an image and one class predicted on it.

    image, name, k      position in the set, class and its number
    probability, threshold
    phi                 (K,) importance of the neurons for this image, ``of_class`` (K,) its mean over the class
    output              the class's logit less its bias: what exact Shapley values add up to; NaN where the head is not
                        linear, since activation x gradient adds up to nothing
    """

    image: int
    name: str
    k: int
    probability: float
    threshold: float
    phi: np.ndarray
    of_class: np.ndarray
    output: float


def chosen(images, belongs, probabilities, ids):
    """Positions of the images of the figure, see :func:`mammi.task.figure3.figure3`."""
    if not isinstance(images, int):
        at = {name: i for i, name in enumerate(ids)}
        if absent := [name for name in images if name not in at]:
            raise BadInput(f"task.images: there is no image {absent[0]}. {near(str(absent[0]), ids)}")
        if empty := [name for name in images if not belongs[at[name]].any()]:
            raise BadInput(f"task.images: no class is predicted on {', '.join(empty)}: there is nothing to explain")
        return [at[name] for name in images]
    number("task.images", images, 1, whole=True)
    classes = np.argsort(-belongs.sum(0), kind="stable")
    certain = [int(np.argmax(np.where(belongs[:, k], probabilities[:, k], -1))) for k in classes if belongs[:, k].any()]
    if not certain:
        raise BadInput(f"no class reaches its threshold on any of {len(ids)} images: give more (probing_set.limit)")
    return list(dict.fromkeys(certain))[:images]


def members_of(belongs, classes, images):
    """((P, C) bool: the images that a class's importance is the mean over, [names of classes without a label]): those
    with the label, or where no image has it those that ``belongs`` says the class is predicted on."""
    columns = columns_of(images, classes) if images.labels is not None else [None] * len(classes)
    labelled = np.stack([np.zeros(len(images), bool) if k is None else images.labels[:, k] == 1 for k in columns], 1)
    there = labelled.any(0)
    return np.where(there, labelled, belongs), [name for name, has in zip(classes, there) if not has]


def cases_of(at, belongs, probabilities, thresholds, evidence, members, most=2):
    """:class:`Case` of every predicted class of the images ``at``, most certain first, ``most`` of an image."""
    target, classes = evidence.target, evidence.target.neurons("final")
    pairs = [(i, int(k)) for i in at for k in np.argsort(-probabilities[i], kind="stable") if belongs[i, k]]
    pairs = [pair for n, pair in enumerate(pairs) if sum(other[0] == pair[0] for other in pairs[:n]) < most]
    means = {k: mean_of(evidence, k, members[:, k]) for k in {k for _, k in pairs}}
    logits, bias = evidence.read(["final"])["final"], np.full(len(classes), np.nan)
    if linear(target):
        bias = target.head.bias.detach().cpu().numpy() if target.head.bias is not None else np.zeros(len(classes))
    return [Case(i, classes[k], k, float(probabilities[i, k]), float(thresholds[k]), phi, means[k],
                 float(logits[i, k] - bias[k])) for (i, k), phi in zip(pairs, values_of(evidence, pairs))]


def linear(target):
    """Whether the classes are a linear head's on the layer that is annotated."""
    return target.head is not None and target.head.layer == target.layer


def mean_of(evidence, k, members):
    """(K,) mean importance of the neurons for class ``k`` over the images ``members`` (P,) bool: Phi of WWW. Of a
    linear head it is W_ck times the mean activation, exactly."""
    target, layer = evidence.target, evidence.target.layer
    if linear(target):
        pooled = evidence.read([layer])[layer][members].mean(0, dtype=np.float64)
        return importance.shapley(pooled[None], target.head.weight[[k]])[0, 0]
    return importance.of_class(values_of(evidence, [(i, k) for i in np.flatnonzero(members)]),
                               np.ones(members.sum(), bool))


def values_of(evidence, pairs):
    """(len(pairs), K) importance of the layer's neurons for each (image, class): exact Shapley values of a linear head,
    else activation x gradient."""
    target, layer = evidence.target, evidence.target.layer
    if linear(target):
        weight = target.head.weight.detach().cpu().numpy().astype(np.float64)
        images, classes = zip(*pairs)
        return evidence.read([layer])[layer][list(images)] * weight[list(classes)]
    rows = []
    for start in range(0, len(pairs), evidence.batch_size):
        some = pairs[start:start + evidence.batch_size]
        x = target.prepare(evidence.images.load([i for i, _ in some]))
        rows.append(importance.by_gradient(target, x, [target.unit("final", k) for _, k in some], layer).cpu().numpy())
    return np.concatenate(rows)
