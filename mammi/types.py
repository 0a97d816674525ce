"""Values that cross a stage border.

P probing images, N neurons, C concepts, D embedding dimensions, L labels; B images of a batch.
"""
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Box(NamedTuple):
    """One finding of one image: ``label`` and pixels of that image, (x, y) the upper-left corner."""

    label: str
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Batch:
    """B images with what is known about them. Fields that a set does not have are None.

    images      B PIL images, mode L or RGB, any size; a target or dissector brings its own transform
    ids         B image ids, unique within the set
    patients    B patient ids (the image id where the set knows no patient)
    labels      (B, L) float32: 1 present, 0 absent, NaN unknown
    label_names L names, the columns of ``labels``
    masks       B of (M, H, W) bool, each of its image's own size, on request; one (B, M, H, W) array where all images
                of a set share one size
    mask_names  M names, the channels of ``masks``
    boxes       B tuples of :class:`Box`
    """

    images: tuple
    ids: tuple[str, ...]
    patients: tuple[str, ...]
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    masks: Any = None
    mask_names: tuple[str, ...] = ()
    boxes: tuple[tuple[Box, ...], ...] | None = None

    def __len__(self):
        return len(self.images)


class Reading(NamedTuple):
    """What a target's layer says of a batch (torch tensors).

    pooled  (B, N), one number per neuron; raw (logits for a final layer)
    maps    (B, N, h, w) or None; for a final layer after global average pooling its class activation maps
    """

    pooled: Any
    maps: Any = None


class LinearHead(NamedTuple):
    """Final layer = ``weight`` (classes, features) @ pooled ``layer`` + ``bias`` (classes,); torch tensors."""

    weight: Any
    bias: Any
    layer: str


@dataclass(frozen=True)
class Readout:
    """One scalar per image out of a target: unit ``index`` of ``layer`` (a class is a unit of ``final``).

    Annotation ranks images by it, an explainer differentiates it.
    """

    layer: str
    index: int
    name: str = ""

    def __call__(self, readings):
        """(B,) from the dict that ``Target.read`` or ``Target.forward`` returned."""
        return readings[self.layer].pooled[:, self.index]


@dataclass(frozen=True)
class Annotations:
    """Concepts of every neuron, best first. Ragged: a method may bring its own vocabulary.

    neurons   N names
    concepts  N lists of words; empty for a dead neuron or where nothing passed
    scores    N lists aligned with ``concepts``; the method's own scale, higher is better
    status    N of ``ok``, ``empty`` (nothing passed), ``dead`` (constant activation)
    selected  (P, N) bool, the representative images, or None where the method selects none
    dense     (N, C) scores over ``vocabulary``, or None
    why       per-neuron facts, N dicts with the columns that the method adds to ``neurons.csv``
              (``runner_up``, ``margin``, ``pivotal_image`` ...), or an empty list
    contributions  N lists of (image position, part of the top word's score), largest first
    notes     what a reader of the run must know of how the words were found
    """

    neurons: tuple[str, ...]
    concepts: list[list[str]]
    scores: list[list[float]]
    status: list[str]
    selected: np.ndarray | None = None
    dense: np.ndarray | None = None
    vocabulary: tuple[str, ...] = ()
    why: list[dict] = field(default_factory=list)
    contributions: list[list[tuple[int, float]]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        n = len(self.neurons)
        if not n == len(self.concepts) == len(self.scores) == len(self.status):
            raise ValueError(f"{n} neurons, {len(self.concepts)} concept lists, {len(self.scores)} score lists, "
                             f"{len(self.status)} states: they must be as many")
        for name, words, scores in zip(self.neurons, self.concepts, self.scores):
            if len(words) != len(scores):
                raise ValueError(f"neuron {name}: {len(words)} concepts but {len(scores)} scores")

    def to_frame(self):
        """One row per (neuron, concept): columns neuron, name, rank (from 1), concept, score."""
        import pandas as pd

        rows = [(i, self.neurons[i], rank, word, score)
                for i, (words, scores) in enumerate(zip(self.concepts, self.scores))
                for rank, (word, score) in enumerate(zip(words, scores), 1)]
        return pd.DataFrame(rows, columns=["neuron", "name", "rank", "concept", "score"])


class Check(NamedTuple):
    """One question that the gate asks of a dissector.

    state     ``pass``, ``fail``, or ``unknown`` where it cannot be asked
    says      a sentence with the numbers
    decisive  whether a ``fail`` fails the dissector; else it is a warning
    numbers   {name: number}
    """

    name: str
    state: str
    says: str
    decisive: bool = False
    numbers: dict = {}


class Verdict(NamedTuple):
    """What the gate says of a dissector.

    name    one of :data:`VERDICTS`, or :data:`NOT_CHECKED`, :data:`NOT_ASKED`
    says    why
    golden  its embeddings of fixed pictures and texts, lists; {} where nobody asked
    """

    name: str
    says: str
    checks: tuple[Check, ...] = ()
    golden: dict = {}


VERDICTS = ("verified", "plausible", "unverified", "failed")
NOT_CHECKED = "not checked"  # there was no gate
NOT_ASKED = "not asked"      # the method takes no dissector's word

# How a radiologist reads: where it is, what it looks like, what it means, what to do; and words of anything else.
STEPS = ("locate", "characterise", "interpret", "act", "control")


@dataclass(frozen=True)
class Concepts:
    """A concept set: C distinct words, first-seen order.

    name        what rows and logs call it; names a stand-in, e.g. ``openi_nouns (stand-in for mimic_nouns)``
    words       C words or phrases
    categories  C category names, or empty
    source      one line: where the words come from, with licence
    dropped     what the loader left out and why: {reason: count}
    frequency   C numbers of reports that use the word, or empty where there are no reports
    broad_categories  C names of groups of categories, or empty
    steps       C steps of the reading workflow, of :data:`STEPS`, "" where a clinical word stands for none; or empty
    """

    name: str
    words: tuple[str, ...]
    categories: tuple[str, ...] = ()
    source: str = ""
    dropped: dict = field(default_factory=dict)
    frequency: tuple[int, ...] = ()
    broad_categories: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    def __len__(self):
        return len(self.words)
