"""The rows of one computation on disk, in files that are whole or not there: what a cache's tables are made of."""
import json
import logging
import zipfile
import zlib

import numpy as np

from mammi.files import digest, replacing

log = logging.getLogger(__name__)
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError)
SHARD = 2**23  # bytes: small shards are joined up to it; a damaged one costs that much


class Gone(Exception):
    """A shard that was listed is there no more."""


class Table:
    """The rows of one computation in shards, files of keys and rows; damaged shards are deleted."""

    def __init__(self, root, name, inputs):
        self.folder = root / name / digest(inputs)
        self.inputs = inputs
        self._list()

    def _list(self):
        """``shards``, [(path, keys)]; listed anew where one was damaged, or joined by another process meanwhile."""
        found = [None]
        while None in found:
            paths = sorted(self.folder.glob("[!.]*.npz"))  # one with a dot is being written
            found = [self._read(path, "keys") for path in paths]
        self.shards = [(path, keys) for path, (keys,) in zip(paths, found)]

    @staticmethod
    def _read(path, *names):
        """The arrays ``names`` of a shard; None where it has gone, or is damaged and now deleted."""
        try:
            with np.load(path) as shard:
                arrays = [shard[name] for name in names]
            if len({len(array) for array in arrays}) > 1 or not len(arrays[0]):
                raise ValueError("keys and rows differ in number")
            return arrays
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            log.warning("damaged cache entry %s (%s): computing it again", path, error)
            path.unlink(missing_ok=True)
            return None

    def _find(self, keys):
        """(which of ``keys`` there are, their numbers in all shards one after the other)."""
        if not self.shards:
            return np.zeros(len(keys), bool), np.zeros(len(keys), int)
        mine = np.concatenate([own for _, own in self.shards])
        order = np.argsort(mine, kind="stable")
        at = order[np.searchsorted(mine, keys, sorter=order).clip(max=len(mine) - 1)]
        return mine[at] == keys, at

    def has(self, keys):
        """(P,) bool."""
        return self._find(keys)[0]

    def take(self, keys, empty):
        """(P, ...) rows in the order of ``keys``, into an array by ``empty``; one shard in memory at a time.

        All must be there; raises :class:`Gone` where a shard has turned out not to be.
        """
        there, at = self._find(keys)
        if not there.all():
            raise RuntimeError(f"{self.folder}: {int((~there).sum())} of {len(keys)} rows were not computed")
        out, order, start = np.empty((0, 0), np.float32), np.argsort(at, kind="stable"), 0
        for path, own in self.shards:
            begin, end = np.searchsorted(at, (start, start + len(own)), sorter=order)
            if begin < end:
                chosen, shard = order[begin:end], self._read(path, "rows", "keys")
                if shard is None:
                    raise Gone
                if len(out) < len(keys):
                    out = empty((len(keys), *shard[0].shape[1:]), shard[0].dtype)
                out[chosen] = shard[0][at[chosen] - start]
            start += len(own)
        return out

    def write(self, keys, rows):
        about = self.folder / "inputs.json"
        if not about.exists():
            with replacing(about) as part:
                part.write_text(json.dumps(self.inputs, indent=1, sort_keys=True))
        path = self.folder / f"{digest(keys.tobytes())}.npz"
        with replacing(path) as part:
            with open(part, "wb") as file:
                np.savez(file, keys=keys, rows=rows)
        self.shards.append((path, keys))
        return path

    def join(self):
        """Make large shards of small ones. Old ones go when the new one is there: a crash leaves copies, no gap."""
        groups, room = [], 0
        for path in dict.fromkeys(path for path, _ in self.shards):
            size = _size(path)
            if size > SHARD // 2:
                continue
            if not groups or size > room:
                groups.append([])
                room = SHARD
            groups[-1].append(path)
            room -= size
        for group in groups:
            if len(group) > 1:
                self._join(group)
        self._list()

    def _join(self, paths):
        found = {path: arrays for path in paths if (arrays := self._read(path, "keys", "rows")) is not None}
        if not found:
            return
        keys, rows = (np.concatenate(arrays) for arrays in zip(*found.values()))
        _, first = np.unique(keys, return_index=True)  # processes that ran side by side may have computed a row twice
        first.sort()
        whole = self.write(keys[first], rows[first])
        for path in found:
            if path != whole:
                path.unlink(missing_ok=True)


def _size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process has joined it
        return 0
