"""MedKLIP (Wu et al., ICCV 2023), a dissector of Table 3: a text is a query, and the score says whether it is present.

How MAMMI's authors scored it is not known; ``scorer=query`` is what the network was trained to answer.
"""
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

from mammi.dissector import bert, checkpoint
from mammi.dissector.base import Dissector
from mammi.dissector.medklip_network import SIZES, Network
from mammi.dissector.view import View
from mammi.errors import BadInput, MissingAsset, near
from mammi.files import digest, hash_of
from mammi.text_encoder import rows_by_length

VERSION = "MedKLIP 1"  # raise it when the same files and input give another score
SIZE, MEAN, SD = 224, (.485, .456, .406), (.229, .224, .225)
MAX_TOKENS = 64
QUERIES = 256  # that share a pass of the decoder
SCORERS = ("query", "embedding")
SOURCE = "checkpoint_final.pth, which the checkpoints folder of github.com/MediaBrain-SJTU/MedKLIP leads to"
BERT = "pytorch_model.bin of Bio_ClinicalBERT (emilyalsentzer/Bio_ClinicalBERT on the Hugging Face hub)"
BOOK = "observation explanation.json of github.com/MediaBrain-SJTU/MedKLIP, {entity: description}"


class MedKLIP(Dissector):
    """ResNet50 up to its third stage for images, frozen Bio_ClinicalBERT for texts, and a decoder between them.

    weights       the authors' ``checkpoint_final.pth``, or the folder that holds it
    text_weights  Bio_ClinicalBERT's ``pytorch_model.bin``, or the folder that holds it
    vocabulary    its ``vocab.txt``, or the folder that holds it
    scorer        ``query``: probability that the text's query is present. ``embedding``: cosine of the mean patch and
                  the query, 256-d; nothing in the training aligned the two
    book          descriptions of the 75 entities that stood beside one another in training, a JSON file: each text is
                  asked beside them. None: each text alone
    view, jpeg_roundtrip  see :class:`mammi.dissector.view.View`
    batch_size    texts or images per pass
    sizes, text_sizes  of the networks; those of the files

    Raises :class:`MissingAsset` naming every absent file; :class:`BadInput` for weights with missing or unexpected keys
    or other shapes, a vocabulary of another size, a book that is none, an unknown scorer or view.
    """

    name = "medklip"

    def __init__(self, weights, text_weights, vocabulary, scorer="query", book=None, view="target_crop",
                 jpeg_roundtrip=False, device="cpu", batch_size=64, sizes=SIZES, text_sizes=bert.SIZES):
        if scorer not in SCORERS:
            raise BadInput(f"dissector.scorer={scorer}: {near(str(scorer), SCORERS)}")
        self.scorer, self.embeds = scorer, scorer == "embedding"
        self.preprocess = Preprocess(view, jpeg_roundtrip)
        self.device, self.batch_size = torch.device(device), int(batch_size)
        self._book, self._known = _book(book), {}
        self.files = checkpoint.locate(
            "medklip", ("paths.medklip", weights, "checkpoint_final.pth", SOURCE),
            ("paths.clinical_bert", text_weights, "pytorch_model.bin", BERT),
            ("paths.medclip_vocab", vocabulary, "vocab.txt", bert.VOCABULARY))
        self._tokenizer = bert.tokenizer(self.files[2], text_sizes["vocab_size"])
        self._bert = _text_network(self.files[1], text_sizes).to(self.device)
        self._network = _network(self.files[0], sizes).to(self.device)

    @property
    def notes(self):
        alone = self.scorer == "query" and not self._book
        return ("MedKLIP is asked for each word alone, not beside the 75 entities of its training",) * alone

    @property
    def tensors(self):
        return sum(len(network.state_dict()) for network in (self._network, self._bert))

    @cached_property
    def fingerprint(self):
        return digest(VERSION, *map(hash_of, self.files), repr(self.preprocess), self.scorer, self._book)

    @torch.no_grad()
    def score(self, batch, texts):
        """(B, len(texts)) float32: probabilities in [0, 1]; cosines where ``scorer=embedding``."""
        if self.embeds:
            return super().score(batch, texts)
        queries, book = self._queries(texts), self._queries(self._book)
        rows = [torch.cat([self._network.present(patches, some, book) for some in queries.split(QUERIES)], 1)
                for patches in self._patches(batch)]
        return torch.cat(rows).cpu().numpy()

    @torch.no_grad()
    def embed_images(self, batch):
        """(B, 256) float32, unit norm: the mean patch. Only where ``scorer=embedding``."""
        if not self.embeds:
            return super().embed_images(batch)
        return torch.cat([normalize(patches.mean(1)) for patches in self._patches(batch)]).cpu().numpy()

    def embed_texts(self, texts):
        """(len(texts), 256) float32, unit norm: the query. Only where ``scorer=embedding``."""
        if not self.embeds:
            return super().embed_texts(texts)
        return normalize(self._queries(texts)).cpu().numpy()

    def prepare(self, images):
        """(B, 3, 224, 224) float32 on the device."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device)

    def field(self, size):
        return self.preprocess.field(size)

    def _patches(self, batch):
        for start in range(0, len(batch), self.batch_size):
            yield self._network.patches(self.prepare(batch.images[start:start + self.batch_size]))

    @torch.no_grad()
    def _queries(self, texts):
        """(len(texts), 256) on the device; a text goes through BERT once, however many batches of images ask for it."""
        texts = list(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._network.queries(self._sentences(new))))
        none = torch.zeros(0, self._network.classifier.in_features, device=self.device)
        return torch.stack([self._known[text] for text in texts]) if texts else none

    def _sentences(self, texts):
        """(len(texts), 768): BERT's first state, of [CLS]; the authors' tokenizer closes a text with no [SEP]."""
        tokens = self._tokenizer(texts, add_special_tokens=False, truncation=True, max_length=MAX_TOKENS - 1)[
            "input_ids"] if texts else []

        def encode(block):
            ids = torch.tensor([[self._tokenizer.cls_token_id, *tokens[i]] for i in block], device=self.device)
            return self._bert(input_ids=ids).last_hidden_state[:, 0].cpu().numpy()

        rows = rows_by_length(tokens, self.batch_size, self._bert.config.hidden_size, encode, self.name)
        return torch.from_numpy(rows).to(self.device)


@dataclass(frozen=True)
class Preprocess(View):
    """PIL image, any mode and size -> (3, 224, 224) float32; its repr is part of the fingerprint.

    The view becomes 224 pixels wide and high (bilinear, whatever its shape) and is normalised as for ImageNet.
    """

    def __call__(self, image):
        rgb = self.seen(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        x = (np.asarray(rgb, np.float32) / 255 - np.float32(MEAN)) / np.float32(SD)
        return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))


def _network(path, sizes):
    """Keys lie under ``model`` and begin with ``module.``, for it was trained on several devices."""
    state = checkpoint.read(path, SOURCE, ("model",))
    state = {key.removeprefix("module."): value for key, value in state.items()}
    return checkpoint.fill(Network(**sizes), state, path, "MedKLIP's checkpoint", SOURCE)


def _text_network(path, sizes):
    """Keys ``bert.`` are the network, ``cls.`` the heads that it was pretrained with."""
    state = checkpoint.read(path, BERT)
    network, problems = checkpoint.transformer(BertModel, BertConfig(**sizes), state, "bert.")
    problems["unexpected"] += [key for key in state if not key.startswith(("bert.", "cls."))]
    checkpoint.must_fit(problems, path, "Bio_ClinicalBERT", BERT)
    return network


def _book(path):
    """The descriptions of a JSON file; none of None."""
    if path is None:
        return []
    file = Path(path).expanduser()
    if not file.is_file():
        raise MissingAsset(f"dissector.book={path}: no such file. It must be {BOOK}; or null, then each text is asked "
                           "alone")
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"dissector.book: {file} is no JSON ({error}). It must be {BOOK}") from error
    if not isinstance(entries, dict) or not entries or not all(isinstance(text, str) for text in entries.values()):
        raise BadInput(f"dissector.book: {file} is not {{entity: description}}. It must be {BOOK}")
    return list(entries.values())
