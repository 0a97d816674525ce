"""Errors a user can act on: what was found, what was expected, what to do next."""
import difflib
import math
from numbers import Integral, Real


class MammiError(Exception):
    """Bad input or a missing asset; ``run.py`` prints the message without a traceback."""


class MissingAsset(MammiError):
    """A file, weight or package that cannot be had here. The message names it and the next step."""


class BadInput(MammiError, ValueError):
    """An argument, file or array that cannot be used as it is."""


def number(name, value, low=-math.inf, high=math.inf, whole=False):
    """``value`` if it is a finite number in [low, high], on wish a whole one; else :class:`BadInput` of ``name``."""
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value) or not low <= value <= high:
        limits = f" of at least {low}" * (low > -math.inf) + f" and at most {high}" * (high < math.inf)
        raise BadInput(f"{name}={value}: expected a {'whole ' * whole}number{limits}")
    return value


def near(name, options, n=5):
    """`` Did you mean a, b?``-text for an unknown ``name``; lists ``options`` when nothing is near."""
    options = list(options)
    close = difflib.get_close_matches(name, options, n=n, cutoff=0.5)
    close += [o for o in options if name in o and o not in close][:n]
    if close:
        return f"Did you mean {', '.join(close)}?"
    more = f" ... ({len(options)} in all)" if len(options) > 20 else ""
    return f"There are: {', '.join(options[:20])}{more}."
