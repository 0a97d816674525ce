"""Which split an image is in: by a column, by lists, by its folder or by shares; and that no patient is in two."""
from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import accumulate

from mammi.errors import BadInput, number
from mammi.files import digest

HOW = ("split_column", "split_files", "split_folders", "split_shares")


def check_ways(**ways):
    """Raise :class:`BadInput` if more than one of the options of :data:`HOW` is given."""
    given = [f"probing_set.{way}" for way in HOW if ways[way]]
    if len(given) > 1:
        raise BadInput(f"give one of {' and '.join(given)}, not {'both' if len(given) == 2 else 'all'}")


def by_folder(path, names=True):
    """The split that the first folder of ``path``, an image's path below ``images``, stands for, or None.

    names   True: the folder's own name, else {folder: split}
    """
    folder = path.split("/", 1)[0] if "/" in path else None
    return folder if names is True else names.get(folder)


def by_share(patients, shares, seed):
    """The splits that ``patients`` are drawn into, each for itself: one patient more or fewer moves no other.

    shares  {split: share}; positive, they sum to 1
    seed    another seed, another draw
    """
    number("probing_set.split_seed", seed, 0, whole=True)
    for split, share in shares.items():
        number(f"probing_set.split_shares.{split}", share, 0, 1)
    if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise BadInput(f"probing_set.split_shares={dict(shares)}: expected positive shares that sum to 1, they sum to "
                       f"{sum(shares.values()):g}")
    *ends, _ = accumulate(shares.values())
    names = list(shares)
    return [names[bisect_right(ends, int(digest(seed, patient)[:13], 16) / 16 ** 13)] for patient in patients]


def check_patients(patients, splits, shared):
    """Notes on patients who are in two splits; :class:`BadInput` unless ``shared`` is ``note``.

    patients  :class:`mammi.probing_set.patients.Patients` of all rows
    splits    one per row, None unknown
    """
    rows = [row for row, split in enumerate(splits) if split is not None]
    of = defaultdict(Counter)
    for patient, row in zip(patients(rows), rows):
        of[patient][splits[row]] += 1
    twice = {patient: found for patient, found in of.items() if len(found) > 1}
    if not twice:
        return ()
    told = "; ".join(f"{patient} ({', '.join(f'{split}: {n}' for split, n in found.items())})"
                     for patient, found in list(twice.items())[:3])
    what = f"{len(twice)} of {len(of)} patients are in two splits: {told}{'; ...' if len(twice) > 3 else ''}"
    if shared == "note":
        return (what,)
    raise BadInput(f"{what}. What is measured on one split would have been seen in the other. Check "
                   "probing_set.patient_column or patient_pattern and the splits, or draw them by patient: "
                   "'probing_set.split_shares={train: 0.6, val: 0.15, test: 0.25}'; to go on as it is: "
                   "probing_set.shared_patients=note")
