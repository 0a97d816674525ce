"""What a table lists: which image each row means, and which rows are wanted."""
from collections import Counter

from mammi.errors import BadInput
from mammi.probing_set.image_files import EXTENSIONS

LONG = 100  # characters of a name that an error shows; a missing quote makes one of half a table

class Lookup:
    """An entry of a table -> position of the image it means, or None.

    By path below the folder, by name, by name without extension, and at last with another extension than the
    table's: copies of a set as DICOM, PNG or JPEG answer to the same table. What means several images means none.
    """

    def __init__(self, paths, extensions=EXTENSIONS):
        self._by, self._extensions = [{}, {}, {}], tuple(extensions)
        for i, path in enumerate(paths):
            name = path.rsplit("/", 1)[-1]
            for names, key in zip(self._by, (path, name, self._stem(name))):
                names[key] = None if key in names else i

    def __call__(self, entry):
        entry = entry.replace("\\", "/").removeprefix("./")
        paths, names, stems = self._by
        name = entry.rsplit("/", 1)[-1]
        for known, key in ((paths, entry), (names, name), (stems, name), (stems, self._stem(name))):
            if known.get(key) is not None:
                return known[key]
        return None

    def _stem(self, name):
        return name.rsplit(".", 1)[0] if name.lower().endswith(self._extensions) else name


class Listing:
    """R rows, of a table or of split lists or, without either, the images themselves.

    entries  R names as spelled there
    files    R positions of the images they mean; None where there is no such image
    ids      names of all P images at ``paths``: the files', or their paths where names repeat
    """

    def __init__(self, entries, paths, extensions):
        self._lookup, self.entries = Lookup(paths, extensions), entries
        names = [path.rsplit("/", 1)[-1] for path in paths]
        self.ids = names if len(set(names)) == len(names) else paths
        self.files = [self._lookup(entry) for entry in self.entries]

    def names(self):
        """R names: the image's where it is here, else as spelled."""
        return [entry if file is None else self.ids[file] for entry, file in zip(self.entries, self.files)]

    def choose(self, splits, wanted, unmatched):
        """({image: its rows} of the splits ``wanted``, all without, notes on what was dropped).

        splits     R split names, None unknown
        unmatched  ``error`` or ``drop``: images without a row, wanted rows without an image
        """
        counts = Counter(split for split in splits if split is not None)
        for split in wanted:
            if split not in counts:
                there = ", ".join(f"{name} ({count})" for name, count in counts.items())
                raise BadInput(f"probing_set.split={split}: "
                               + (f"there is no such split, but {there}" if counts else
                                  "no splits are known; give probing_set.split_column, split_files, split_folders or "
                                  "split_shares"))
        rows, lost = {}, []
        for row, (entry, file, split) in enumerate(zip(self.entries, self.files, splits)):
            if wanted and split not in wanted:
                continue
            if file is None:
                lost.append(entry)
            else:
                rows.setdefault(file, []).append(row)
        known = set(self.files)
        strangers = [image for i, image in enumerate(self.ids) if i not in known]
        if not rows:
            raise BadInput(f"none of {len(self.entries)} listed names means one of {len(self.ids)} images. "
                           f"Listed{examples(lost)}, found{examples(self.ids)}. Check probing_set.image_column and "
                           "probing_set.images")
        if not strangers and not lost:
            return rows, ()
        what = (f"{len(strangers)} images have no row{examples(strangers)}; "
                f"{len(lost)} rows have no image{examples(lost)}")
        if unmatched == "error":
            raise BadInput(f"images and labels do not match: {what}. Check probing_set.csv, image_column and images; "
                           "to go on with what matches: probing_set.unmatched=drop")
        return rows, (f"dropped: {what}",)

    def match(self, entries, what, unmatched):
        """({image: the ``entries`` that mean it}, notes); ``what`` they are, ``boxes`` or ``masks``.

        A listed image may be absent or of another split; any other name is a mistake.
        """
        if not entries:
            return {}, ()
        found, lost = {}, []
        listed = {name for entry in self.entries for name in _spellings(entry)}
        for entry in entries:
            file = self._lookup(entry)
            if file is not None:  # an image may be spelled in several ways
                found.setdefault(file, []).append(entry)
            elif listed.isdisjoint(_spellings(entry)):
                lost.append(entry)
        if not lost:
            return found, ()
        told = f"{what} of {len(lost)} images that are neither here nor listed{examples(lost)}"
        if unmatched == "error":
            raise BadInput(f"{told}. Check the file and the image names in probing_set.{what}; to go on without them: "
                           "probing_set.unmatched=drop")
        return found, (f"dropped: {told}",)


def _spellings(entry):
    """An entry without its folders, with and without its extension."""
    name = entry.replace("\\", "/").rsplit("/", 1)[-1]
    return {name, name.rsplit(".", 1)[0]}


def examples(names):
    """`` (a, b, c, ...)``, nothing for no names."""
    shown = [name if len(name) <= LONG else f"{name[:LONG]}..." for name in names[:3]]
    return f" ({', '.join(shown)}{', ...' if len(names) > 3 else ''})" if names else ""
