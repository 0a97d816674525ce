"""One row per explainer out of the runs below a folder, as Markdown: python experiments/nemt/table.py FOLDER

Of several runs of one explainer the newest counts. Times are of one machine, ratios of one table.
"""
import sys

from mammi.report import read, to_markdown

METRICS = {"mass": "mass", "mass_less_actmap": "mass less act. map", "rank": "rank", "pointing": "pointing",
           "drop": "drop", "faithfulness": "faithfulness", "entropy": "entropy", "gini": "Gini"}


def table(folder):
    """DataFrame of texts, explainers in the order in which they were first run; the random map last."""
    import pandas as pd

    runs = {run.metrics["explainer_name"]: run for run in read(folder)[0] if "explainer_name" in run.metrics
            and "mass_over_chance" in run.metrics}
    lines = []
    for name, run in runs.items():
        facts = run.metrics
        lines.append({"explainer": name, "n (with truth)": f"{facts['n_explained']} ({facts['n_truth']})",
                      **{title: cell(facts, key) for key, title in METRICS.items()},
                      "times chance": number(facts.get("mass_over_chance")), "ms": f"{facts['ms']:.1f}"})
    last = list(runs.values())[-1].metrics
    lines.append({"explainer": "random map", "n (with truth)": f"{last['n_explained']} ({last['n_truth']})",
                  **{title: cell(last, f"{key}_random") for key, title in METRICS.items()},
                  "times chance": number(last["mass_random"] / last["chance"]), "ms": ""})
    return pd.DataFrame(lines), list(runs.values())


def cell(facts, key):
    if facts.get(key) is None:
        return ""
    return f"{number(facts[key])} ({number(facts[f'{key}_low'])} to {number(facts[f'{key}_high'])})"


def number(value):
    return "" if value is None else f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def main(folder):
    shown, runs = table(folder)
    about, facts = runs[-1].about, runs[-1].metrics
    names = about["names"]
    print(f"{names['target']} on {names['probing_set']}, {runs[-1].kind} images; {facts['images']} images, "
          f"chance (the truth's mean area) {facts['chance']:.3f}; 95 % intervals over patients.\n")
    print(to_markdown(shown))


if __name__ == "__main__":
    main(sys.argv[1])
