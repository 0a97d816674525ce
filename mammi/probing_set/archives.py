"""Images inside zip and tar archives, read without unpacking them."""
import json
import logging
import os
import tarfile
import zipfile
import zlib
from pathlib import Path
from threading import Lock

from mammi.errors import BadInput
from mammi.files import digest, replacing
from mammi.probing_set.image_keys import writable

log = logging.getLogger(__name__)
ENDS = (".zip", ".tar", ".tar.gz", ".tgz")
SPACING = 2 ** 22  # bytes between two places where a compressed tar can be entered; each takes 32 KiB of memory
BLOCK = 512        # bytes of a tar's unit
DAMAGED = (OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error,
           tarfile.TarError)


def open_archive(path, inner="", memo=None):
    """:class:`Zip` or :class:`Tar` by the name of ``path``; :class:`BadInput` for another file or a damaged one."""
    name = Path(path).name.lower()
    if not name.endswith(ENDS):
        raise BadInput(f"probing_set.images={path}: expected a folder or an archive ({', '.join(ENDS)})")
    try:
        return Zip(path, inner) if name.endswith(".zip") else Tar(path, inner, memo)
    except DAMAGED as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read as an archive: {error or type(error).__name__}. It is damaged, or was "
                       "only downloaded in part: fetch it again") from error


class Archive:
    """What archives share. ``members``: {path below ``inner``: what the format needs to find it}.

    ``inner`` is a folder in the archive, ``where`` both in one. Threads may read at the same time; they take turns.
    """

    def __init__(self, path, inner):
        self.path, self._inner, self._lock = Path(path), f"{inner.strip('/')}/" if inner else "", Lock()
        self.where = f"{os.path.abspath(path)}/{self._inner}"
        stat = os.stat(path)
        self._stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]

    def _keep(self, members):
        """Those below ``inner``, of (path, what the format needs)."""
        members = ((name.replace("\\", "/").removeprefix("./"), at) for name, at in members)
        self.members = {name[len(self._inner):]: at for name, at in members if name.startswith(self._inner)}
        if not self.members:
            raise BadInput(f"{self.path} holds no file" + (f" below {self._inner}" if self._inner else ""))

    def names(self):
        """Paths below ``inner``, with ``/``."""
        return list(self.members)

    def read(self, name, size=-1):
        """The bytes of a member, or its first ``size``; OSError where it is damaged."""
        try:
            with self._lock:
                return self._read(self.members[name], size)
        except DAMAGED as error:
            raise OSError(f"it cannot be taken out of {self.path.name}: {error or type(error).__name__}") from error


class Zip(Archive):
    """Members of a .zip file, stored or compressed."""

    def __init__(self, path, inner=""):
        super().__init__(path, inner)
        self._file = zipfile.ZipFile(path)
        self._keep((info.filename, info) for info in self._file.infolist() if not info.is_dir())

    def _read(self, info, size):
        with self._file.open(info) as member:
            return member.read(size)

    def stamp(self, name):
        """What changes when the member does."""
        info = self.members[name]
        return [*self._stamp, info.CRC, info.file_size, info.header_offset]


class Tar(Archive):
    """Members of a .tar file, or of a compressed one (.tar.gz, .tgz).

    A compressed tar is read through once to learn where it can be entered. In the folder ``memo`` that is kept, so
    that the next start need not.
    """

    def __init__(self, path, inner="", memo=None):
        super().__init__(path, inner)
        if self.path.name.lower().endswith(".tar"):
            self._file = open(path, "rb")  # open as long as the set is in use
            members = self._list()
        else:
            import indexed_gzip

            self._file = indexed_gzip.IndexedGzipFile(str(path), spacing=SPACING, drop_handles=False)
            members = self._remembered(memo) if memo else self._list()
        self._keep((name, (start, size)) for name, start, size in members)

    def _list(self):
        """[(name, start, size)] of every file; the end mark must be there, else the tar was cut off."""
        found = {}
        with tarfile.open(fileobj=self._file, mode="r:") as tar:
            while member := tar.next():
                if member.islnk() and member.linkname in found:
                    found[member.name] = found[member.linkname]
                elif member.isreg() and not member.issparse():
                    found[member.name] = member.offset_data, member.size
                tar.members.clear()  # else each stays in memory
            self._file.seek(tar.offset)
            if self._file.read(BLOCK) != bytes(BLOCK):
                raise tarfile.ReadError("it ends before its end mark")
        return [(name, *at) for name, at in found.items()]

    def _remembered(self, memo):
        """What :meth:`_list` finds, out of ``memo`` where the archive has not changed since."""
        index = Path(memo, "archive_index", f"{digest(os.path.abspath(self.path), SPACING)}.gzidx")
        table = index.with_suffix(".json")
        try:
            known = json.loads(table.read_text())
            if known["stamp"] == self._stamp:
                self._file.import_index(str(index))
                return known["members"]
        except FileNotFoundError:
            pass
        except DAMAGED as error:
            log.warning("damaged index %s (%s): reading %s again", table, error, self.path)
        members = self._list()
        self._file.build_full_index()
        with writable(memo):
            with replacing(index) as part:
                self._file.export_index(str(part))
            with replacing(table) as part:
                part.write_text(json.dumps({"stamp": self._stamp, "members": members}))
        return members

    def _read(self, at, size):
        start, length = at
        self._file.seek(start)
        length = length if size < 0 else min(size, length)
        data = self._file.read(length)
        if len(data) < length:
            raise EOFError("it ends before this file does")
        return data

    def stamp(self, name):
        """What changes when the member does."""
        return [*self._stamp, *self.members[name]]
