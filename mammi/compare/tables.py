"""Tables of a comparison: what is covered, what came and went, what nobody has, how it fits the reading workflow."""
import numpy as np

from mammi.compare import statistics
from mammi.compare.layers import counts, held, official_limits
from mammi.compare.rows import difference, value, values
from mammi.types import STEPS

ALL = "all layers"
ANY = "any model"
CLINICAL = "clinical"


class Comparison:
    """Layers of several models, read out of :class:`mammi.compare.layers.Layer` and :class:`mammi.types.Concepts`.

    layers     every layer of every model, same depths in each
    concepts   with categories; the other levels and the workflow where the set has them
    reference  the model that the others are held against
    resamples  draws of units for intervals, and of null units for what chance gives; both by ``seed``

    Tables are DataFrames with a row for each model, layer (or ``all layers``) and threshold. Columns that end in
    ``_low`` and ``_high`` are 95 % intervals over units, drawn within their layers: what another set of as many such
    units would give, not what other images or another training would. Where none or all of the units count, no drawn
    one differs, and it is Wilson's; numbers of concepts and differences have no such interval. ``_chance`` is the mean
    of as many null units, ``_chance_high`` their 97.5 % quantile, as if units were independent; both blank without a
    null.
    """

    def __init__(self, layers, concepts, reference, resamples=1000, seed=0):
        self.layers, self.concepts, self.reference = layers, concepts, reference
        self.models = tuple(dict.fromkeys(layer.model for layer in layers))
        self.depths = sorted({layer.depth for layer in layers})
        self.official = official_limits(layers)
        self.thresholds = tuple(layers[0].limits(0))
        steps = concepts.steps or tuple("control" if name == "control" else "" for name in concepts.categories)
        self.control = np.array([step == "control" for step in steps])
        self.levels = {name: statistics.groups(names) for name, names in (
            ("broad_category", concepts.broad_categories), ("category", concepts.categories), ("step", steps))
            if any(names)}
        if "step" in self.levels:  # in the order of reading
            kinds, member = self.levels["step"]
            order = sorted(range(len(kinds)), key=lambda k: STEPS.index(kinds[k]))
            self.levels["step"] = [kinds[k] for k in order], member[:, order]
        self.held = {}
        for layer in layers:
            for threshold, limit in layer.limits(self.official[layer.depth]).items():
                rng = np.random.default_rng([seed, layer.depth, self.models.index(layer.model)])
                one = held(layer, limit, len(concepts), resamples, rng)
                self.held[layer.model, layer.depth, threshold] = one
                total = self.held.get((layer.model, ALL, threshold))
                self.held[layer.model, ALL, threshold] = one if total is None else total + one

    def by_layer(self):
        """A row for each layer of each model, behind them all layers: units, thresholds, what passes, entropy."""
        rows = []
        for layer in self.layers:
            limits = layer.limits(self.official[layer.depth])
            row = {"model": layer.model, "depth": layer.depth, "layer": layer.name, "units": len(layer.units),
                   "dead": layer.width - len(layer.units), "mean_top1": float(layer.score.mean())}
            row |= {f"{name}_threshold": limit for name, limit in limits.items()}
            rows.append(row | self._passing(layer.model, layer.depth))
        for model in self.models:
            own = [layer for layer in self.layers if layer.model == model]
            row = {"model": model, "layer": ALL, "units": sum(len(layer.units) for layer in own),
                   "dead": sum(layer.width - len(layer.units) for layer in own),
                   "mean_top1": float(np.concatenate([layer.score for layer in own]).mean())}
            rows.append(row | self._passing(model, ALL))
        return _frame(rows)

    def _passing(self, model, layer):
        row = {}
        for threshold in self.thresholds:
            one = self.held[model, layer, threshold]
            row |= value(f"above_{threshold}", one, lambda x: x.sum(-1), 0, one.units, one.units)
            row |= {f"concepts_{threshold}": int((one.observed > 0).sum())}
            for level in ("broad_category", "category"):
                if level in self.levels:
                    kinds, member = self.levels[level]
                    row |= value(f"entropy_{level}_{threshold}", one,
                                  lambda x, member=member: statistics.entropy(x, member), 0, np.log(len(kinds)))
        return row

    def coverage(self):
        """Units and different concepts of each group, and the share of the group's concepts that are there."""
        rows = []
        for (model, layer, threshold), one in self.held.items():
            rows += self._covered({"model": model, "layer": self._name(model, layer), "threshold": threshold}, one)
        for threshold in self.thresholds:
            everybody = [self.held[model, ALL, threshold] for model in self.models]
            joined = everybody[0]
            for other in everybody[1:]:
                joined += other
            rows += self._covered({"model": ANY, "layer": ALL, "threshold": threshold}, joined)
        return _frame(rows)

    def _covered(self, row, one):
        rows = []
        for level, (kinds, member) in self.levels.items():
            units = values("units", one, lambda x, member=member: statistics.units(x, member), 0, one.units,
                           one.units)
            found = values("concepts", one, lambda x, member=member: statistics.concepts(x, member), 0, member.sum(0))
            for k, kind in enumerate(kinds):
                of = int(member[:, k].sum())
                rows.append({**row, "level": level, "category": kind, "of": of, **units[k], **found[k],
                             "coverage": found[k]["concepts"] / of})
        return rows

    def delta(self):
        """Each other model less the reference, by group: units, different concepts, how many came and went.

        ``gained_chance`` is how many concepts that the reference lacks as many null units would show, ``lost_chance``
        the same with the two exchanged: more than all false ones. Units of two models are drawn independently, although
        a fine-tuned model shares its units with the other by index: drawn in pairs the intervals hardly differ.
        """
        rows = []
        for model, layer, threshold in self.held:
            if model == self.reference:
                continue
            ours, theirs = self.held[model, layer, threshold], self.held[self.reference, layer, threshold]
            row = {"model": model, "reference": self.reference, "layer": self._name(model, layer),
                   "threshold": threshold}
            for level, (kinds, member) in self.levels.items():
                for k, kind in enumerate(kinds):
                    rows.append({**row, "level": level, "category": kind, **difference(ours, theirs, member[:, k])})
        return _frame(rows)

    def changes(self):
        """A row for each concept that the reference or another model holds, over all layers: gained, lost or kept.

        ``p_chance`` is the probability that as many null units give at least the units of the model that holds it, by
        :meth:`expected`; of a kept one the smaller of the two. It asks whether that model has the word more often than
        chance has it, not whether anything changed: the other model may have missed it by a hair. It cannot be smaller
        than about units / (2 null units) for a word that one unit has, and it is not corrected for the number of words.
        """
        from scipy.stats import poisson

        rows, by_chance = [], {}
        for model in self.models:
            for threshold in self.thresholds if self.layers[0].null_top is not None else ():
                by_chance[model, threshold] = self.expected(model, threshold)
        for model in self.models:
            for threshold in self.thresholds if model != self.reference else ():
                ours, theirs = self.held[model, ALL, threshold], self.held[self.reference, ALL, threshold]
                for j in np.flatnonzero(ours.observed + theirs.observed):
                    a, b = int(theirs.observed[j]), int(ours.observed[j])
                    change = "kept" if a and b else "gained" if b else "lost"
                    p = {"p_chance": min(float(poisson.sf(n - 1, by_chance[one, threshold][j]))
                                         for one, n in ((self.reference, a), (model, b)) if n)} if by_chance else {}
                    rows.append({"model": model, "reference": self.reference, "threshold": threshold, "change": change,
                                 **self._about(j), "units_reference": a, "units_model": b, **p})
        return _frame(rows)

    def expected(self, model, threshold):
        """(C,) how many units above the threshold had each concept if all units of ``model`` were null units: the
        rate of a Poisson distribution. Half a null unit is added (Jeffreys), for none in 1,000 is not never."""
        rates, units, of = np.zeros(len(self.concepts)), 0, 0
        for layer in self.layers:
            if layer.model == model:
                limit = layer.limits(self.official[layer.depth])[threshold]
                n, m = len(layer.units), len(layer.null_top)
                rates += counts(layer.null_top, layer.null_score, limit, len(rates)) * n / m
                units, of = units + n, of + m
        return rates + units / of / 2

    def missing(self):
        """A row for each concept that no unit of any layer of any model stands for, by either threshold."""
        lacks = {threshold: ~np.any([self.held[model, ALL, threshold].observed > 0 for model in self.models], axis=0)
                 for threshold in self.thresholds}
        rows = [{**self._about(j), **{f"missing_{name}": bool(lack[j]) for name, lack in lacks.items()}}
                for j in np.flatnonzero(np.any(list(lacks.values()), axis=0))]
        return _frame(rows or [{**self._about(0), **{f"missing_{name}": False for name in lacks}}]).iloc[:len(rows)]

    def workflow(self):
        """Share of the units above a threshold whose concept is clinical and no control word, and of each step.

        share          of the units above the threshold; ``list_share`` is that of the words to choose from
        coverage       of the step's concepts, the share that some unit stands for
        less_reference share less the reference model's
        """
        rows = []
        if "step" not in self.levels:
            return _frame(rows)
        kinds, member = self.levels["step"]
        parts = [(CLINICAL, ~self.control), *((kind, member[:, k]) for k, kind in enumerate(kinds))]
        for (model, layer, threshold), one in self.held.items():
            theirs = self.held[self.reference, layer, threshold]
            for part, some in parts:
                row = {"model": model, "layer": self._name(model, layer), "threshold": threshold, "part": part,
                       "units": int(one.observed[some].sum()), "of_units": int(one.observed.sum())}
                row |= value("share", one, lambda x, some=some: statistics.share(x, some), 0, 1, row["of_units"])
                row |= {"list_share": float(some.mean()), "concepts": int((one.observed[some] > 0).sum()),
                        "of_concepts": int(some.sum())}
                row |= value("coverage", one, lambda x, some=some: (x[..., some] > 0).mean(-1), 0, 1)
                if model != self.reference:
                    less, samples = (statistics.share(a, some) - statistics.share(b, some)
                                      for a, b in ((one.observed, theirs.observed), (one.samples, theirs.samples)))
                    low, high = statistics.interval(less, samples, -1, 1)
                    row |= {"less_reference": float(less), "less_reference_low": low, "less_reference_high": high}
                rows.append(row)
        return _frame(rows)

    def units(self):
        """A row for each living unit: its best concept and whether it passes."""
        rows = []
        for layer in self.layers:
            limits = layer.limits(self.official[layer.depth])
            for unit, top, score in zip(layer.units, layer.top, layer.score):
                rows.append({"model": layer.model, "depth": layer.depth, "layer": layer.name, "unit": int(unit),
                             **self._about(top), "score": float(score),
                             **{f"above_{name}": bool(score >= limit) for name, limit in limits.items()}})
        return _frame(rows)

    def _about(self, j):
        columns = {"category": self.concepts.categories, "broad_category": self.concepts.broad_categories,
                   "step": self.concepts.steps}
        return {"concept": self.concepts.words[j], **{name: own[j] for name, own in columns.items() if own}}

    def _name(self, model, layer):
        return layer if layer == ALL else next(one.name for one in self.layers
                                               if one.model == model and one.depth == layer)


def _frame(rows):
    import pandas as pd

    return pd.DataFrame(rows)
