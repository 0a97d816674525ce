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

from mammi.files import digest, replacing

log = logging.getLogger(__name__)
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError)


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
        found = {name: store.read(keys) for name, store in stores.items()}
        lacking = np.zeros(len(keys), bool)
        for have, _ in found.values():
            lacking |= ~have
        _, first = np.unique(keys, return_index=True)
        todo = np.sort(first[lacking[first]])
        if len(todo):
            blocks = {name: [] for name in tables}
            for positions, arrays in compute(todo):
                for name, array in arrays.items():
                    array = np.ascontiguousarray(array)
                    stores[name].write(keys[positions], array)
                    blocks[name].append((keys[positions], array))
            for name, store in stores.items():
                found[name] = store.merge(keys, found[name], blocks[name])
        for name, (have, _) in found.items():
            if not have.all():
                raise RuntimeError(f"{name}: {int((~have).sum())} of {len(keys)} rows were not computed")
        return {name: rows for name, (_, rows) in found.items()}

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
        with replacing(path) as part:
            part.write_text(json.dumps({"inputs": inputs, "value": value}))
        return value

    def summary(self):
        """[(table, inputs, files, bytes)] of all there is."""
        out = []
        for folder in sorted(p for p in self.root.glob("*/*") if p.is_dir()):
            files = list(folder.glob("*.npz"))
            inputs = folder / "inputs.json"
            out.append((folder.relative_to(self.root).as_posix(), inputs.read_text() if inputs.exists() else "",
                        len(files), sum(f.stat().st_size for f in files)))
        return out

    def clear(self):
        """Delete everything below ``root``."""
        shutil.rmtree(self.root, ignore_errors=True)


class _Table:
    def __init__(self, root, name, inputs):
        self.folder = root / name / digest(inputs)
        self.inputs = inputs

    def read(self, keys):
        """(found (P,) bool, rows (P, ...) or None) from the shards on disk; damaged shards are deleted."""
        found = (np.zeros(len(keys), bool), None)
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(path) as shard:
                    block = (shard["keys"], shard["rows"])
                if len(block[0]) != len(block[1]):
                    raise ValueError("keys and rows differ in number")
            except FileNotFoundError:
                continue
            except DAMAGED as error:
                log.warning("damaged cache entry %s (%s): computing it again", path, error)
                path.unlink(missing_ok=True)
                continue
            found = self.merge(keys, found, [block])
        return found

    @staticmethod
    def merge(keys, found, blocks):
        """Fill the rows of ``keys`` that ``blocks`` of (keys, rows) hold."""
        have, rows = found
        have = have.copy()
        for block_keys, block_rows in blocks:
            if not len(block_keys):
                continue
            order = np.argsort(block_keys, kind="stable")
            at = np.searchsorted(block_keys, keys, sorter=order).clip(max=len(order) - 1)
            at = order[at]
            hit = (block_keys[at] == keys) & ~have
            if rows is None:
                rows = np.zeros((len(keys), *block_rows.shape[1:]), block_rows.dtype)
            rows[hit] = block_rows[at[hit]]
            have |= hit
        return have, rows

    def write(self, keys, rows):
        about = self.folder / "inputs.json"
        if not about.exists():
            with replacing(about) as part:
                part.write_text(json.dumps(self.inputs, indent=1, sort_keys=True))
        with replacing(self.folder / f"{digest(keys.tobytes())}.npz") as part:
            with open(part, "wb") as file:
                np.savez(file, keys=keys, rows=rows)
