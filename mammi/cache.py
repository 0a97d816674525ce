"""Rows on disk, addressed by the content they were computed from.

A *table* is one computation (weights + layer + transform, or checkpoint + preprocessing); a *row* of it belongs to
one key (the hash of an image's bytes, of a generator's identity, of a text). Rows are written in shards as they
are computed, so a run that is interrupted, or that sees a few new images, computes only what is missing.

Of a table only the keys stay in memory. Several processes may use one cache: files are whole or not there, no row ever
changes, and a shard that another process has joined with others, or that was found damaged, is looked for once more.
"""
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from mammi.errors import BadInput
from mammi.files import digest, replacing
from mammi.shards import Gone, Table

log = logging.getLogger(__name__)
LARGE = 2**25  # bytes: arrays above are memory-mapped
ATTEMPTS = 5   # to read rows while shards are damaged, or other processes move them
TAG = "CACHEDIR.TAG"  # marks a folder as a cache: nothing else is ever cleared, and backups leave it out


class Cache:
    """``root`` is a folder; deleting it, or any file in it, only costs time."""

    def __init__(self, root):
        self.root = Path(root)

    def rows(self, tables, keys, compute):
        """One array per table, rows in the order of ``keys``; computes what is missing in any of them.

        tables   {name: inputs}, inputs JSON-able: everything but the key that a row depends on
        keys     P strings of 32 characters (:func:`digest`); repeated keys are computed once
        compute  (positions, names) -> iterator of (some of the positions, {name: (b, ...) array}): ``positions``,
                 increasing, into ``keys``, lack a row in the tables ``names``; each block is stored as it comes
        Returns {name: (P, ...) array}, memory-mapped where large, see :meth:`empty`.
        """
        keys = np.asarray(keys, dtype="S32")
        for _ in range(ATTEMPTS):
            stores = self._filled(tables, keys, compute)
            try:
                return {name: store.take(keys, self.empty) for name, store in stores.items()}
            except Gone:
                continue  # what is there now is listed anew
        raise BadInput(f"paths.cache={self.root}: rows that were just written cannot be read back, {ATTEMPTS} times "
                       "in a row. Check the disk, or give another folder")

    def fill(self, tables, keys, compute):
        """Compute and store what :meth:`rows` would, and read nothing back: one pass for several later readers."""
        self._filled(tables, np.asarray(keys, dtype="S32"), compute)

    def lacking(self, tables, keys):
        """How many distinct ``keys`` lack a row in any of ``tables`` ({name: inputs}); computes nothing."""
        keys = np.unique(np.asarray(keys, dtype="S32"))
        return int(np.any([~Table(self.root, name, inputs).has(keys) for name, inputs in tables.items()], 0).sum())

    def _filled(self, tables, keys, compute):
        stores = {name: Table(self.root, name, inputs) for name, inputs in tables.items()}
        lacking = np.stack([~store.has(keys) for store in stores.values()], axis=1)
        _, first = np.unique(keys, return_index=True)
        todo = np.sort(first[lacking[first].any(1)])
        if not len(todo):
            return stores
        self.tag()
        for pattern in np.unique(lacking[todo], axis=0):  # positions that lack the same tables go together
            names = [name for name, lacks in zip(stores, pattern) if lacks]
            for positions, arrays in compute(todo[(lacking[todo] == pattern).all(1)], names):
                for name in names:
                    stores[name].write(keys[positions], np.ascontiguousarray(arrays[name]))
        for store in stores.values():
            store.join()
        return stores

    def empty(self, shape, dtype):
        """An array to be filled. A large one lies in a file of this cache that goes away with it, not in memory."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size <= LARGE:
            return np.empty(shape, dtype)
        self.tag()
        with tempfile.TemporaryFile(dir=self.root) as file:
            try:
                if hasattr(os, "posix_fallocate"):  # a full disk is told here; a write to the array would crash
                    os.posix_fallocate(file.fileno(), 0, size)
                return np.asarray(np.memmap(file, dtype, "w+", shape=tuple(shape)))
            except OSError as error:
                raise BadInput(f"paths.cache={self.root}: no room for {size / 2**20:,.0f} MiB ({error}). Free some, or "
                               "give a folder on another disk") from error

    def json(self, name, inputs, compute):
        """A JSON-able value, computed once per ``inputs``; a damaged file is computed anew."""
        path = self.root / name / f"{digest(inputs)}.json"
        try:
            return json.loads(path.read_text())["value"]
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            log.warning("damaged cache entry %s: computing it again", path)
        value = compute()
        self.tag()
        with replacing(path) as part:
            part.write_text(json.dumps({"inputs": inputs, "value": value}))
        return value

    def summary(self):
        """[(folder below ``root``, what its entries were computed from, files, bytes)] of all there is.

        :class:`BadInput` where there is no such folder.
        """
        if not self.root.is_dir():
            raise BadInput(f"there is no cache at {self.root}; python run.py makes one at outputs/cache")
        tables = {path.parent: path.read_text() for path in self.root.rglob("inputs.json")}
        others = {path: "" for path in self.root.iterdir() if path.is_dir() and not any(
            path in table.parents for table in tables)}
        out = []
        for folder, inputs in sorted((tables | others).items()):
            files = [path for path in folder.rglob("*") if path.is_file() and path.name != "inputs.json"]
            out.append((folder.relative_to(self.root).as_posix(), inputs, len(files),
                        sum(path.stat().st_size for path in files)))
        return out

    def clear(self):
        """Delete ``root``, fitted models and downloads in it too; :class:`BadInput` unless it is a cache of ours."""
        if not (self.root / TAG).is_file():
            raise BadInput(f"{self.root} has no {TAG}, so it is no cache of mammi: nothing was deleted")
        shutil.rmtree(self.root)

    def tag(self):
        """Mark ``root`` as a cache, so that it may be cleared; makes the folder."""
        if not (self.root / TAG).exists():
            with replacing(self.root / TAG) as part:
                part.write_text("Signature: 8a477f597d28d172789f06886806bc55\n# mammi: deleting this costs time\n")
