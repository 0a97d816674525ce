"""What can be said of annotations without knowing the right names: images selected, purity, distinct concepts."""
import numpy as np

from mammi.lemma import lemmas

FEW = 5  # neurons with fewer images than this rest on chance; they are counted


def purity(selected, labels, columns):
    """(N,) float64 in [0, 1]: share of a neuron's selected images that carry its label.

    selected  (P, N) bool
    labels    (P, L) 1 present, 0 absent, NaN unknown; unknown images are left out
    columns   N lists of columns of ``labels``: any of them counts (an OR-unit has two); empty without a label
    NaN where a neuron has no label, no selected image, or none whose label is known.
    """
    shares = np.full(selected.shape[1], np.nan)
    for i, some in enumerate(columns):
        if some:
            values = np.fmax.reduce(labels[selected[:, i]][:, some].astype(np.float64), axis=1)
            values = values[~np.isnan(values)]
            if len(values):
                shares[i] = values.mean()
    return shares


def label_columns(names, label_names):
    """N lists of the columns of ``label_names`` that are, by lemma, among a neuron's ``names`` (N lists)."""
    wanted = [{lemmas(name) for name in some} for some in names]
    return [[column for column, label in enumerate(label_names) if lemmas(label) in some] for some in wanted]


def describe(annotations):
    """{metric: number or None} of the annotations alone; images are counted over neurons that are not dead."""
    alive = np.array([status != "dead" for status in annotations.status], bool)
    facts = {
        "n_neurons": len(alive), "n_dead": int((~alive).sum()), "n_empty": annotations.status.count("empty"),
        "unique_all": len({word for words in annotations.concepts for word in words}),
        "unique_top1": len({words[0] for words in annotations.concepts if words}),
        "concepts_per_neuron": _mean([len(words) for words, a in zip(annotations.concepts, alive) if a]),
        "margin": _mean([why["margin"] for why in annotations.why if why.get("margin") is not None]),
    }
    if annotations.selected is None or not alive.any():
        return facts | dict.fromkeys(["images_selected_median", "images_selected_min", "images_selected_max",
                                      "share_under_5_images"])
    n = annotations.selected.sum(0)[alive]
    return facts | {"images_selected_median": float(np.median(n)), "images_selected_min": int(n.min()),
                    "images_selected_max": int(n.max()), "share_under_5_images": float((n < FEW).mean())}


def _mean(values):
    return float(np.mean(values)) if len(values) else None
