"""CoSy on labelled images: how well a neuron's activation tells images that show its word from images that do not.

CoSy (Kopf et al., NeurIPS 2024) has images of each word generated; here they are labelled ones that no method has seen
(protocol F.2).
"""
import numpy as np
import pandas as pd

from mammi.errors import BadInput, number
from mammi.evaluation import cosy_scores, metrics
from mammi.evaluation.ranking import ENOUGH, auroc, patient_weights
from mammi.lemma import lemmas
from mammi.overlap import check_apart, seen

COLUMNS = ("label", "unscored", "n1", "auc", "auc_low", "auc_high", "mad", "p", "rank", "regret")


class CoSy:
    """``evaluation(annotations, evidence)`` -> (flat dict of metrics for JSON, DataFrame with a row per neuron): all
    that ``names`` reports, and how far a neuron's top word is borne out by ``images``.

    names      another evaluation, such as :class:`mammi.evaluation.final_layer.FinalLayer`
    images     labelled probing set that shares no image and no patient with the one that is annotated on
    control    what a label's images are held against: ``all``, ``no_finding`` or ``matched``
               (:func:`mammi.evaluation.cosy_scores.against`)
    bootstrap  resamples of the patients behind a neuron's interval, and of the neurons behind a mean's
    seed       of those resamples and of ``matched``

    The top word counts for the label that it names by lemma or by the synonym table. Columns of ``neurons.csv``:

    cosy_label, cosy_n1          that label, and how many images have it
    cosy_auc, _low, _high        P(a1 > a0) + P(a1 = a0) / 2 of activations with and without the label
    cosy_mad                     (mean a1 - mean a0) / standard deviation of a0
    cosy_p                       Mann-Whitney, two-sided, adjusted over the neurons by Benjamini and Hochberg
    cosy_rank, cosy_regret       place of that AUC among those of all judged labels, from 1; the highest less it
    cosy_unscored                why a neuron has no score, else empty

    A label is judged from 10 images on either side. Metrics are means over the scored neurons; ``cosy_coverage`` is
    their share of the neurons that live. On a final layer the AUC is that of the class which was named, so hidden
    layers are what it informs about; what words drawn at random get (``method=random``) is the level to compare with.
    """

    def __init__(self, names, images, control="all", bootstrap=1000, seed=0):
        if images.labels is None or not images.label_names:
            raise BadInput(f"evaluation.images: {images.name} has no labels; choose a labelled set")
        self.names, self.images, self.control = names, images, control
        self.seed = number("evaluation.seed", seed, 0, whole=True)
        self.bootstrap = number("evaluation.bootstrap", bootstrap, 1, whole=True)
        self.positive, self.against = cosy_scores.against(images.labels, control, np.random.default_rng(seed))
        self.judged = np.minimum(self.positive.sum(0), self.against.sum(0)) >= ENOUGH
        if not self.judged.any():
            raise BadInput(f"evaluation.images: no label has {ENOUGH} positives and {ENOUGH} images to hold them "
                           f"against (evaluation.control={control}) among {len(images)} of {images.name}; give more")

    def __call__(self, annotations, evidence):
        self.check(evidence.images)
        facts, frame = self.names(annotations, evidence)
        activations = evidence.on(self.images).activations
        aucs = cosy_scores.aucs(activations, self.positive[:, self.judged], self.against[:, self.judged])
        columns = cosy_scores.columns_of_words(self.images.label_names)
        weights = patient_weights(self.images.patients, self.bootstrap, self.seed)
        rows = []
        for i, words in enumerate(annotations.concepts):
            column = columns.get(lemmas(words[0])) if words else None
            rows.append({"label": "" if column is None else self.images.label_names[column],
                         "unscored": self._unscored(words, column)})
            if not rows[i]["unscored"]:
                rows[i] |= self._score(np.asarray(activations[:, i]), aucs[i], column, weights)
        rows = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[2:], float))
        rows["p"] = cosy_scores.adjusted(rows["p"])
        living = np.array([status != "dead" for status in annotations.status], bool)
        return facts | self._facts(rows, living, evidence.target), frame.join(rows.add_prefix("cosy_"))

    def check(self, probing):
        """Raise :class:`BadInput` where the held-out images are of another kind than ``probing``, or share some."""
        if probing.synthetic != self.images.synthetic:
            kinds = ["synthetic" if images.synthetic else "real" for images in (self.images, probing)]
            raise BadInput(f"evaluation.images: {self.images.name} is {kinds[0]}, the probing set {probing.name} is "
                           f"{kinds[1]}; choose one of its kind: probing_set@evaluation.images=OPTION")
        check_apart(probing, self.images, ("probing set", "held-out images"), ("probing_set", "evaluation.images"))

    def _unscored(self, words, column):
        if not words:
            return "no word"
        if column is None:
            return "no label"
        if self.judged[column]:
            return ""
        side = "positive" if self.positive[:, column].sum() < ENOUGH else "control"
        return f"fewer than {ENOUGH} {side} images"

    def _score(self, a, aucs, column, weights):
        """One neuron's row: ``a`` (P,) activations, ``aucs`` of the judged labels, ``column`` its word's label."""
        positive, known = self.positive[:, column], self.positive[:, column] | self.against[:, column]
        a1, a0 = a[positive], a[self.against[:, column]]
        auc = aucs[self.judged[:column].sum()]
        low, high = np.nanpercentile(auroc(a[known], positive[known], weights[:, known]), [2.5, 97.5])
        return {"n1": len(a1), "auc": auc, "auc_low": low, "auc_high": high, "mad": cosy_scores.mad(a1, a0),
                "p": cosy_scores.p_value(a1, a0), "rank": 1 + (aucs > auc).sum(), "regret": aucs.max() - auc}

    def _facts(self, rows, living, target):
        """The metrics of ``metrics.json``, each mean with standard error and 95 % interval over the scored neurons."""
        scored = rows["auc"].notna().to_numpy()
        n, of = int(scored.sum()), int(living.sum())
        facts = {"cosy_n": n, "cosy_images": len(self.images), "cosy_labels": int(self.judged.sum())}
        low, high = metrics.wilson(n, of) if of else (None, None)
        facts |= {"cosy_coverage": n / of if of else None, "cosy_coverage_low": low, "cosy_coverage_high": high}
        for name in ("auc", "mad", "regret"):
            facts |= self._mean(f"cosy_{name}", rows[name][scored])
        facts["cosy_rank_median"] = float(rows["rank"].median()) if n else None
        facts["cosy_auc_note"] = f"on {len(self.images)} held-out images of {self.images.name}, control {self.control}"
        if learned := seen(target, self.images):
            facts["cosy_auc_note"] += f"; {learned} of them were training images of {target.name}"
        return facts

    def _mean(self, name, values):
        """{name, name_se, name_low, name_high} of a mean over neurons; a single one says nothing of how they differ."""
        facts = dict.fromkeys([name, f"{name}_se", f"{name}_low", f"{name}_high"])
        if len(values):
            facts[name] = float(values.mean())
        if len(values) > 1:
            facts[f"{name}_low"], facts[f"{name}_high"] = metrics.bootstrap(values, self.seed, self.bootstrap)
            facts[f"{name}_se"] = metrics.standard_error(values)
        return facts
