"""How well a target tells its classes apart on images it was not fitted to: the check before any neuron is annotated.

Weights that load without an error may still be the wrong ones, or see wrong pixels. Then these numbers are poor.
"""
import numpy as np
from scipy.special import expit

from mammi.errors import BadInput, near
from mammi.evaluation.ranking import ENOUGH, at_threshold, best_threshold, compare
from mammi.evidence import Evidence
from mammi.image_text import spoken
from mammi.overlap import check_apart, seen, warnings
from mammi.task.performance_view import roc_picture, summarise

MEANS = ("auprc", "sensitivity", "specificity", "f1")


def performance(target, val, test, cache, batch_size, seed, out, published=None):
    """Choose a threshold per class on ``val``; leave in ``out`` what the target is worth on ``test``.

    val, test  probing sets with labels that the target's classes name ("Pleural_Thickening" and "pleural thickening"
               are the same) and without a common patient; NaN labels count for nothing
    published  {option of the group ``target``: {mean_auroc, by, dataset, split, images, classes}}: what the authors of
               these weights report, shown only where ``test`` is what they tested on

    thresholds.csv      label, threshold: the probability from which on F1 on ``val`` is highest, of several the
                        smallest; blank without positives there. It suits the prevalence of ``val``
    performance.csv     a row per class: ``auroc`` with its 95 % interval over patients, ``auprc`` (average precision);
                        at the threshold ``sensitivity``, ``specificity``, ``f1``; ``not_judged`` says why not, below 10
                        positives or negatives of ``test``
    predictions.csv.gz  id, patient, probability (sigmoid of the logit) of each class, of ``test``
    performance.png     ROC curves with the thresholds on them
    metrics.json        means over the judged classes, ``mean_auroc`` with its interval

    Returns (DataFrame of performance.csv, metrics).
    """
    check_apart(val, test, ("validation set", "test set"), ("task.val.split", "task.test.split"))
    classes = target.neurons("final")
    val_truth, truth = (truth_of(images, classes, f"task.{name}") for name, images in (("val", val), ("test", test)))
    val_scores, scores = (expit(Evidence(target, images, None, None, None, cache, batch_size).read(["final"])["final"]
                                .astype(float)) for images in (val, test))
    thresholds = [best_threshold(*known(val_scores[:, k], val_truth[:, k])) for k in range(len(classes))]
    table, facts = judge(scores, truth, thresholds, classes, test.patients, seed)
    table["val_positives"] = (val_truth == 1).sum(0)
    facts |= {"images": len(test), "patients": len(set(test.patients)), "images_val": len(val),
              "images_seen_in_training": seen(target, test),
              **beside((published or {}).get(out.choices.get("target")), test, facts)}

    save(table, scores, classes, test, out)
    kind = "synthetic" if test.synthetic else "real"
    title = f"{target.name} on {test.name}, {len(test)} {kind} images"
    roc_picture(table, scores, truth, title, out.file("performance.png"))
    notes = list(dict.fromkeys(note for images in (test, val) for note in (*warnings(target, images), *images.notes)))
    notes += target.notes
    out.about(names={"target": target.name, "val": val.name, "test": test.name}, synthetic=test.synthetic,
              images=len(test), notes=notes)
    out.json("metrics.json", {**facts, "target_name": target.name, "val_name": val.name, "test_name": test.name})
    summarise(f"{target.name} on {test.name}", table, facts, notes, test.synthetic, out.path)
    return table, facts


def truth_of(images, classes, option):
    """(P, classes) labels in the order of ``classes``; NaN throughout for a class that the set has no label for."""
    if images.labels is None:
        raise BadInput(f"{option}={images.name} has no labels to judge predictions by; name them ({option}.csv and "
                       f"label_columns, or class_folders), or choose a set that has some")
    at = columns_of(images, classes)
    if all(k is None for k in at):
        raise BadInput(f"{option}={images.name} has a label for none of the target's {len(classes)} classes "
                       f"({', '.join(classes[:3])}, ...). {near(classes[0], images.label_names)} Rename with "
                       f"target.classes, or with {option}.aliases")
    blank = np.full(len(images), np.nan)
    return np.stack([blank if k is None else images.labels[:, k] for k in at], 1)


def columns_of(images, classes):
    """The column of ``images.labels`` of each of ``classes``, None where the set does not know it."""
    columns = {spoken(name): k for k, name in reversed(list(enumerate(images.label_names)))}
    return [columns.get(spoken(name)) for name in classes]


def known(scores, truth):
    """(scores, positive or not) of the images whose label is known."""
    there = ~np.isnan(truth)
    return scores[there], truth[there] == 1


def judge(scores, truth, thresholds, classes, patients, seed):
    """(a row per class, means over the judged ones) of scores (P, classes); see :func:`performance`."""
    from sklearn.metrics import average_precision_score

    table, facts = compare({"target": scores}, truth, classes, patients, seed, controls=(), option="task.test")
    table.columns = [name.replace("auroc_target", "auroc") for name in table]
    reasons = []
    for k, threshold in enumerate(thresholds):
        values, positive = known(scores[:, k], truth[:, k])
        reasons.append(reason(positive))
        row = {"auprc": np.nan, "threshold": threshold, **dict.fromkeys(MEANS[1:], np.nan)}
        if not reasons[-1]:
            row |= {"auprc": average_precision_score(positive, values), **at_threshold(values, positive, threshold)}
        table.loc[k, list(row)] = list(row.values())
    table["not_judged"] = reasons
    facts = {f"mean_auroc{end}": facts[f"auroc_target{end}"] for end in ("", "_low", "_high")}
    facts |= {"classes": len(classes), "classes_judged": reasons.count(""),
              "classes_not_judged": [name for name, why in zip(classes, reasons) if why],
              **{f"mean_{name}": float(table[name].mean()) for name in MEANS}}
    return table, facts


def reason(positive):
    """Why a class with these known labels is not judged; empty where it is."""
    if not len(positive):
        return "no labels"
    few = [f"{n} {what}" for n, what in ((positive.sum(), "positives"), ((~positive).sum(), "negatives")) if n < ENOUGH]
    return " and ".join(few)


def beside(published, test, facts):
    """{"published_mean_auroc": number or None, "published_note": what it was measured on}; {} where nothing is known.

    Comparable are all of the published images of the published split and no other, with every class judged.
    """
    if published is None:
        return {}
    wanted = f"{published['dataset']}/{published['split']}"
    n = sum(f"{test.dataset}/{split}" == wanted for split in test.splits)
    same = n == len(test) == published["images"] and facts["classes_judged"] == published["classes"]
    what = (f"{published['by']} publish a mean AUROC of {published['mean_auroc']:.3f} over {published['classes']} "
            f"classes and the {published['images']:,} images of {wanted}")
    if same:
        return {"published_mean_auroc": published["mean_auroc"], "published_note": what}
    return {"published_mean_auroc": None, "published_note": f"{what}; not comparable: here are {n:,} of these "
            f"{published['images']:,} images and {facts['classes_judged']} classes judged"}


def save(table, scores, classes, images, out):
    """The three tables."""
    import pandas as pd

    out.csv("thresholds.csv", table[["label", "threshold"]])
    out.csv("performance.csv", table)
    who = pd.DataFrame({"id": images.ids, "patient": images.patients})
    out.csv("predictions.csv.gz", pd.concat([who, pd.DataFrame(scores.astype(np.float32), columns=classes)], axis=1))
