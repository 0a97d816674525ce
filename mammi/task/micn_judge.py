"""Numbers of a finished Med-MICN: prediction, concepts, rules, how they agree; MAMMI's neurons as a cross-check."""
import numpy as np
import pandas as pd

from mammi.evaluation.ranking import ENOUGH, auroc, patient_weights
from mammi.micn.alignment import rank_correlations, signs_agree
from mammi.micn.metrics import (
    NAMES,
    difference,
    exact_match,
    interval,
    mean_interval,
    over_seeds,
    resampled,
    summary,
)
from mammi.micn.rules import measures
from mammi.task.micn_models import BLACK_BOX, OURS

RESAMPLES = 200  # of rank correlations


def table_of_models(scores, about, y, patients, seed):
    """(DataFrame with a row a model: means over seeds, sd, 95 % interval over patients and seeds, difference to
    Med-MICN, accuracy as published; facts).

    scores  {model: (S, P, J)}; ``facts`` are those of Med-MICN, and its gain over the black box where that is there
    """
    found = {model: resampled(own, y, patients, seed) for model, own in scores.items()}
    rng, rows = np.random.default_rng(seed), []
    told = {model: summary(one, rng, len(set(patients))) for model, one in found.items()}
    for model, one in found.items():
        less = {} if model == OURS else difference(one, found[OURS], rng)
        less = {f"{key}_less_ours": value for key, value in less.items()}
        rows.append({"model": model, "what": about.get(model, ""), "seeds": len(scores[model]), **told[model], **less,
                     "accuracy_exact": float(np.mean([exact_match(own, y) for own in scores[model]]))})
    facts = told[OURS]
    if BLACK_BOX in found:
        gain = difference(found[OURS], found[BLACK_BOX], rng)
        facts |= {f"{key}_less_black_box": value for key, value in gain.items()}
        for name in NAMES:  # the ends of the interval are named as all others are
            for end in ("low", "high"):
                facts[f"{name}_less_black_box_{end}"] = facts.pop(f"{name}_{end}_less_black_box")
    return pd.DataFrame(rows), facts


def facts_of(ours, rules, y, found, patients, seed):
    """{name, name_low, name_high} of concepts and rules, means over the images and the seeds of ``ours``.

    ours, rules  of each seed: :class:`~mammi.task.micn_models.Trained`, and P lists of rules
    found        :class:`~mammi.task.micn_data.Labels`
    """
    labels, scores = found.labels["test"], found.scores["test"]
    per_seed = []
    for one, own in zip(ours, rules):
        said = one.scores.argmax(1)
        right = np.where(np.isnan(labels), np.nan, (one.concepts > .5) == labels)
        per_seed.append({"concept_accuracy": np.nanmean(right, 1), **measures(own, one.reasoning[0], said),
                         "rule_accuracy": (one.reasoning[0].argmax(1) == y).astype(float),
                         "sign_agreement": signs_agree(own, labels, said)})
    facts = {}
    for name in per_seed[0]:
        columns = np.stack([one[name] for one in per_seed])
        facts |= _named(name, mean_interval(columns, patients, seed, rate=name != "rule_length"))
    facts |= _named("concept_spearman", _spearman([one.concepts for one in ours], scores, patients, seed))
    shares = np.nanmean(labels, 0)
    facts["concept_accuracy_majority"] = float(np.maximum(shares, 1 - shares).mean())  # of always saying the same
    facts["accuracy_exact"] = float(np.mean([exact_match(one.scores, y) for one in ours]))
    facts["relevance"] = float(np.mean([one.reasoning[1].mean() for one in ours]))
    return facts


def _spearman(concepts, scores, patients, seed):
    """(mean over the concepts and the seeds, low, high), resampling patients and seeds; ``concepts``: S of (P, N)."""
    def mean(own, at):
        values = rank_correlations(own[at], scores[at])
        return np.nanmean(values) if (~np.isnan(values)).any() else np.nan

    every = np.arange(len(scores))
    drawn = [np.repeat(every, w) for w in patient_weights(patients, RESAMPLES, seed)]
    samples = np.array([[mean(own, at) for at in drawn] for own in concepts])
    return np.mean([mean(own, every) for own in concepts]), *interval(over_seeds(samples, np.random.default_rng(seed)))


def alignment(explained, patients, seed):
    """{name, name_low, name_high} over the explained images, and how many there are; of one without a map nothing.

    They are of one seed: the intervals are over patients alone.
    """
    names = dict.fromkeys(name for one in explained for name in one.measured)
    facts = {"explained": len(explained)}
    for name in names:
        values = [one.measured.get(name, np.nan) for one in explained]
        facts |= _named(name, mean_interval(values, [patients[one.position] for one in explained], seed))
    return facts


def concept_table(found, ours, neurons, activations):
    """DataFrame with a row a concept: its label, how well it is predicted, and how well MAMMI's neurons rank it.

    neurons      {neuron: word}; activations {"train", "test"}: (P, n) of the layer they are of
    """
    concepts, labels = np.mean([one.concepts for one in ours], 0), found.labels["test"]
    ranks = rank_correlations(concepts, found.scores["test"])
    mean, sd = activations["train"].mean(0), np.maximum(activations["train"].std(0), 1e-12)
    rows = []
    for i, word in enumerate(found.words):
        known = ~np.isnan(labels[:, i])
        there = labels[known, i] == 1
        judged = min(there.sum(), (~there).sum()) >= ENOUGH
        own = [n for n, of in neurons.items() if of == word]
        row = {"concept": word, "threshold": None if found.tau is None else found.tau[i],
               "share_train": float(np.nanmean(found.labels["train"][:, i])), "share_test": float(there.mean()),
               "accuracy": float(((concepts[known, i] > .5) == there).mean()),
               "auroc": auroc(concepts[known, i], there) if judged else None, "spearman": ranks[i],
               "neurons": len(own), "auroc_neurons": None, "spearman_neurons": None, "leak": "",
               "leak_correlation": None}
        if own:
            z = ((np.asarray(activations["test"])[:, own] - mean[own]) / sd[own]).mean(1)
            row["spearman_neurons"] = rank_correlations(z[:, None], concepts[:, [i]])[0]
            row["auroc_neurons"] = auroc(z[known], there) if judged else None
        if word in found.leaks:
            row["leak"], row["leak_correlation"] = found.leaks[word]
        rows.append(row)
    return pd.DataFrame(rows)


def _named(name, values):
    return {key: float(value) for key, value in zip((name, f"{name}_low", f"{name}_high"), values)}
