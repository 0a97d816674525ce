"""Where images lie: below a folder, in archives that stay packed, or in several of either."""
import glob
import os
from pathlib import Path

from mammi.errors import BadInput, MissingAsset
from mammi.probing_set.archives import ENDS, open_archive
from mammi.probing_set.dicom import marked
from mammi.probing_set.image_files import existing, extension
from mammi.progress import track


class Folder:
    """Files below ``path``; linked folders are entered."""

    def __init__(self, path, recursive):
        self.path, self.where, self._recursive = Path(path), os.path.abspath(path), recursive

    def names(self):
        """Paths below the folder, with ``/``."""
        walk = os.walk(self.path, followlinks=True) if self._recursive else [next(os.walk(self.path))]
        for where, folders, files in walk:
            folders[:] = [name for name in folders if not _hidden(name)]
            below = os.path.relpath(where, self.path).replace(os.sep, "/")
            yield from files if below == "." else (f"{below}/{name}" for name in files)

    def read(self, name, size=-1):
        """The bytes of a file, or its first ``size``."""
        with open(self.path / name, "rb") as file:
            return file.read(size)

    def stamp(self, name):
        """What changes when the file does."""
        stat = os.stat(self.path / name)
        return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


class Images:
    """P images in the order of their paths.

    paths    P paths below the folder or in the archive; of several folders, below their parent ``base``; of several
             archives as if all were unpacked in one place, with the archive's name before where two would be equal
    sources  folders and archives, in the order given
    """

    def __init__(self, base, sources, extensions, recursive):
        self.sources = sources
        names = [[name for name in source.names() if not any(map(_hidden, name.split("/")))] for source in sources]
        found = [(name, at) for at, source in enumerate(sources) for name in names[at]
                 if (recursive or "/" not in name) and _is_image(source, name, extensions)]
        if not found:
            raise BadInput(_nothing(sources, {extension(name) or name for own in names for name in own}, extensions))
        before = [os.path.relpath(source.path, base).replace(os.sep, "/") for source in sources]
        apart = [len(sources) > 1 and isinstance(source, Folder) for source in sources]
        paths = [f"{before[at]}/{name}" if apart[at] else name for name, at in found]
        if len(set(paths)) < len(paths):
            paths = [f"{before[at]}/{name}" for name, at in found]
        order = sorted(range(len(found)), key=lambda i: paths[i].split("/"))
        self.paths, self._found = [paths[i] for i in order], [found[i] for i in order]

    def __len__(self):
        return len(self.paths)

    def read(self, i):
        """The bytes of image ``i``; OSError where they cannot be read."""
        name, at = self._found[i]
        return self.sources[at].read(name)

    def place(self, i):
        """(source, name in it) of image ``i``."""
        name, at = self._found[i]
        return self.sources[at], name


def open_images(base, images, extensions, recursive=True, memo=None):
    """(:class:`Images`, what to call them) of ``images``, relative to the folder ``base``.

    A folder (None: ``base`` itself), an archive (.zip, .tar, .tar.gz, .tgz), a folder in an archive
    (``scans.zip/train``), a pattern (``images_*.tar.gz``), or a list of them. ``memo``: folder for the index of
    compressed archives, or None. Raises :class:`MissingAsset` where there is none of that name.
    """
    given = [images] if images is None or isinstance(images, str) else list(images)
    places = [place for entry in given for place in _places(base, entry)]
    sources = [Folder(place, recursive) if place.is_dir() else open_archive(place, inner, memo)
               for place, inner in track(places, "reading archives")]
    if len(places) > 1:
        name = Path(base).name
    else:
        place, inner = places[0]
        name = Path(inner).name or place.name[:len(place.name) - len(_archive(place))]
    return Images(base, sources, tuple(extensions), recursive), name


def _places(base, entry):
    """[(folder or archive, folder inside the archive or nothing)]"""
    path = Path(base, entry or "").expanduser()
    if path.exists():
        return [(path, "")]
    found = sorted(place for place in map(Path, glob.glob(str(path))) if place.is_dir() or _archive(place))
    if found:
        return [(place, "") for place in found]
    for parent in path.parents:
        if parent.is_file() and _archive(parent):
            return [(parent, path.relative_to(parent).as_posix())]
    if glob.has_magic(str(entry)) or _archive(path):
        raise MissingAsset(f"probing_set.images={entry}: nothing of that name in {base}. Next: correct the name, or "
                           "put the files there")
    return [(existing(base, entry), "")]


def _archive(path):
    return next((end for end in ENDS if path.name.lower().endswith(end)), "")


def _hidden(name):
    return name.startswith(".") or name == "__MACOSX"


def _is_image(source, name, extensions):
    """By its extension; a file without one by the mark of DICOM."""
    found = extension(name)
    if found or ".dcm" not in extensions:
        return found in extensions
    return not name.endswith("DICOMDIR") and marked(source.read(name, 132))


def _nothing(sources, kinds, extensions):
    where = ", ".join(str(source.path) for source in sources[:3]) + ", ..." * (len(sources) > 3)
    kinds = ", ".join(sorted(kinds)[:5])
    return (f"{where} holds no image ({', '.join(extensions)}). "
            + (f"It holds files of {kinds}; convert them, or set probing_set.extensions" if kinds else
               "It is empty; check probing_set.root and probing_set.images"))
