"""MedCLIP by its authors' package, which lives in an environment of its own: medclip 0.0.3 needs an old transformers.

:mod:`mammi.dissector.medclip` computes the same without it (``make parity-medclip`` compares the two).
"""
import json
import os
import subprocess
import tempfile
import weakref
from functools import cached_property
from pathlib import Path

import numpy as np

from mammi.dissector.base import Dissector
from mammi.dissector.bert import SIZES, VOCABULARY, tokenizer
from mammi.dissector.checkpoint import locate
from mammi.dissector.medclip_checkpoint import SOURCE
from mammi.dissector.view import View
from mammi.errors import BadInput, MissingAsset
from mammi.files import digest, hash_of

VERSION = "MedCLIP package 1"  # raise it when the same files, versions and input give another embedding
WORKER = Path(__file__).with_name("medclip_worker.py")
PACKAGES = ("medclip", "transformers", "torch", "Pillow")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


class MedCLIPPackage(Dissector):
    """512-d embeddings of a process that runs :mod:`mammi.dissector.medclip_worker` in the package's environment.

    weights     the authors' ``pytorch_model.bin``, or the folder that holds it
    vocabulary  Bio_ClinicalBERT's ``vocab.txt``, or the folder that holds it
    python      the Python of an environment with requirements-medclip.txt; ``make medclip-env`` builds one
    view, jpeg_roundtrip  see :class:`mammi.dissector.view.View`
    device      of that process; nothing is downloaded on any

    Raises :class:`MissingAsset` naming absent files, or what the environment lacks; :class:`BadInput` for a vocabulary
    of another size, an unknown view, and with the package's own words where it cannot load or embed.
    """

    name = "medclip_package"
    notes = ("the medclip package as it is, except: untrained local models stand where it asks a hub for two, every "
             "tensor of which the checkpoint replaces; its lines that download or call .cuda() are passed by; each "
             "text is embedded alone")

    def __init__(self, weights, vocabulary, python, view="target_crop", jpeg_roundtrip=False, device="cpu"):
        self.view, self.device = View(view, jpeg_roundtrip), str(device)
        self.weights, self.vocabulary = locate(
            "medclip_package", ("paths.medclip", weights, "pytorch_model.bin", SOURCE),
            ("paths.medclip_vocab", vocabulary, "vocab.txt", VOCABULARY))
        tokenizer(self.vocabulary, SIZES["vocab_size"])  # for its errors: the package takes any vocabulary
        self.python = Path(python).expanduser().absolute()  # not resolved: a virtual environment's is a link
        self.versions = _versions(self.python)
        self._process = None

    @cached_property
    def fingerprint(self):
        return digest(VERSION, self.versions, hash_of(self.weights), self.vocabulary.read_bytes(),
                      repr(self.view))

    def embed_images(self, batch):
        """(B, 512) float32, unit norm."""
        return self.ask_images([np.asarray(self.view.seen(image)) for image in batch.images])["embeddings"]

    def embed_texts(self, texts):
        """(len(texts), 512) float32, unit norm."""
        texts = list(texts)
        return self._ask(texts=np.array(texts))["embeddings"] if texts else np.zeros((0, 512), np.float32)

    def ask_images(self, arrays):
        """{"embeddings": (n, 512), "pixels": (n, 1, 224, 224)} of n arrays of uint8, (H, W) or (H, W, 3)."""
        return self._ask(**{f"image{i}": array for i, array in enumerate(arrays)})

    def _ask(self, **request):
        """What the worker answers; it starts with the first request and ends with this object."""
        if self._process is None:
            self._start()
        path = Path(self._folder.name, "request.npz")
        np.savez(path, **request)
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
            answered = self._process.stdout.readline()
        except BrokenPipeError:
            answered = ""
        if not answered:
            code, self._process = self._process.wait(), None
            said = Path(self._folder.name, "said.txt").read_text(encoding="utf-8", errors="replace").strip()
            raise BadInput(f"dissector=medclip_package: the package ended (exit code {code}) on {self.weights}, which "
                           f"must be {SOURCE}. It said: ... {said[-1500:]}")
        with np.load(path.with_name("answer.npz")) as found:
            return dict(found)

    def _start(self):
        self._folder = tempfile.TemporaryDirectory(prefix="medclip-")
        with open(Path(self._folder.name, "said.txt"), "w") as said:
            self._process = subprocess.Popen(  # -I: our own medclip.py lies beside the worker
                [self.python, "-I", WORKER, self.weights.absolute(), self.vocabulary.absolute(), self.device],
                cwd=self._folder.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
                env={**os.environ, **OFFLINE})
        weakref.finalize(self, _end, self._process, self._folder)


def _end(process, folder):
    process.kill()
    process.wait()
    folder.cleanup()


def _versions(python):
    """{package: version} of what the embeddings depend on, in the environment of ``python``."""
    ask = f"import json, importlib.metadata as m; print(json.dumps({{name: m.version(name) for name in {PACKAGES}}}))"
    try:
        done = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True)
        lacks = done.stderr.strip().rpartition("\n")[2]
    except OSError as error:
        lacks = str(error)
    else:
        if done.returncode == 0:
            return json.loads(done.stdout)
    raise MissingAsset(f"dissector=medclip_package: dissector.python is {python}, where the medclip package cannot be "
                       f"used ({lacks}). Next: make medclip-env, or dissector.python=PYTHON of an environment with "
                       "requirements-medclip.txt. dissector=medclip computes the same without the package.")
