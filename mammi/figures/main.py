"""Run folders -> the figures of the paper and the leaderboard: PNG, PDF and the plotted numbers of each."""
from pathlib import Path

from mammi.errors import BadInput
from mammi.figures import alpha, concept_sets, counts, leaderboard, shares
from mammi.figures.draw import STYLE, save
from mammi.figures.runs import choose
from mammi.files import replacing
from mammi.report import KINDS, read

# Each has NAME, RUNS (the experiment's name), VARIES (the settings it is about), rows(run), fold(frame), draw(...).
FIGURES = (alpha, shares, counts, concept_sets, leaderboard)


def main(folder, to):
    """Make every figure whose runs stand finished below ``folder``; write ``to``/NAME_KIND.png, .pdf and .csv.

    KIND is ``real`` or ``synthetic``: the two never share a figure. Prints what was made, what was left out and why,
    and how to make the runs of what is missing. :class:`BadInput` where there is no run for any figure.
    """
    runs, _ = read(folder)  # its log names the runs that are not whole
    made, missing, left_out = [], [], []
    for figure in FIGURES:
        names = [make(figure, [run for run in runs if run.kind == kind], kind, Path(to), left_out)
                 for kind in KINDS.values()]
        made += filter(None, names)
        if not any(names):
            missing.append(f"{figure.NAME}: python run.py experiment={figure.RUNS}")
    for title, lines in (("Left out:", left_out), ("Not made, for want of runs. Next:", missing)):
        if lines:
            print("\n  ".join([title, *lines]))
    if not made:
        raise BadInput(f"no finished run below {folder} is of a figure. Next: one of the commands above")
    print(f"Written: {', '.join(made)} (PNG, PDF, CSV) in {to}")


def make(figure, runs, kind, to, left_out):
    """Draw one figure of ``runs``, all of one kind; its file name, or None without a run. Extends ``left_out``."""
    import matplotlib
    import pandas as pd

    runs, others = choose(runs, figure.RUNS, figure.VARIES)
    left_out += others
    used, rows = [], []
    for run in runs:
        try:
            rows += [{"run": run.path} | row for row in figure.rows(run)]
            used.append(run)
        except (KeyError, ValueError) as error:
            left_out.append(f"{figure.NAME}: {run.path}: {_said(error)}")
    if not used:
        return None
    data = figure.fold(pd.DataFrame(rows))
    if data.empty:
        left_out.append(f"{figure.NAME}: its {len(used)} {kind} runs have none of its metrics")
        return None
    stem = to / f"{figure.NAME}_{kind}"
    with replacing(stem.with_name(f"{stem.name}.csv")) as part:
        data.to_csv(part, index=False, float_format="%.6g")
    with matplotlib.rc_context(STYLE):
        save(figure.draw(data, used, kind), stem)
    return stem.name


def _said(error):
    return f"run.json lacks {error}" if isinstance(error, KeyError) else error
