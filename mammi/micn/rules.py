"""Rules of single images and of classes, in words, and how well they explain.

P images, N concepts, J classes. A rule is a conjunction of concepts or their absence.
"""
from typing import NamedTuple

import numpy as np

ACTIVE = .5  # truth from which on a rule fires, and polarity from which on a literal is positive


class Rule(NamedTuple):
    """``literals``: (concept position, True where it must be present, relevance), in the order of the concepts."""

    cls: int
    truth: float
    literals: tuple

    @property
    def minterm(self):
        return self.cls, tuple((i, positive) for i, positive, _ in self.literals)


def local_rules(reasoning):
    """P lists of :class:`Rule`: of each class whose truth exceeds .5, the most true first.

    Concept i is in the rule of class j where 1 - r_ij < g_ij, positive where o_ij >= .5: that is where the truth of its
    part comes from the agreement and not from being of no relevance. ``reasoning``: four arrays, see
    :class:`mammi.micn.logic.Reasoning`.
    """
    truth, relevance, polarity, agreement = map(np.asarray, reasoning)
    kept, positive, out = 1 - relevance < agreement, polarity >= ACTIVE, []
    for p, row in enumerate(truth):
        order = [j for j in np.argsort(-row, kind="stable") if row[j] > ACTIVE]
        out.append([Rule(int(j), float(row[j]), tuple(
            (int(i), bool(positive[p, i, j]), float(relevance[p, i, j])) for i in np.flatnonzero(kept[p, :, j])))
            for j in order])
    return out


def spoken(rule, classes, words):
    """``effusion <= blunted angle and not clear``; a rule without a literal is ``effusion <= anything``."""
    return f"{classes[rule.cls]} <= {body(rule, words) or 'anything'}"


def body(rule, words):
    return " and ".join(f"{'' if positive else 'not '}{words[i]}" for i, positive, *_ in rule.literals)


def holds(rule, labels):
    """(P,) bool: all literals are so in ``labels`` (P, N) of 1, 0; an unknown one (NaN) is not."""
    labels = np.asarray(labels)
    return np.all([labels[:, i] == positive for i, positive, *_ in rule.literals], axis=0) if rule.literals \
        else np.ones(len(labels), bool)


def global_rules(rules, y, labels, classes, words):
    """DataFrame of the different rules of all images, the most frequent of a class first.

    images     whose own rule it is; ``share`` of the images with a rule of that class; ``right``: share of them that
               are of the class
    fulfilled  images whose concept ``labels`` (P, N) fulfil it; ``right_by_labels``: share of them of the class
    base       share of all images that are of the class, which a rule must beat
    """
    import pandas as pd

    counts = {}
    for p, own in enumerate(rules):
        for rule in own:
            counts.setdefault(rule.minterm, []).append((p, rule))
    totals = {j: sum(len(found) for (cls, _), found in counts.items() if cls == j) for j in range(len(classes))}
    lines = []
    for (j, literals), found in counts.items():
        at, rule = [p for p, _ in found], found[0][1]
        there = holds(rule, labels)
        lines.append({"class": classes[j], "rule": spoken(rule, classes, words), "length": len(literals),
                      "images": len(at), "share": len(at) / totals[j], "right": float((y[at] == j).mean()),
                      "truth": float(np.mean([r.truth for _, r in found])), "fulfilled": int(there.sum()),
                      "right_by_labels": float((y[there] == j).mean()) if there.any() else np.nan,
                      "base": float((y == j).mean())})
    columns = ["class", "rule", "length", "images", "share", "right", "truth", "fulfilled", "right_by_labels", "base"]
    table = pd.DataFrame(lines, columns=columns)
    order = {name: j for j, name in enumerate(classes)}
    table["at"] = table["class"].map(order)
    return table.sort_values(["at", "images", "rule"], ascending=[True, False, True]).drop(columns="at") \
        .reset_index(drop=True)


def right_by_labels(table):
    """How often a rule of :func:`global_rules` is right where the concept labels fulfil it, and the base rate that
    says as much: means in which a rule weighs as many images as have it; None of nothing."""
    known = table.dropna(subset="right_by_labels")
    return {name: float(np.average(known[column], weights=known["images"])) if len(known) else None
            for name, column in (("rules_right_by_labels", "right_by_labels"), ("rules_right_by_labels_base", "base"))}


def by_class(table):
    """DataFrame with a row a class of :func:`global_rules`: its different rules, ``images`` that have one,
    ``right_by_labels`` as above, beside it ``base``."""
    import pandas as pd

    return pd.DataFrame([{"class": name, "rules": len(own), "images": int(own["images"].sum()),
                          "right_by_labels": right_by_labels(own)["rules_right_by_labels"],
                          "base": own["base"].iloc[0]} for name, own in table.groupby("class", sort=False)],
                        columns=["class", "rules", "images", "right_by_labels", "base"])


def measures(rules, truth, predicted):
    """{name: (P,) float, NaN where it does not apply}: how the rules explain the predictions ``predicted`` (P,).

    rule_fidelity  1 where the class of the highest ``truth`` (P, J) is the predicted one
    rule_coverage  1 where at least one rule fires
    rule_length    literals of the predicted class's rule, else of the first that fires
    """
    told = [next((r for r in own if r.cls == p), own[0] if own else None) for own, p in zip(rules, predicted)]
    return {"rule_fidelity": (np.asarray(truth).argmax(1) == predicted).astype(float),
            "rule_coverage": np.array([bool(own) for own in rules], float),
            "rule_length": np.array([np.nan if r is None else len(r.literals) for r in told], float)}
