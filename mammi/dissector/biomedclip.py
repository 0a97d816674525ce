"""BiomedCLIP (Zhang et al., 2023): PubMedBERT and ViT-B/16 on figures of PubMed Central, from open_clip's layout."""
import json
from functools import cached_property

import timm
import torch
from open_clip.timm_model import TimmModel
from open_clip.tokenizer import get_clean_fn
from torch import nn
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

from mammi.clip_model import SETTINGS
from mammi.dissector import checkpoint
from mammi.dissector.base import Dissector
from mammi.dissector.bert import SIZES, tokenizer
from mammi.dissector.clip_transform import ClipTransform
from mammi.errors import BadInput
from mammi.files import digest, hash_of
from mammi.text_encoder import rows_by_length

VERSION = "BiomedCLIP 1"  # raise it when the same files and input give another embedding
BERT = {**SIZES, "vocab_size": 30522}  # PubMedBERT
POOLER = "cls_last_hidden_state_pooler"
SOURCE = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224 on the Hugging Face hub"
FILES = ("open_clip_pytorch_model.bin", "open_clip_config.json", "vocab.txt")


class BiomedCLIP(Dissector):
    """512-d embeddings, out of the model's folder alone: no hub is asked for PubMedBERT's sizes or tokenizer.

    weights     the folder with ``FILES``, or the first of them there
    view, jpeg_roundtrip  see :class:`mammi.dissector.view.View`
    batch_size  texts or images per pass
    bert        sizes of the text network; those of the checkpoint

    Raises :class:`MissingAsset` naming every absent file; :class:`BadInput` for another configuration, weights with
    missing or unexpected keys or other shapes, a vocabulary of another size, an unknown view.
    """

    name = "biomedclip"

    def __init__(self, weights, view="target_crop", jpeg_roundtrip=False, device="cpu", batch_size=64, bert=BERT):
        self.weights, = checkpoint.locate("biomedclip", (
            "paths.biomedclip", weights, FILES[0], f"{FILES[0]} of {SOURCE}, beside {' and '.join(FILES[1:])}"))
        config, self.vocabulary = checkpoint.locate("biomedclip", *(
            ("paths.biomedclip", self.weights.parent, name, f"the folder with {name} of {SOURCE}, too")
            for name in FILES[1:]))
        dim, image, self._context, prepared = _layout(config)
        self.preprocess = ClipTransform(view, jpeg_roundtrip, image["image_size"], **prepared)
        self._tokenizer = tokenizer(self.vocabulary, bert["vocab_size"], f"vocab.txt of {SOURCE}")
        self._clean = get_clean_fn("whitespace")
        self.device, self.batch_size = torch.device(device), int(batch_size)
        state = checkpoint.read(self.weights, SOURCE)
        self._network = checkpoint.fill(_network(dim, image, bert), state, self.weights, "BiomedCLIP", SOURCE,
                                        ("position_ids",)).to(self.device)

    @property
    def tensors(self):
        return len(self._network.state_dict())

    @cached_property
    def fingerprint(self):
        return digest(VERSION, hash_of(self.weights), self.vocabulary.read_bytes(), self._context,
                      repr(self.preprocess))

    @torch.no_grad()
    def embed_images(self, batch):
        """(B, 512) float32, unit norm."""
        rows = [self.encode(self.prepare(batch.images[i:i + self.batch_size]))
                for i in range(0, len(batch), self.batch_size)]
        return torch.cat(rows).cpu().numpy()

    def encode(self, x):
        return normalize(self._network.visual(x))

    def prepare(self, images):
        """(B, 3, size, size) float32 on the device."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device)

    def field(self, size):
        return self.preprocess.field(size)

    @torch.no_grad()
    def embed_texts(self, texts):
        """(len(texts), 512) float32, unit norm: the last hidden state of [CLS], two linear layers with a GELU between.

        The authors pad to 256 tokens and mask the padding; here only texts of equally many tokens share a pass.
        """
        texts = [self._clean(text) for text in texts]
        tokens = self._tokenizer(texts, truncation=True, max_length=self._context)["input_ids"] if texts else []
        text = self._network.text

        def encode(block):
            ids = torch.tensor([tokens[i] for i in block], device=self.device)
            return normalize(text.proj(text.transformer(ids).last_hidden_state[:, 0])).cpu().numpy()

        return rows_by_length(tokens, self.batch_size, text.proj[-1].out_features, encode, self.name)


def _layout(path):
    """(width of an embedding, settings of the image tower, tokens of a text, how images are prepared)."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model = config["model_cfg"]
        image, text = model["vision_cfg"], model["text_cfg"]
        found = {"hf_pooler_type": text["hf_pooler_type"], "hf_proj_type": text["hf_proj_type"],
                 "timm_proj": image["timm_proj"], "timm_model_name": image["timm_model_name"]}
        prepared = {key: tuple(value) if isinstance(value, list) else value
                    for key, value in config["preprocess_cfg"].items() if key in SETTINGS}
        layout = model["embed_dim"], {key: image[key] for key in ("timm_model_name", "timm_pool", "image_size")}, \
            text["context_length"], prepared
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"paths.biomedclip: {path} is not BiomedCLIP's configuration ({type(error).__name__}: {error}). "
                       f"It must be open_clip_config.json of {SOURCE}") from error
    wanted = {"hf_pooler_type": POOLER, "hf_proj_type": "mlp", "timm_proj": "linear"}
    other = [f"{key} is {found[key]}, not {value}" for key, value in wanted.items() if found[key] != value]
    if not timm.is_model(found["timm_model_name"]):
        other.append(f"timm knows no {found['timm_model_name']}")
    if other:
        raise BadInput(f"paths.biomedclip: {path} is of another model: {'; '.join(other)}. It must be "
                       f"open_clip_config.json of {SOURCE}")
    return layout


def _network(dim, image, bert):
    """Both towers under open_clip's key names."""
    net = nn.Module()
    net.visual = TimmModel(image["timm_model_name"], dim, image["image_size"], image["timm_pool"], "linear")
    net.text = nn.Module()
    net.text.transformer = BertModel(BertConfig(**bert), add_pooling_layer=False)
    width, inner = bert["hidden_size"], (bert["hidden_size"] + dim) // 2
    net.text.proj = nn.Sequential(nn.Linear(width, inner, bias=False), nn.GELU(), nn.Linear(inner, dim, bias=False))
    net.logit_scale = nn.Parameter(torch.zeros(()))  # of the training loss
    return net
