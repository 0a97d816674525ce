"""Rows on disk, addressed by the content they were computed from.

A *table* is one computation (weights + layer + transform, or checkpoint + preprocessing); a *row* of it belongs to
one key (the hash of an image's bytes, of a generator's identity, of a text). Rows are written in shards as they
are computed, so a run that is interrupted, or that sees a few new images, computes only what is missing.
"""
import json
import logging
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np

from mammi.errors import BadInput
from mammi.files import digest, replacing

log = logging.getLogger(__name__)
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError)
TAG = "CACHEDIR.TAG"  # marks a folder as a cache: nothing else is ever cleared, and backups leave it out


class Cache:
    """``root`` is a folder; deleting it, or any file in it, only costs time."""

    def __init__(self, root):
        self.root = Path(root)

    def rows(self, tables, keys, compute):
        """One array per table, rows in the order of ``keys``; computes what is missing in any of them.

        tables   {name: inputs}, inputs JSON-able: everything but the key that a row depends on
        keys     P strings of 32 characters (:func:`digest`); repeated keys are computed once
        compute  positions (increasing, into ``keys``) -> iterator of (some of the positions, {name: (b, ...) array});
                 each block is stored as it comes
        Returns {name: (P, ...) array}.
        """
        keys = np.asarray(keys, dtype="S32")
        stores = {name: _Table(self.root, name, inputs) for name, inputs in tables.items()}
        lacking = np.logical_or.reduce([~store.has(keys) for store in stores.values()])
        _, first = np.unique(keys, return_index=True)
        todo = np.sort(first[lacking[first]])
        if len(todo):
            self._tag()
            for positions, arrays in compute(todo):
                for name, array in arrays.items():
                    stores[name].write(keys[positions], np.ascontiguousarray(array))
        return {name: store.take(keys) for name, store in stores.items()}

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
        self._tag()
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

    def _tag(self):
        if not (self.root / TAG).exists():
            with replacing(self.root / TAG) as part:
                part.write_text("Signature: 8a477f597d28d172789f06886806bc55\n# mammi: deleting this costs time\n")


class _Table:
    """The rows of one computation: blocks of (keys, rows), on disk a shard each; damaged shards are deleted."""

    def __init__(self, root, name, inputs):
        self.folder = root / name / digest(inputs)
        self.inputs = inputs
        self.blocks = [block for path in sorted(self.folder.glob("*.npz")) if (block := self._shard(path))]

    @staticmethod
    def _shard(path):
        try:
            with np.load(path) as shard:
                keys, rows = shard["keys"], shard["rows"]
            if len(keys) != len(rows) or not len(keys):
                raise ValueError("keys and rows differ in number")
            return keys, rows
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            log.warning("damaged cache entry %s (%s): computing it again", path, error)
            path.unlink(missing_ok=True)
            return None

    def _find(self, keys):
        """(which of ``keys`` there are, their numbers in all blocks one after the other)."""
        if not self.blocks:
            return np.zeros(len(keys), bool), np.zeros(len(keys), int)
        mine = np.concatenate([block_keys for block_keys, _ in self.blocks])
        order = np.argsort(mine, kind="stable")
        at = order[np.searchsorted(mine, keys, sorter=order).clip(max=len(mine) - 1)]
        return mine[at] == keys, at

    def has(self, keys):
        """(P,) bool."""
        return self._find(keys)[0]

    def take(self, keys):
        """(P, ...) rows in the order of ``keys``, all of which must be there."""
        there, at = self._find(keys)
        if not there.all():
            raise RuntimeError(f"{self.folder}: {int((~there).sum())} of {len(keys)} rows were not computed")
        first = self.blocks[0][1]
        out = np.empty((len(keys), *first.shape[1:]), first.dtype)
        order, start = np.argsort(at, kind="stable"), 0
        ends = np.cumsum([len(rows) for _, rows in self.blocks])
        cuts = np.searchsorted(at[order], ends)
        for (_, rows), end, begin, cut in zip(self.blocks, ends, [0, *cuts[:-1]], cuts):
            chosen = order[begin:cut]
            out[chosen] = rows[at[chosen] - start]
            start = end
        return out

    def write(self, keys, rows):
        about = self.folder / "inputs.json"
        if not about.exists():
            with replacing(about) as part:
                part.write_text(json.dumps(self.inputs, indent=1, sort_keys=True))
        with replacing(self.folder / f"{digest(keys.tobytes())}.npz") as part:
            with open(part, "wb") as file:
                np.savez(file, keys=keys, rows=rows)
        self.blocks.append((keys, rows))
