"""Means of a table of explanations, with intervals over patients."""
import numpy as np

from mammi.evaluation.ranking import patient_weights

METRICS = ("mass", "rank", "pointing", "drop", "faithfulness", "entropy", "gini")
BESIDE = ("actmap", "random")


def means(table, name, resamples, seed):
    """{metric, metric_low, metric_high, metric_n} of the explainer ``name``, 95 % intervals by resampling patients; the
    same of the maps beside it as ``mass_actmap``; ``mass_less_actmap`` on the same resamples.

    A map that is 0 everywhere (of a class that speaks against the image, say) points nowhere: it is left out of each
    metric, and ``n_zero_maps`` says how many there are. ``chance``, the truth's mean area, is over the rows whose mass
    is known, so that ``mass_over_chance`` compares the same rows; of the maps beside it ``chance_actmap``, and so on.
    """
    own = {who: some.reset_index(drop=True) for who, some in table.groupby("explainer", sort=False)}
    rows = own[name]
    weights = patient_weights(rows["patient"], resamples, seed)
    facts = {"ms": float(rows["ms"].mean())}
    for who in (name, *(who for who in BESIDE if who in own and who != name)):
        end, theirs = "" if who == name else f"_{who}", own[who]
        for metric in METRICS:
            facts |= _interval(metric + end, theirs[metric], weights)
        chance = float(theirs.loc[theirs["mass"].notna(), "area"].mean())
        facts |= {f"chance{end}": chance, f"n_zero_maps{end}": int(theirs["entropy"].isna().sum()),
                  f"mass_over_chance{end}": facts["mass" + end] / chance if chance > 0 else float("nan")}
    if "actmap" in own and name != "actmap":
        for metric in ("mass", "drop"):
            facts |= _interval(f"{metric}_less_actmap", rows[metric] - own["actmap"][metric], weights)
    return facts


def _interval(key, values, weights):
    values = np.asarray(values, float)
    known = ~np.isnan(values)
    if not known.any():
        return {key: float("nan"), f"{key}_n": 0}
    share = weights[:, known].astype(float)
    total = share.sum(1)
    drawn = (share @ values[known])[total > 0] / total[total > 0]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {key: float(values[known].mean()), f"{key}_low": float(low), f"{key}_high": float(high),
            f"{key}_n": int(known.sum())}


def by_unit(table):
    """A row per explainer and unit: number of images and the means of its metrics."""
    keys = ["explainer", "layer", "unit", "name", "concept"]
    groups = table.groupby(keys, sort=False)
    return groups.size().rename("images").to_frame().join(
        groups[[*METRICS, "activation", "area", "ms"]].mean()).reset_index()
