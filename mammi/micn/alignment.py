"""Whether concepts, rules and saliency say the same."""
import numpy as np

TOP = .2  # share of an image's pixels that counts as where a map is high


def placed(maps, size, box, shape):
    """(H, W) float64: a map (h, w) of a whole image, as far as the part ``box`` of it goes.

    size   (width, height) of the image; box (left, top, right, bottom) in its pixels; shape (H, W) of what is returned.
    Bilinear between the centres of cells, as an image is enlarged.
    """
    from scipy.ndimage import map_coordinates

    (h, w), (width, height), (left, top, right, bottom) = np.shape(maps), size, box
    y = top + (np.arange(shape[0]) + .5) * (bottom - top) / shape[0]
    x = left + (np.arange(shape[1]) + .5) * (right - left) / shape[1]
    at = np.meshgrid(y * h / height - .5, x * w / width - .5, indexing="ij")
    return map_coordinates(np.asarray(maps, np.float64), at, order=1, mode="nearest")


def region(values, share=TOP):
    """Bool like ``values``: its highest ``share`` of pixels; of equal ones the first."""
    flat = np.asarray(values).ravel()
    out = np.zeros(len(flat), bool)
    out[np.argsort(-flat, kind="stable")[:max(1, round(share * len(flat)))]] = True
    return out.reshape(np.shape(values))


def mass(saliency, where):
    """Share of ``saliency`` (H, W), at least 0, that lies in ``where``; NaN of nothing."""
    total = saliency.sum()
    return float(saliency[where].sum() / total) if total > 0 else float("nan")


def iou(one, other):
    """Pixels in both regions / pixels in either."""
    return float((one & other).sum() / (one | other).sum())


def chance_iou(share=TOP):
    """IoU of two regions of that share which lie independently of each other."""
    return share / (2 - share)


def signs_agree(rules, labels, predicted):
    """(P,) share of the literals in the predicted class's rule whose sign is that of the image's label, else NaN."""
    out = np.full(len(rules), np.nan)
    for p, own in enumerate(rules):
        rule = next((r for r in own if r.cls == predicted[p]), None)
        right = [labels[p, i] == positive for i, positive, _ in (rule.literals if rule else ())
                 if not np.isnan(labels[p, i])]
        out[p] = np.mean(right) if right else np.nan
    return out


def rank_correlations(predicted, scores):
    """(N,) Spearman of each concept's prediction (P, N) and score over the images; NaN where one is constant."""
    from scipy.stats import rankdata

    out = np.full(predicted.shape[1], np.nan)
    for i, (one, other) in enumerate(zip(predicted.T, scores.T)):
        known = ~np.isnan(other)
        one, other = rankdata(one[known]), rankdata(other[known])
        if known.sum() > 1 and one.std() and other.std():
            out[i] = np.corrcoef(one, other)[0, 1]
    return out
