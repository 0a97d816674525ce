"""MedCLIP (Wang et al., EMNLP 2022), the paper's dissector.

What the MedCLIP package does to a text and an image, on the authors' ViT checkpoint but without the package: nothing is
downloaded, no CUDA device and no old version of transformers is needed.
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import linear, normalize

from mammi.dissector.base import Dissector
from mammi.dissector.bert import VOCABULARY, tokenizer
from mammi.dissector.checkpoint import locate
from mammi.dissector.medclip_checkpoint import BERT, SOURCE, SWIN, towers
from mammi.dissector.view import View
from mammi.files import digest, hash_of
from mammi.text_encoder import rows_by_length

VERSION = "MedCLIP 1"  # raise it when the same files and input give another embedding
SIZE, MEAN, SD = 224, .5862785803043838, .27950088968644304
MAX_TOKENS = 77


class MedCLIP(Dissector):
    """512-d embeddings: Bio_ClinicalBERT for texts, Swin-tiny for images.

    weights         the authors' ``pytorch_model.bin``, or the folder that holds it
    vocabulary      Bio_ClinicalBERT's ``vocab.txt``, or the folder that holds it
    view, jpeg_roundtrip  see :class:`mammi.dissector.view.View`
    batch_size      texts or images per pass
    bert, swin      sizes of the two networks; those of the checkpoint

    Raises :class:`MissingAsset` naming every absent file; :class:`BadInput` for weights with missing or unexpected
    keys or other shapes, a vocabulary of another size, an unknown view.
    """

    name = "medclip"

    def __init__(self, weights, vocabulary, view="target_crop", jpeg_roundtrip=False, device="cpu", batch_size=64,
                 bert=BERT, swin=SWIN):
        self.preprocess = Preprocess(view, jpeg_roundtrip)
        self.weights, self.vocabulary = locate("medclip", ("paths.medclip", weights, "pytorch_model.bin", SOURCE),
                                               ("paths.medclip_vocab", vocabulary, "vocab.txt", VOCABULARY))
        self._tokenizer = tokenizer(self.vocabulary, bert["vocab_size"])
        self.device, self.batch_size = torch.device(device), int(batch_size)
        self._text, self._image = ((network.to(self.device), head.to(self.device))
                                   for network, head in towers(self.weights, bert, swin))

    @property
    def tensors(self):
        return sum(len(network.state_dict()) + 1 for network, _ in (self._text, self._image))

    @cached_property
    def fingerprint(self):
        return digest(VERSION, hash_of(self.weights), self.vocabulary.read_bytes(), repr(self.preprocess))

    @torch.no_grad()
    def embed_images(self, batch):
        """(B, 512) float32, unit norm."""
        rows = [self.encode(self.prepare(batch.images[i:i + self.batch_size]))
                for i in range(0, len(batch), self.batch_size)]
        return torch.cat(rows).cpu().numpy()

    def encode(self, x):
        network, head = self._image
        return normalize(linear(network(x).pooler_output, head))

    def prepare(self, images):
        """(B, 3, 224, 224) float32 on the device: the grey channel three times."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device).expand(-1, 3, -1, -1)

    def field(self, size):
        return self.preprocess.field(size)

    @torch.no_grad()
    def embed_texts(self, texts):
        """(len(texts), 512) float32, unit norm.

        A text is the mean of the hidden states 1, 2 and last over all its tokens, [CLS] and [SEP] included. In a padded
        batch that mean takes the padding in as well, so only texts of equally many tokens share a pass.
        """
        texts = list(texts)
        tokens = self._tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"] if texts else []
        network, head = self._text

        def encode(block):
            ids = torch.tensor([tokens[i] for i in block], device=self.device)
            states = network(input_ids=ids, output_hidden_states=True).hidden_states  # states[0]: before layer 1
            pooled = torch.stack([states[1], states[2], states[-1]]).mean((0, 2))
            return normalize(linear(pooled, head)).cpu().numpy()

        return rows_by_length(tokens, self.batch_size, len(head), encode, self.name)


@dataclass(frozen=True)
class Preprocess(View):
    """PIL image, any mode and size -> (1, 224, 224) float32; its repr is part of the fingerprint.

    The view goes onto the middle of a black square of at least 224 pixels, is made 224 wide (bicubic) and normalised.
    """

    def field(self, size):
        """As :meth:`View.field`; None where the view gets black borders."""
        width, height = self.kept(size)
        return super().field(size) if width == height >= SIZE else None

    def __call__(self, image):
        image = self.seen(image)
        side = max(SIZE, *image.size)
        square = Image.new("L", (side, side))
        square.paste(image.convert("L"), ((side - image.width) // 2, (side - image.height) // 2))
        grey = np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32) / 255
        return torch.from_numpy((grey - np.float32(MEAN)) / np.float32(SD))[None]
