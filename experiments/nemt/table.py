"""One row per explainer out of the runs below a folder, as Markdown: python experiments/nemt/table.py FOLDER

Of several runs of one explainer the newest counts. n (mass; drop): explanations, and over how many of them mass and
drop are means; zero maps point nowhere and are in neither. "times chance" is over the rows of the mass. Numbers come
out of each run's explain_metrics.csv. Times are of one machine, ratios of one table.
"""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]
from mammi.report import read, to_markdown  # noqa: E402
from mammi.task.explain_numbers import means  # noqa: E402

RESAMPLES = 2000  # of patients, as conf/experiment/explainers.yaml has it
METRICS = {"mass": "mass", "mass_less_actmap": "mass less act. map", "rank": "rank", "pointing": "pointing",
           "drop": "drop", "faithfulness": "faithfulness", "entropy": "entropy", "gini": "Gini"}


def table(folder):
    """DataFrame of texts, explainers in the order in which they were first run; the random map last."""
    import pandas as pd

    runs = {run.metrics["explainer_name"]: run for run in read(folder)[0] if "explainer_name" in run.metrics
            and "mass_over_chance" in run.metrics}
    lines = []
    for name, run in runs.items():
        facts = run.metrics | means(rows_of(run), name, RESAMPLES, run.about["seed"])
        lines.append(line(name, facts, "", f"{facts['ms']:.1f}"))
    lines.append(line("random map", facts, "_random", ""))
    return pd.DataFrame(lines), list(runs.values())


def rows_of(run):
    """The run's explain_metrics.csv; patients as texts, whose order the resampling depends on."""
    import pandas as pd

    return pd.read_csv(run.folder / "explain_metrics.csv", dtype={"patient": str})


def line(name, facts, end, ms):
    """The row of a run's explainer (``end`` empty), or of the map beside it that ``end`` names."""
    n = f"{facts['n_explained']} ({facts[f'mass{end}_n']}; {facts[f'drop{end}_n']})"
    return {"explainer": name, "n (mass; drop)": n, "zero maps": str(facts[f"n_zero_maps{end}"]),
            **{title: cell(facts, key + end) for key, title in METRICS.items()},
            "times chance": number(facts[f"mass_over_chance{end}"]), "ms": ms}


def cell(facts, key):
    if facts.get(key) is None or facts[key] != facts[key]:
        return ""
    return f"{number(facts[key])} ({number(facts[f'{key}_low'])} to {number(facts[f'{key}_high'])})"


def number(value):
    if value is None or value != value:
        return ""
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def main(folder):
    shown, runs = table(folder)
    about, facts = runs[-1].about, runs[-1].metrics
    names = about["names"]
    print(f"{names['target']} on {names['probing_set']}, {runs[-1].kind} images; {facts['images']} images, "
          f"chance (the truth's mean area) {facts['chance']:.3f}; 95 % intervals over patients.\n")
    print(to_markdown(shown))


if __name__ == "__main__":
    main(sys.argv[1])
