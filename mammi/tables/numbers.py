"""Numbers of rows, over seeds and neurons, and the comparisons between the rows of a table."""
from itertools import combinations
from typing import NamedTuple

import numpy as np

from mammi.evaluation.metrics import bootstrap, wilson
from mammi.tables.paired import CLOSE, holm, mcnemar, sign_flip
from mammi.tables.rows import COUNTS, HITS, METRICS

SEED = 0  # of resamples and random sign flips


class Value(NamedTuple):
    """One metric of a row: mean over ``seeds``, their sd (ddof 1; None for one), 95 % interval (None for counts)."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int
    ceiling: float | None
    seeds: tuple


class Comparison(NamedTuple):
    """``greater`` minus ``less``, two row labels, in one metric: the paper's order, or the later row first.

    reference   the paper's metric behind ``published`` (cos_minilm stands for cos_mpnet where that is missing)
    published   the paper's difference, at least 0, or None
    difference  ours, mean over the shared seeds and ``n`` neurons; ``low``, ``high`` its 95 % bootstrap over neurons
    tests       tuple of :class:`Test`; empty for counts
    """

    metric: str
    greater: str
    less: str
    reference: str
    published: float | None
    n: int
    seeds: tuple
    difference: float
    low: float | None
    high: float | None
    tests: tuple

    @property
    def verdict(self):
        """``comes out``, ``tie``, ``reversed``; empty where the paper has no order."""
        if not self.published:
            return ""
        return "tie" if abs(self.difference) < CLOSE else "comes out" if self.difference > 0 else "reversed"

    @property
    def clear(self):
        """Whether the interval lies on one side of 0."""
        return self.low is not None and (self.low > CLOSE or self.high < -CLOSE)


class Test(NamedTuple):
    """``name`` McNemar (of one seed, with the neurons that only one row hits) or sign flips (over the seeds' mean)."""

    __test__ = False  # pytest, this is none of yours
    name: str
    seed: str
    only_greater: int | None
    only_less: int | None
    p: float
    p_holm: float | None = None


def value(results, metric):
    """:class:`Value` of ``{seed: Result}``, or None where no run has the metric.

    One seed: the run's own interval. Several: Wilson's of the mean rate over n neurons, or the bootstrap of neurons
    after averaging each over the seeds. A seed adds no neuron, so n stays the number of neurons.
    """
    results = {seed: result for seed, result in results.items() if result.has(metric)}
    if not results:
        return None
    first = next(iter(results.values()))
    each = [float(result.metrics[metric]) for result in results.values()]
    mean, sd = float(np.mean(each)), float(np.std(each, ddof=1)) if len(each) > 1 else None
    if metric in COUNTS:
        return Value(mean, sd, None, None, len(first.neurons), None, tuple(results))
    neurons = per_neuron(results, metric)
    n = int((~np.isnan(neurons)).sum())
    if len(each) == 1:
        low, high = first.metrics.get(f"{metric}_low"), first.metrics.get(f"{metric}_high")
    else:
        low, high = wilson(min(mean * n, n), n) if metric in HITS else bootstrap(neurons[~np.isnan(neurons)], SEED)
    return Value(mean, sd, low, high, n, first.metrics.get(f"{metric}_ceiling"), tuple(results))


def per_neuron(results, metric):
    """(N,) means over the seeds; NaN for a neuron without a name."""
    return np.mean([result.neurons[metric] for result in results.values()], axis=0)


def comparisons(table, rows):
    """[:class:`Comparison`] of every two rows that were run; ``rows`` {label: {seed: Result}}. Holm over all tests."""
    found = [comparison for a, b in combinations([label for label in table.rows if rows.get(label)], 2)
             for metric in METRICS if metric not in HITS[1:]  # the lenient hits are shown, not tested
             for comparison in _compare(table, rows, a, b, metric)]
    adjusted = iter(holm([test.p for comparison in found for test in comparison.tests]))
    return [comparison._replace(tests=tuple(test._replace(p_holm=next(adjusted)) for test in comparison.tests))
            for comparison in found]


def _compare(table, rows, a, b, metric):
    """[the one comparison of rows ``a`` and ``b``], or [] where they share no seed, neurons or metric."""
    seeds = [seed for seed in rows[a] if seed in rows[b] and rows[a][seed].has(metric) and rows[b][seed].has(metric)]
    reference = _reference(table, rows, a, b, metric)
    if not seeds or metric in COUNTS and not reference:
        return []
    a, b = b, a  # the later row minus the earlier: the paper's own method stands last
    published = float(table.rows[a].published[reference].value) - float(table.rows[b].published[reference].value) \
        if reference else None
    if published is not None and published < 0:
        a, b, published = b, a, -published
    of_a, of_b = ({seed: rows[label][seed] for seed in seeds} for label in (a, b))
    if metric in COUNTS:
        differences = [of_a[seed].metrics[metric] - of_b[seed].metrics[metric] for seed in seeds]
        return [Comparison(metric, a, b, reference, published, len(of_a[seeds[0]].neurons), tuple(seeds),
                           float(np.mean(differences)), None, None, ())]
    if of_a[seeds[0]].same["list of neurons"] != of_b[seeds[0]].same["list of neurons"]:
        return []
    differences = per_neuron(of_a, metric) - per_neuron(of_b, metric)
    both = ~np.isnan(differences)
    differences = differences[both]
    if not len(differences):
        return []
    if metric in HITS:
        tests = tuple(Test("McNemar", str(seed), *mcnemar(of_a[seed].neurons[metric][both] == 1,
                                                          of_b[seed].neurons[metric][both] == 1)) for seed in seeds)
    else:
        tests = (Test("sign flips", "mean" if len(seeds) > 1 else str(seeds[0]), None, None,
                      sign_flip(differences, SEED)),)
    low, high = bootstrap(differences, SEED)
    return [Comparison(metric, a, b, reference, published, len(differences), tuple(seeds), float(differences.mean()),
                       low, high, tests)]


def _reference(table, rows, a, b, metric):
    """The paper's metric that orders rows ``a`` and ``b`` in ``metric``, or an empty string."""
    published = table.rows[a].published.keys() & table.rows[b].published.keys()
    if metric == "cos_minilm" and not any(result.has("cos_mpnet") for label in (a, b)
                                          for result in rows[label].values()):
        metric = "cos_mpnet"
    return metric if metric in published else ""
