"""A verdict: how a run gets it, and what it leaves of it."""
from mammi.types import NOT_ASKED, NOT_CHECKED, Verdict


def question(gate, method, evidence):
    """The :class:`mammi.types.Verdict` on the evidence's dissector; ``gate`` may refuse, or be None: nobody asks."""
    if not getattr(method, "asks_dissector", True):
        return not_asked(f"{type(method).__name__} takes no dissector's word")
    return gate(evidence) if gate else Verdict(NOT_CHECKED, "gate=none: nobody asked whether its words mean anything")


def not_asked(why):
    return Verdict(NOT_ASKED, why)


def stated(verdict, dissector):
    """The verdict as a line of a run's notes."""
    return f"gate: {dissector.name} is {verdict.name}: {verdict.says}"


def numbers(verdict):
    """{"gate": the word, "gate_zero_shot_auroc": number ...}, for ``metrics.json``."""
    return {"gate": verdict.name} | {f"gate_{check.name}_{key}".replace(" ", "_").replace("-", "_"): value
                                     for check in verdict.checks for key, value in check.numbers.items()}


def leave(verdict, out):
    """``gate.csv``, a row per question, and ``golden.json``, what other runs compare their weights with
    (``gate.golden=FILE``); nothing where nobody asked."""
    import pandas as pd

    if not verdict.checks:
        return
    out.csv("gate.csv", pd.DataFrame([
        {"check": check.name, "state": check.state, "decides": check.decisive, "says": check.says}
        for check in verdict.checks]))
    out.json("golden.json", verdict.golden)
