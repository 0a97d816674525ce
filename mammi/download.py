"""Downloads that are whole or not there: gone on with after an interruption, checked before they take their name."""
import http.client
import itertools
import json
import math
import os
import re
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mammi.errors import BadInput, MissingAsset
from mammi.files import hash_of, replacing
from mammi.offline import refuse
from mammi.progress import track

TIMEOUT = 30         # seconds without a byte
CHUNK = 1_000_000    # bytes
LARGEST = 5_000_000_000
HANDLERS = (urllib.request.ProxyHandler, urllib.request.UnknownHandler, urllib.request.HTTPHandler,
            urllib.request.HTTPSHandler, urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPRedirectHandler,
            urllib.request.HTTPErrorProcessor)  # neither ftp: nor data:, and no redirection into a file:


def download(url, path, sha256=None, size=None, largest=LARGEST):
    """Fetch ``url`` (http, https, file) to ``path`` and return it; a file there with this ``sha256`` is kept.

    sha256   hexadecimal, or None where nobody has published one
    size     bytes, or None where they are not known
    largest  bytes; more than that is never written

    What arrives goes to a hidden ``.part`` file beside ``path``. After an interruption it stays, and the next call asks
    for the rest, on condition that the server still has the same version; else it starts again. Several processes may
    ask for the same file: one downloads, the others wait.

    Raises :class:`MissingAsset` for what cannot be had now, :class:`BadInput` for something else than was asked for (a
    wrong checksum or size, a web page); then nothing is kept.
    """
    path = Path(path)
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise BadInput(f"{url}: only http, https and file are fetched")
    refuse(url)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(f".{path.name}.lock")):
            if sha256 and path.is_file() and hash_of(path) == sha256:
                return path
            _fetch(url, part, sha256, size, largest)
            _check(part, sha256, size)
            os.replace(part, path)
            _about(part).unlink()
    except _Other as error:
        part.unlink(missing_ok=True)
        _about(part).unlink(missing_ok=True)
        raise BadInput(f"{url} gives {error}. Nothing was kept") from error
    except (OSError, http.client.HTTPException) as error:
        kept = part.stat().st_size if part.is_file() else 0
        onwards = f"; {kept:,} bytes of it are kept, the same command goes on from there" if kept else ""
        raise MissingAsset(f"{url} cannot be had: {_reason(error)}{onwards}") from error
    return path


def take_member(archive, member, path, largest=LARGEST):
    """Write the one entry called ``member``, in whatever folder of the zip file ``archive``, to ``path``; return it."""
    try:
        with zipfile.ZipFile(archive) as content:
            found = [entry for entry in content.infolist() if PurePosixPath(entry.filename).name == member]
            if len(found) != 1 or found[0].file_size > largest:
                raise BadInput(f"{archive} should hold one {member} of at most {largest:,} bytes, found "
                               f"{', '.join(f'{e.filename} ({e.file_size:,} bytes)' for e in found) or 'none'}")
            with content.open(found[0]) as source, replacing(path) as part, open(part, "wb") as out:
                shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(f"{archive} is no whole zip file that can be read ({error}). Next: delete it and get it "
                       "again") from error
    return Path(path)


class _Other(Exception):
    """What arrives, or is announced, is something else than was asked for."""


def _fetch(url, part, sha256, size, largest):
    """All of ``url`` in ``part``, or an error."""
    have, mark = _kept(part, url, sha256)
    try:
        answer = _ask(url, have, mark)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # there is no such rest: the file became shorter
            raise
        have, answer = 0, _ask(url, 0, None)
    with answer:
        if (answer.headers["Content-Type"] or "").startswith("text/html") and ".htm" not in part.name:
            raise OSError("a web page comes instead of the file (to sign in?): open the address in a browser")
        if have and answer.status != 206:
            have = 0  # the server knows no parts, or the file has changed: this is the whole
        elif have and not (answer.headers["Content-Range"] or "").startswith(f"bytes {have}-"):
            raise OSError("the server sent another part of it than was asked for")
        length = answer.headers["Content-Length"]
        total = have + int(length) if length and length.isdigit() else None
        if total is not None and size is not None and total != size:
            raise _Other(f"{total:,} bytes where {size:,} are expected")
        if total is not None and total > largest:
            raise _Other(f"{total:,} bytes, more than the {largest:,} that are fetched at most")
        with open(part, "ab") as out:
            if not have:
                out.truncate(0)
                _note(part, url, answer.headers)
            _write(answer, out, f"downloading {part.name[1:-5]}, MB", have, total, largest)


def _ask(url, have, mark):
    """The open answer; of the bytes from ``have`` on if the version is still ``mark``."""
    headers = {"User-Agent": "mammi", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if mark:
            headers["If-Range"] = mark
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.FileHandler,) if url.startswith("file:") else HANDLERS:
        opener.add_handler(handler())
    return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)


def _write(answer, out, what, have, total, largest):
    steps = itertools.count()
    if total is not None:
        steps = track(range(math.ceil((total - have) / CHUNK)), what)
    for _ in steps:
        data = answer.read(CHUNK)
        have += len(data)
        if have > largest:
            raise _Other(f"more than the {largest:,} bytes that are fetched at most")
        if not data:
            break
        out.write(data)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have:,} of {total:,} bytes")


def _check(part, sha256, size):
    have = part.stat().st_size
    if size not in (None, have):
        raise _Other(f"{have:,} bytes where {size:,} are expected")
    if sha256 and (found := hash_of(part)) != sha256:
        raise _Other(f"another file: sha256 {found}, expected {sha256}. Try again once; if it stays, the file was "
                     "changed where it comes from")


def _about(part):
    return part.with_name(f"{part.name}.json")


def _note(part, url, headers):
    """Remember which version ``part`` is of: a strong ETag, else the date, else None."""
    tag = headers["ETag"]
    mark = tag if tag and not tag.startswith("W/") else headers["Last-Modified"]
    with replacing(_about(part)) as file:
        file.write_text(json.dumps({"url": url, "mark": mark}))


def _kept(part, url, sha256):
    """(bytes of an earlier attempt that can be gone on from, their version); (0, None) where there are none.

    Without a version only a checksum would see that the file has changed in between.
    """
    try:
        about = json.loads(_about(part).read_text())
        have = part.stat().st_size
    except (OSError, ValueError):
        return 0, None
    usable = about.get("url") == url and not url.startswith("file:") and (about.get("mark") or sha256)
    return (have, about.get("mark")) if usable else (0, None)


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        hint = {401: ", which needs an account", 403: ", which needs an account or an agreement"}.get(error.code, "")
        return f"the server says {error.code} {error.reason}{hint}"
    return re.sub(r"^<urlopen error (.*)>$", r"\1", str(error)) or type(error).__name__


@contextmanager
def _alone(lock):
    """Wait until no other process holds ``lock``; a process that dies lets go of it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    while True:
        with open(lock, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                try:
                    yield
                finally:
                    lock.unlink()
                return
