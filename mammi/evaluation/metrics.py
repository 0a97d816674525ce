"""How well predicted words name neurons: MAMMI's hit rate, precision, recall, F1 and text cosine, with errors.

``predictions`` and ``labels`` are N lists of words: what a method said of each neuron, and the words that would name
it rightly. Case is ignored, nothing else is: "effusions" is not "effusion". A neuron without a prediction scores 0.

The official code rounds the standard deviation to 4 decimals before it divides by sqrt(N); here nothing is rounded,
so a standard error may differ from the paper's in its fifth decimal.
"""
import numpy as np

from mammi.errors import BadInput

NONE = "none"  # the text that the paper's cosines put in place of an empty prediction
LABELS = {"hit": "hit, exact", "hit_lemma": "hit, lemma", "hit_synonym": "hit, synonyms", "f1": "F1",
          "cos_clip": "cosine, CLIP", "cos_mpnet": "cosine, mpnet", "cos_minilm": "cosine, MiniLM"}  # in print
Z = 1.959963984540054  # two-sided 95 % point of the normal distribution


def hit_rate(predictions, labels):
    """Share of neurons, in [0, 1], with at least one predicted word among their labels. Float."""
    return float(hits(predictions, labels).mean())


def precision_recall_f1(predictions, labels):
    """Means over neurons and their standard errors: {precision, recall, f1, precision_se, recall_se, f1_se}."""
    columns = dict(zip(("precision", "recall", "f1"), precisions_recalls_f1s(predictions, labels)))
    return ({name: float(values.mean()) for name, values in columns.items()}
            | {f"{name}_se": standard_error(values) for name, values in columns.items()})


def hits(predictions, labels):
    """(N,) bool: a predicted word is among the neuron's labels."""
    return np.array([bool(set(p) & set(g)) for p, g in _pairs(predictions, labels)])


def precisions_recalls_f1s(predictions, labels):
    """Three (N,) float64 in [0, 1]. Precision divides by the length of the list: a word said twice counts twice."""
    precision, recall, f1 = [], [], []
    for p, g in _pairs(predictions, labels):
        both = len(set(p) & set(g))
        precision.append(both / len(p) if p else 0.0)
        recall.append(both / len(set(g)))
        f1.append(2 * precision[-1] * recall[-1] / (precision[-1] + recall[-1]) if both else 0.0)
    return np.array(precision), np.array(recall), np.array(f1)


def pair_cosine(prediction, label):
    """Mean cosine over all (predicted word, label) pairs of one neuron, each clipped to at most 1. Float in [-1, 1].

    prediction (a, D), label (b, D): unit rows; for an empty prediction the row of :data:`NONE`.
    """
    pairs = np.asarray(prediction, np.float64) @ np.asarray(label, np.float64).T
    return float(np.minimum(pairs, 1).mean())


def standard_error(values):
    """Population standard deviation over neurons / sqrt(N); sqrt(h (1 - h) / N) for hits. Float."""
    values = np.asarray(values, np.float64)
    return float(values.std() / np.sqrt(len(values)))


def wilson(hits, n):
    """95 % Wilson interval (low, high), within [0, 1], of a rate seen as ``hits`` of ``n``."""
    if not 0 <= hits <= n or n < 1:
        raise BadInput(f"an interval needs 0 <= hits <= n and n >= 1, got {hits} of {n}")
    rate, z2 = hits / n, Z * Z
    middle = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * np.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    # The two ends are 0 and 1 exactly; rounding would put them an ulp beside.
    return (0.0 if hits == 0 else float(middle - half)), (1.0 if hits == n else float(middle + half))


def bootstrap(values, seed, n=2000):
    """95 % percentile interval (low, high) of the mean of ``values`` (N,) from ``n`` resamples of the neurons."""
    values = np.asarray(values, np.float64)
    if not len(values):
        raise BadInput("an interval needs at least one neuron, got none")
    draws = np.random.default_rng(seed).integers(len(values), size=(n, len(values)))
    low, high = np.percentile(values[draws].mean(1), [2.5, 97.5])
    return float(low), float(high)


def _pairs(predictions, labels):
    """N (predicted words, label words), lower case, after the checks that all metrics share."""
    if len(predictions) != len(labels):
        raise BadInput(f"{len(predictions)} predictions for {len(labels)} labels: expected one list of words each "
                       "per neuron, in the same order")
    if not len(labels):
        raise BadInput("a metric needs at least one neuron, got none")
    return [(_lower(p, f"prediction {i}"), _lower(g, f"label {i}", 1))
            for i, (p, g) in enumerate(zip(predictions, labels))]


def _lower(words, where, least=0):
    if isinstance(words, str):
        raise BadInput(f"{where} is the string {words!r}: expected a list of words, such as [{words!r}]")
    if len(words) < least:
        raise BadInput(f"{where} has no word: leave out neurons whose right name is not known")
    return [word.lower() for word in words]
