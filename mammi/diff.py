"""Two finished runs side by side: what differs in the set-up, and neuron by neuron what that changed."""
from typing import NamedTuple

from mammi.finished import HITS
from mammi.report import EXTRAS, NO_EFFECT

SAME = 1e-6  # scores that differ by no more are the same: another machine rounds otherwise
ABSENT = "(absent)"


class Difference(NamedTuple):
    """What :func:`compare` found in two :class:`mammi.finished.Finished` runs, A first.

    settings, versions  [(key, text of A, text of B)], those that differ
    aside               the same for settings that no number depends on
    metrics             [(key, value of A, value of B)], those that differ
    neurons             DataFrame, a row per neuron of either run; the column ``change`` says what changed, "" nothing
    by                  ``name`` or ``index``: how the neurons were matched
    tests               {metric of HITS: (hit in A alone, hit in B alone, neurons, p)} of the exact McNemar test
    """

    settings: list
    versions: list
    aside: list
    metrics: list
    neurons: object
    by: str
    tests: dict

    @property
    def same(self):
        """Nothing differs but what no number depends on."""
        return not (self.settings or self.versions or self.metrics or (self.neurons["change"] != "").any())


def compare(a, b):
    """:class:`Difference` of two finished runs; scores within 1e-6 of each other count as the same."""
    whole = [run.settings | (run.config if a.config and b.config else {}) for run in (a, b)]
    settings = _differing(*whole)
    aside = [row for row in settings if row[0].split(".")[0] in (*NO_EFFECT, "name")]
    metrics = [(key, one, other) for key, one, other in _differing(a.metrics, b.metrics, None)
               if not key.endswith((*EXTRAS, "seconds")) and not _close(one, other)]
    neurons, by = _matched(a.neurons, b.neurons)
    return Difference([row for row in settings if row not in aside], _differing(a.versions, b.versions), aside, metrics,
                      neurons, by, {key: test for key in HITS if (test := _mcnemar(neurons, key))})


def _matched(a, b):
    """(DataFrame with a row per neuron of either run, how they were matched)."""
    import pandas as pd

    unique = all(frame["name"].is_unique for frame in (a, b))
    by = "name" if unique and set(a["name"]) & set(b["name"]) else "index"
    key = "name" if by == "name" else "neuron"
    one, other = a.set_index(key, drop=False), b.set_index(key, drop=False)
    order = [*one.index, *(k for k in other.index if k not in one.index)]
    return pd.DataFrame([_row(one.loc[k] if k in one.index else None, other.loc[k] if k in other.index else None)
                         for k in order]), by


def _row(a, b):
    """One neuron in both runs; either may lack it."""
    some = b if a is None else a
    row = {"neuron": some["neuron"], "name": some["name"]}
    for end, run in (("a", a), ("b", b)):
        row[f"top_{end}"] = "" if run is None or not run["words"] else run["words"][0]
        for column in ("score", "status", *HITS, "n_images"):
            row[f"{column}_{end}"] = None if run is None else run[column]
    mine, theirs = (() if run is None else run["words"] for run in (a, b))
    images = [None if run is None else run["images"] for run in (a, b)]
    row |= {"gained": "; ".join(w for w in theirs if w not in mine),
            "lost": "; ".join(w for w in mine if w not in theirs),
            "images_shared": None if None in images else len(images[0] & images[1])}
    if a is None or b is None:
        return row | {"change": f"in {'B' if a is None else 'A'} only"}
    changes = {"top word": row["top_a"] != row["top_b"], "words": set(mine) != set(theirs),
               "order": set(mine) == set(theirs) and mine != theirs and row["top_a"] == row["top_b"],
               "score": not _close(a["score"], b["score"]), "status": a["status"] != b["status"],
               "hit": not all(_close(a[key], b[key]) for key in HITS),
               "images": images[0] != images[1] if None not in images else not _close(a["n_images"], b["n_images"])}
    return row | {"change": ", ".join(what for what, changed in changes.items() if changed)}


def _mcnemar(neurons, key):
    """(hit in A alone, in B alone, neurons judged in both, two-sided p or None where none differs); None unjudged."""
    from scipy.stats import binomtest

    both = neurons.dropna(subset=[f"{key}_a", f"{key}_b"])
    if both.empty:
        return None
    one, other = both[f"{key}_a"].astype(float) == 1, both[f"{key}_b"].astype(float) == 1
    lost, gained = int((one & ~other).sum()), int((other & ~one).sum())
    return lost, gained, len(both), float(binomtest(gained, lost + gained).pvalue) if lost + gained else None


def _differing(a, b, absent=ABSENT):
    rows = [(key, a.get(key, absent), b.get(key, absent)) for key in {**a, **b}]
    return [(key, one, other) for key, one, other in rows if one != other]


def _close(a, b):
    """Equal numbers up to rounding, or both unknown (None, NaN)."""
    unknown = [value is None or value != value for value in (a, b)]
    if any(unknown):
        return all(unknown)
    try:
        return abs(float(a) - float(b)) <= SAME
    except (TypeError, ValueError):
        return a == b
