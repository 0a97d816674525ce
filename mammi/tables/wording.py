"""Numbers and comparisons as the reports print them."""
from mammi.evaluation.metrics import LABELS
from mammi.tables.rows import COUNTS

HEADINGS = LABELS | {"unique_all": "distinct words", "unique_top1": "distinct first words"}
LEVEL = .05  # of the sentence on tests


def short(x, digits=3, sign=False):
    """``.714``, ``-.050``, ``1.000``; ``+.050`` with ``sign``."""
    text = f"{x:{'+' if sign else ''}.{digits}f}"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def shown(value, metric, digits=3):
    """``mean ± sd [low, high]`` of a :class:`~mammi.tables.numbers.Value`; a count without leading zeros."""
    if metric in COUNTS:
        return f"{value.mean:g}" if value.sd is None else f"{value.mean:.1f} ± {value.sd:.1f}"
    text = short(value.mean, digits) + (f" ± {short(value.sd)}" if value.sd is not None else "")
    return text + interval(value.low, value.high)


def interval(low, high, sign=False):
    return "" if low is None or high is None else f" [{short(low, sign=sign)}, {short(high, sign=sign)}]"


def difference(comparison):
    if comparison.metric in COUNTS:
        return f"{comparison.difference:+.1f}"
    return short(comparison.difference, sign=True) + interval(comparison.low, comparison.high, sign=True)


def compared(comparisons, published):
    """DataFrame of texts: a line per comparison, and whether the paper's order comes out.

    ``published``: also the paper's difference, which no table of synthetic numbers shows.
    """
    import pandas as pd

    lines = []
    for c in comparisons:
        tests = [f"seed {t.seed} {t.only_greater}:{t.only_less}" if t.only_less is not None else t.name
                 for t in c.tests]
        lines.append({"rows": f"{c.greater} − {c.less}", "metric": HEADINGS[c.metric]}
                     | ({"published": _published(c)} if published else {})
                     | {"difference": difference(c),
                        "test": ("McNemar, " if c.metric == "hit" else "") + ", ".join(tests),
                        "p": ", ".join(_p(t.p) for t in c.tests), "p, Holm": ", ".join(_p(t.p_holm) for t in c.tests),
                        "the paper's order": _order(c)})
    return pd.DataFrame(lines)


def orders(comparisons):
    """Sentences: how many of the paper's orders come out, which do not, and what the tests say."""
    ordered = [c for c in comparisons if c.verdict]
    if not ordered:
        return "No two rows that the paper puts in an order were run."
    out = [c for c in ordered if c.verdict == "comes out"]
    text = (f"The paper's orders that come out: {len(out)} of {len(ordered)}; with an interval that leaves out 0: "
            f"{sum(c.clear for c in out)}.")
    for verdict, word in (("reversed", "Reversed"), ("tie", "A tie")):
        if some := [c for c in ordered if c.verdict == verdict]:
            text += f" {word}: {'; '.join(f'{c.greater} over {c.less} ({HEADINGS[c.metric]})' for c in some)}."
    tests = [t for c in comparisons for t in c.tests]
    small = sum(t.p_holm < LEVEL for t in tests)
    return text + f" Tests under {short(LEVEL, 2)} after Holm's correction: {small} of {len(tests)}."


def _order(comparison):
    """``comes out, within noise``, and whose order it is where the metric itself is not in the paper."""
    if comparison.published is None:
        return ""
    of = f" (of {HEADINGS[comparison.reference]})" if comparison.reference != comparison.metric else ""
    unsure = comparison.verdict != "tie" and comparison.low is not None and not comparison.clear
    return (comparison.verdict + ", within noise" * unsure if comparison.verdict else "a tie in the paper") + of


def _published(comparison):
    if comparison.published is None:
        return ""
    if comparison.metric in COUNTS:
        return f"{comparison.published:+g}" if comparison.published else "a tie"
    return short(comparison.published, sign=True) if comparison.published else "a tie"


def _p(p):
    return "<.001" if p < .001 else short(p)
