"""Mammo-CLIP (Ghosh et al., MICCAI 2024): EfficientNet-B5 and Bio_ClinicalBERT on mammograms and their reports."""
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

from mammi.dissector import checkpoint
from mammi.dissector.base import Dissector
from mammi.dissector.bert import SIZES, VOCABULARY, tokenizer
from mammi.dissector.view import View
from mammi.efficientnet import B5, EfficientNet
from mammi.errors import BadInput, number
from mammi.files import digest, hash_of
from mammi.mammogram import FILE, SIZE, SOURCE, stretched
from mammi.text_encoder import rows_by_length

VERSION = "Mammo-CLIP 1"  # raise it when the same files and input give another embedding
MAX_TOKENS = 256
IMAGES = 4  # that share a pass, at most: at full size each takes more than half a gigabyte


class MammoCLIP(Dissector):
    """512-d embeddings. The authors take words as they are, without a template, and mammograms cropped to the breast.

    weights     the authors' file, or the folder that holds it
    vocabulary  Bio_ClinicalBERT's ``vocab.txt``, or the folder that holds it
    size        (width, height) in pixels that an image gets; the authors' 912 x 1520 costs seconds per image on a CPU
    view, jpeg_roundtrip  see :class:`mammi.dissector.view.View`; the authors see the full image
    batch_size  texts per pass; images at most ``IMAGES``
    tower, bert  sizes of the two networks; those of the checkpoint

    Raises :class:`MissingAsset` naming every absent file; :class:`BadInput` for weights with missing or unexpected keys
    or other shapes, a vocabulary of another size, an unknown view or no size.
    """

    name = "mammo_clip"

    def __init__(self, weights, vocabulary, size=SIZE, view="full_image", jpeg_roundtrip=False, device="cpu",
                 batch_size=64, tower=B5, bert=SIZES):
        self.preprocess = Preprocess(view, jpeg_roundtrip, _pixels(size))
        self.weights, self.vocabulary = checkpoint.locate(
            "mammo_clip", ("paths.mammo_clip", weights, FILE, SOURCE),
            ("paths.medclip_vocab", vocabulary, "vocab.txt", VOCABULARY))
        self._tokenizer = tokenizer(self.vocabulary, bert["vocab_size"])
        self.device, self.batch_size = torch.device(device), int(batch_size)
        state = checkpoint.read(self.weights, SOURCE, wrappers=("model",))
        self._network = checkpoint.fill(_network(tower, bert), state, self.weights, "Mammo-CLIP's B5 checkpoint",
                                        SOURCE, ("position_ids",)).to(self.device)

    @property
    def tensors(self):
        return len(self._network.state_dict())

    @cached_property
    def fingerprint(self):
        return digest(VERSION, hash_of(self.weights), self.vocabulary.read_bytes(), repr(self.preprocess))

    @torch.no_grad()
    def embed_images(self, batch):
        """(B, 512) float32, unit norm."""
        step = min(self.batch_size, IMAGES)
        rows = [self.encode(self.prepare(batch.images[i:i + step])) for i in range(0, len(batch), step)]
        return torch.cat(rows).cpu().numpy()

    def encode(self, x):
        return normalize(self._network.image_projection.projection(self._network.image_encoder(x)))

    def prepare(self, images):
        """(B, 3, height, width) float32 on the device."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device)

    def field(self, size):
        return self.preprocess.field(size)

    @torch.no_grad()
    def embed_texts(self, texts):
        """(len(texts), 512) float32, unit norm: the last hidden state of the last token, [SEP]; the authors' "eos"."""
        texts, net = list(texts), self._network
        tokens = self._tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"] if texts else []

        def encode(block):
            ids = torch.tensor([tokens[i] for i in block], device=self.device)
            last = net.text_encoder.text_encoder(ids).last_hidden_state[:, -1]
            return normalize(net.text_projection.projection(last)).cpu().numpy()

        width = net.text_projection.projection.out_features
        return rows_by_length(tokens, self.batch_size, width, encode, self.name)


@dataclass(frozen=True)
class Preprocess(View):
    """PIL image, any mode and size -> (3, height, width) float32; its repr is part of the fingerprint.

    The view is :func:`mammi.mammogram.stretched` to ``size``.
    """

    size: tuple = SIZE

    def __call__(self, image):
        return stretched(self.seen(image), self.size)


def _network(tower, bert, dim=512):
    """Both towers under the authors' key names."""
    net = nn.Module()
    net.image_encoder = EfficientNet(tower)
    net.text_encoder, net.image_projection, net.text_projection = nn.Module(), nn.Module(), nn.Module()
    net.text_encoder.text_encoder = BertModel(BertConfig(**bert))
    net.image_projection.projection = nn.Linear(tower.head, dim)
    net.text_projection.projection = nn.Linear(bert["hidden_size"], dim)
    net.logit_scale = nn.Parameter(torch.zeros(()))  # of the training loss
    return net


def _pixels(size):
    size = tuple(size) if hasattr(size, "__iter__") and not isinstance(size, str) else (size,)
    if len(size) != 2:
        raise BadInput(f"dissector.size={list(size)}: expected two numbers, width and height; the authors' are "
                       f"{list(SIZE)}")
    return tuple(int(number("dissector.size", n, 32, whole=True)) for n in size)
