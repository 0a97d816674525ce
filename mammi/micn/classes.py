"""One class for each image, out of labels of which it may have several."""
import numpy as np

from mammi.errors import BadInput, near

NOTHING, REST = "No Finding", "else"


def classes_of(labels, names, wanted=None):
    """(J class names, (P,) int class of each image, -1 where it has none or several of them).

    labels  (P, L) of 1, 0, NaN, columns ``names``
    wanted  None: every label is a class, and ``No Finding`` where an image has none of them; a list of labels, of
            which ``No Finding`` is the absence of all; or {class: rule} with rules such as ``Effusion and not Mass or
            Edema`` (``not`` before ``and`` before ``or``), ``else`` for what no other class takes
    Raises :class:`BadInput` for a name that is no label, fewer than two classes.
    """
    labels = np.asarray(labels, np.float64)
    if wanted is None:
        wanted = [*([NOTHING] if (labels == 0).all(1).any() else []), *names]
    rules = dict(wanted) if hasattr(wanted, "items") else {name: name for name in wanted}
    if len(rules) < 2:
        raise BadInput(f"task.classes={list(rules)}: at least two different classes are needed")
    found = np.stack([np.zeros(len(labels)) if rule == REST else _holds(str(rule), labels, list(names))
                      for rule in rules.values()], 1)
    for j, rule in enumerate(rules.values()):
        if rule == REST:
            found[:, j] = np.where((found == 1).any(1), 0, np.where(np.isnan(found).any(1), np.nan, 1))
    single = (found == 1).sum(1) == 1
    return tuple(rules), np.where(single & ~np.isnan(found).any(1), found.argmax(1), -1)


def _holds(rule, labels, names):
    """(P,) 1, 0, NaN where it hangs on an unknown label: not where the known ones decide it (Kleene's logic)."""
    if rule == NOTHING and NOTHING not in names:
        return np.where((labels == 1).any(1), 0, np.where(np.isnan(labels).any(1), np.nan, 1))
    if rule in names:
        return labels[:, names.index(rule)]
    terms = []
    for term in rule.split(" or "):
        literals = []
        for word in (part.strip() for part in term.split(" and ")):
            name = word.removeprefix("not ").strip()
            if name not in names:
                raise BadInput(f"task.classes: {name!r} is no label of these images. {near(name, [*names, NOTHING])}")
            column = labels[:, names.index(name)]
            literals.append(1 - column if word.startswith("not ") else column)
        terms.append(np.where(np.equal(literals, 0).any(0), 0, np.min(literals, 0)))
    return np.where(np.equal(terms, 1).any(0), 1, np.max(terms, 0))


def check_examples(y, classes, name, option):
    """Raise :class:`BadInput` where a class has no image in a split."""
    lacking = [c for j, c in enumerate(classes) if not (y == j).any()]
    if lacking:
        raise BadInput(f"{', '.join(lacking)}: no image of that class in the {name} images ({len(y)} in all), so it "
                       f"could be neither learned nor judged. Leave the class out of task.classes, or give more images "
                       f"({option})")
