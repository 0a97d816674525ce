"""Evaluation of neurons whose right names are known, as a classifier's outputs are (protocol A.7), with intervals."""
import numpy as np
import pandas as pd

from mammi.errors import MissingAsset
from mammi.evaluation import metrics
from mammi.evaluation.describe import describe, label_columns, purity
from mammi.lemma import lemmas
from mammi.synonyms import load_synonyms

NOT_INDEPENDENT = "also the dissector's text tower: not independent"


class FinalLayer:
    """``evaluation(annotations, evidence)`` -> (flat dict of metrics for JSON, DataFrame with a row per neuron).

    text_encoders  {name: encoder}; each adds ``cos_<name>``. One whose files are missing gives None, and
                   ``cos_<name>_note`` says why.
    synonyms       also match by the committed synonym table
    bootstrap      resamples of the neurons behind the 95 % intervals of means; rates take Wilson's
    seed           of those resamples

    A word matches exactly (``hit``, as in the paper), by lemma (``hit_lemma``: "effusions" is "effusion"), or by lemma
    of a synonym (``hit_synonym``). Each mean ``x`` has ``x_se``, ``x_low`` and ``x_high``. Where the target does not
    know its neurons' names, or for those neurons of it that have none, only what needs no name is reported.
    """

    def __init__(self, text_encoders=None, synonyms=True, bootstrap=2000, seed=0):
        self.text_encoders = dict(text_encoders or {})
        self.synonyms, self.bootstrap, self.seed = synonyms, bootstrap, seed

    def __call__(self, annotations, evidence):
        truths = evidence.target.truths(evidence.target.layer) or [[] for _ in annotations.neurons]
        facts = describe(annotations)
        frame = _frame(annotations)
        if annotations.selected is not None and evidence.images.labels is not None:
            names = [[name, *truth] for name, truth in zip(annotations.neurons, truths)]
            columns = label_columns(names, evidence.images.label_names)
            frame["purity"] = purity(annotations.selected, evidence.images.labels, columns)
            alive = [status != "dead" for status in annotations.status]
            facts |= self._mean("purity", frame["purity"][alive].dropna())
        known = np.flatnonzero([len(truth) > 0 for truth in truths])
        facts["n_named"] = len(known)
        if len(known):
            said, right = [annotations.concepts[i] for i in known], [truths[i] for i in known]
            found, columns = self._names(said, right, annotations.vocabulary or evidence.concepts.words,
                                         getattr(evidence.dissector, "withheld", ()))
            near, more = self._cosines(said, right, evidence)
            facts |= found | near
            for name, values in (columns | more).items():
                frame[name] = pd.Series(values.astype(float), index=known).reindex(frame.index)
            frame.loc[known, "accepted"] = self._accepted(said, right)
        why = pd.DataFrame(annotations.why, index=frame.index if annotations.why else None)
        return facts, frame.join(why.fillna({column: "" for column in why.select_dtypes(exclude="number")}))

    def _names(self, said, right, vocabulary, withheld):
        """Metrics and per-neuron columns that compare words with words."""
        precision, recall, f1 = metrics.precisions_recalls_f1s(said, right)
        facts, columns = {}, {}
        for name, values in (("f1", f1), ("precision", precision), ("recall", recall)):
            facts |= self._mean(name, values)
        names = [_fold(words) for words in right]
        kept_out = np.array([bool(set(words) & set(_fold(withheld))) for words in names])
        for level, (heard, accepted, words) in self._levels(said, right, names, vocabulary).items():
            columns[f"hit{level}"] = hit = metrics.hits(heard, accepted)
            facts |= _rate(f"hit{level}", hit)
            in_set = np.array([bool(words & set(some)) for some in accepted])
            facts[f"labels_in_set{level}"] = int(in_set.sum())
            facts[f"hit{level}_ceiling"] = float(in_set.mean())
            facts[f"hit{level}_over_ceiling"] = float(hit.mean() / in_set.mean()) if in_set.any() else None
            if kept_out.any():
                facts |= _rate(f"hit{level}_seen", hit[~kept_out]) | _rate(f"hit{level}_withheld", hit[kept_out])
        facts |= self._mean("f1_lemma", metrics.precisions_recalls_f1s([_fold(words) for words in said], names)[2])
        facts |= {"n_seen": int((~kept_out).sum()), "n_withheld": int(kept_out.sum())}
        return facts, columns | {"precision": precision, "recall": recall, "f1": f1}

    def _accepted(self, said, right):
        """The words of each neuron that the most lenient level takes, joined by ``; ``: neurons.csv and the picture."""
        _, accepted, _ = list(self._levels(said, right, [_fold(words) for words in right], ()).values())[-1]
        return ["; ".join(word for word in words if lemmas(word) in set(some)) for words, some in zip(said, accepted)]

    def _levels(self, said, right, names, vocabulary):
        """{suffix: (predicted words, accepted words, set of the vocabulary)}, from strict to lenient."""
        heard, words = [_fold(some) for some in said], set(_fold(vocabulary))
        levels = {"": (said, [[word.lower() for word in some] for some in right], {w.lower() for w in vocabulary}),
                  "_lemma": (heard, names, words)}
        if self.synonyms:
            table = {lemmas(name): _fold(others) for name, others in load_synonyms().items()}
            accepted = [[*some, *(other for name in some for other in table.get(name, ()))] for some in names]
            levels["_synonym"] = (heard, accepted, words)
        return levels

    def _cosines(self, said, right, evidence):
        """Metrics and per-neuron columns ``cos_<name>``; words are embedded bare and in lower case, as in the paper."""
        said = [[word.lower() for word in words] or [metrics.NONE] for words in said]
        right = [[word.lower() for word in words] for words in right]
        texts = sorted({word for words in [*said, *right] for word in words})
        own_tower = getattr(evidence.dissector, "text_encoder", None)
        facts, columns = {}, {}
        for name, encoder in self.text_encoders.items():
            key = f"cos_{name}"
            try:
                rows = dict(zip(texts, evidence.embed_with(encoder, texts)))
            except MissingAsset as error:
                facts |= dict.fromkeys([key, f"{key}_se", f"{key}_low", f"{key}_high"])
                facts[f"{key}_note"] = str(error)
                columns[key] = np.full(len(said), np.nan)
                continue
            columns[key] = np.array([metrics.pair_cosine([rows[w] for w in p], [rows[w] for w in g])
                                     for p, g in zip(said, right)])
            facts |= self._mean(key, columns[key])
            if encoder.fingerprint == getattr(own_tower, "fingerprint", None):
                facts[f"{key}_note"] = NOT_INDEPENDENT
        return facts, columns

    def _mean(self, name, values):
        """{name, name_se, name_low, name_high} of a mean over neurons; all None where there is none."""
        if not len(values):
            return dict.fromkeys([name, f"{name}_se", f"{name}_low", f"{name}_high"])
        low, high = metrics.bootstrap(values, self.seed, self.bootstrap)
        return {name: float(np.mean(values)), f"{name}_se": metrics.standard_error(values),
                f"{name}_low": low, f"{name}_high": high}


def _rate(name, hits):
    """{name, name_se, name_low, name_high} of a hit rate; all None where no neuron is left."""
    if not len(hits):
        return dict.fromkeys([name, f"{name}_se", f"{name}_low", f"{name}_high"])
    low, high = metrics.wilson(int(hits.sum()), len(hits))
    return {name: float(hits.mean()), f"{name}_se": metrics.standard_error(hits), f"{name}_low": low,
            f"{name}_high": high}


def _fold(words):
    """Lemmas of ``words``, each once: two forms of a word are one answer."""
    return list(dict.fromkeys(lemmas(word) for word in words))


def _frame(annotations):
    """What every evaluation says of a neuron."""
    n = len(annotations.neurons)
    selected = np.full(n, np.nan) if annotations.selected is None else annotations.selected.sum(0)
    return pd.DataFrame({
        "neuron": range(n), "name": annotations.neurons, "status": annotations.status,
        "images_selected": selected, "purity": np.nan,
        "top_concept": [words[0] if words else "" for words in annotations.concepts],
        "concepts": ["; ".join(words) for words in annotations.concepts], "accepted": ""})
