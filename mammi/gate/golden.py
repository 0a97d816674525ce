"""Whether a dissector still gives the embeddings that were written down with exactly these weights."""
import json
from pathlib import Path

import numpy as np

from mammi.errors import BadInput, MissingAsset
from mammi.types import Check

NAME = "golden embeddings"


def golden(now, known, tolerance, source):
    """:class:`Check`: the largest difference of a component to what is ``known`` lies within ``tolerance``.

    now, known  {part: (n, D) lists} of fixed images and texts, see :meth:`mammi.dissector.base.Dissector.golden`;
                ``known`` None: nobody wrote them down
    source      where ``known`` is from

    Other parts, or vectors of another length, are another model's: ``fail``. Another number of rows is of other
    pictures or texts, an older list of ours: ``unknown``.
    """
    if known is None:
        return Check(NAME, "unknown", "no golden embeddings are known of these weights, so nothing says whose they are")
    shapes, ours = ({part: np.shape(rows) for part, rows in each.items()} for each in (known, now))
    if {part: shape[1:] for part, shape in shapes.items()} != {part: shape[1:] for part, shape in ours.items()}:
        return Check(NAME, "fail", f"golden embeddings of {source} are of another model: {shapes}, here {ours}", True)
    if shapes != ours:
        return Check(NAME, "unknown", f"{source} keeps golden embeddings of other images and texts ({shapes}); "
                                      "write them down again")
    off = max(float(np.abs(np.subtract(rows, known[part])).max()) for part, rows in now.items())
    off = off if np.isfinite(off) else float("inf")
    matches = off <= tolerance
    says = f"golden embeddings of {source} are {'met' if matches else 'NOT met'}: largest difference {off:.1e}, " \
           f"tolerated {tolerance:g}"
    return Check(NAME, "pass" if matches else "fail", says, True, {"difference": min(off, 1e9)})


def read(path):
    """{part: rows} of the ``golden.json`` of a run; :class:`MissingAsset`, :class:`BadInput` where it is none."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise MissingAsset(f"gate.golden={path}: no such file. Next: the golden.json of a run with the same weights on "
                           "a machine that you trust, or null")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        parts = {part: np.asarray(rows, float).tolist() for part, rows in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"gate.golden={path} is no golden.json of a run ({error})") from error
    if not parts:
        raise BadInput(f"gate.golden={path} is empty. Next: the golden.json of a run, or null")
    return parts
