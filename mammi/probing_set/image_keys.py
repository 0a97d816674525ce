"""What identifies each image, and whether it is whole; remembered from run to run, so that no file is read twice."""
import json
import logging
from contextlib import contextmanager
from pathlib import Path

from mammi.cache import Cache
from mammi.errors import BadInput
from mammi.files import digest, replacing
from mammi.probing_set import dicom
from mammi.probing_set.image_files import BROKEN, VERSION, Seen, extension, in_threads, inspect

log = logging.getLogger(__name__)
DICOM = (".dcm", ".dicom", "")  # what DICOM files are called; others are not opened for their headers
BEGINNING = 2 ** 16             # bytes in which the patient mostly stands


class Memo:
    """A table in a folder of what was found in the files of one folder or archive, {name: [stamp, key, header]}.

    A file with another stamp is unknown, and all are to another version of the decoder. Without ``folder`` nothing is
    kept.
    """

    def __init__(self, folder, where):
        self._folder, self._known, self._new = folder, {}, {}
        if not folder:
            return
        self._path = Path(folder, "image_keys", f"{digest(where, VERSION, dicom.VERSION)}.json")
        try:
            self._known = {name: kept for name, kept in json.loads(self._path.read_text()).items() if len(kept) == 3}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("damaged table %s (%s): reading the images again", self._path, error)

    def __call__(self, name, stamp):
        """(key or None, header or None)"""
        kept, *found = self._known.get(name, (None, None, None))
        return found if kept == stamp else (None, None)

    def keep(self, name, stamp, key, header):
        self._new[name] = stamp, key, header

    def save(self):
        if self._folder and self._new:
            self._known |= self._new
            with writable(self._folder), replacing(self._path) as part:
                part.write_text(json.dumps(self._known))
        self._new = {}


class ImageKeys:
    """What :func:`mammi.probing_set.image_files.inspect` finds in images, each read once.

    images  :class:`mammi.probing_set.image_sources.Images`
    memo    folder of :class:`Memo`, or None
    """

    def __init__(self, images, memo):
        self._images, self._seen, self._headers = images, {}, {}
        self._memos = {source.where: Memo(memo, source.where) for source in images.sources}

    def __call__(self, positions):
        """[:class:`Seen`] of the images at ``positions``."""
        return self._each(self._seen, self._inspect, positions, "reading images")

    def headers(self, positions):
        """What the DICOM files among ``positions`` say of themselves; None for other files and for broken ones."""
        dicoms = [i for i in positions if extension(self._images.place(i)[1]) in DICOM]
        found = dict(zip(dicoms, self._each(self._headers, self._header, dicoms, "reading DICOM headers")))
        return [found.get(i) for i in positions]

    def _each(self, known, function, positions, what):
        todo = [i for i in dict.fromkeys(positions) if i not in known]
        known |= zip(todo, in_threads(function, todo, what))
        for memo in self._memos.values():
            memo.save()
        return [known[i] for i in positions]

    def _inspect(self, i):
        source, name = self._images.place(i)
        memo = self._memos[source.where]
        try:
            stamp = source.stamp(name)
            key, header = memo(name, stamp)
            if key:
                return Seen(key, None, header)
            seen = inspect(source.read(name))
        except BROKEN as error:
            return Seen(None, str(error) or type(error).__name__)
        if seen.key:
            memo.keep(name, stamp, seen.key, seen.header)
        return seen

    def _header(self, i):
        if i in self._seen:
            return self._seen[i].header
        source, name = self._images.place(i)
        memo = self._memos[source.where]
        try:
            stamp = source.stamp(name)
            key, header = memo(name, stamp)
            if not (key or header):
                header = dicom.header(source.read(name, BEGINNING))
                if not header["patient"]:
                    header = dicom.header(source.read(name))
                memo.keep(name, stamp, key, header)
        except BROKEN:
            return None  # told where the image itself is read
        return header


@contextmanager
def writable(memo):
    """Writing below the folder ``memo``, which becomes a cache that can be cleared; BadInput where that fails."""
    try:
        Cache(memo).tag()
        yield
    except OSError as error:
        raise BadInput(f"probing_set.memo={memo}: cannot be written ({error}). Give another folder, or null to read "
                       "all images at each start") from error
