"""MedCLIP (Wang et al., EMNLP 2022), the paper's dissector.

What the MedCLIP package does to a text and an image, on the authors' ViT checkpoint but without the package: nothing is
downloaded, no CUDA device and no old version of transformers is needed.
"""
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import linear, normalize
from torchvision.transforms.functional import center_crop, resize
from transformers import BertTokenizer

from mammi.dissector.base import Dissector
from mammi.dissector.medclip_checkpoint import BERT, SOURCE, SWIN, towers
from mammi.errors import BadInput, MissingAsset, near
from mammi.files import digest, hash_of
from mammi.progress import track

VERSION = "MedCLIP 1"  # raise it when the same files and input give another embedding
VIEWS = ("target_crop", "full_image")
SIZE, MEAN, SD = 224, .5862785803043838, .27950088968644304
MAX_TOKENS = 77
VOCABULARY = "vocab.txt of Bio_ClinicalBERT (emilyalsentzer/Bio_ClinicalBERT on the Hugging Face hub)"


class MedCLIP(Dissector):
    """512-d embeddings: Bio_ClinicalBERT for texts, Swin-tiny for images.

    weights         the authors' ``pytorch_model.bin``, or the folder that holds it
    vocabulary      Bio_ClinicalBERT's ``vocab.txt``, or the folder that holds it
    view            ``target_crop``: what the paper's target sees, 77 % of the image; or ``full_image``
    jpeg_roundtrip  compress the view first, as the authors of MAMMI do (quality 75)
    batch_size      texts or images per pass
    bert, swin      sizes of the two networks; those of the checkpoint

    Raises :class:`MissingAsset` naming every absent file; :class:`BadInput` for weights with missing or unexpected
    keys or other shapes, a vocabulary of another size, an unknown view.
    """

    name = "medclip"
    notes = ("MedCLIP weights: not verified against published numbers",)

    def __init__(self, weights, vocabulary, view="target_crop", jpeg_roundtrip=False, device="cpu", batch_size=64,
                 bert=BERT, swin=SWIN):
        if view not in VIEWS:
            raise BadInput(f"dissector.view={view}: {near(str(view), VIEWS)}")
        self.preprocess = Preprocess(view, bool(jpeg_roundtrip))
        self.weights, self.vocabulary = _files(weights, vocabulary)
        self._tokenizer = _tokenizer(self.vocabulary, bert["vocab_size"])
        self.device, self.batch_size = torch.device(device), int(batch_size)
        self._text, self._image = ((network.to(self.device), head.to(self.device))
                                   for network, head in towers(self.weights, bert, swin))

    @cached_property
    def fingerprint(self):
        return digest(VERSION, hash_of(self.weights), self.vocabulary.read_bytes(), repr(self.preprocess))

    @torch.no_grad()
    def embed_images(self, batch):
        """(B, 512) float32, unit norm."""
        network, head = self._image
        rows = [normalize(linear(network(self.prepare(batch.images[i:i + self.batch_size])).pooler_output, head))
                for i in range(0, len(batch), self.batch_size)]
        return torch.cat(rows).cpu().numpy()

    def prepare(self, images):
        """(B, 3, 224, 224) float32 on the device: the grey channel three times."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device).expand(-1, 3, -1, -1)

    @torch.no_grad()
    def embed_texts(self, texts):
        """(len(texts), 512) float32, unit norm.

        A text is the mean of the hidden states 1, 2 and last over all its tokens, [CLS] and [SEP] included. In a padded
        batch that mean takes the padding in as well, so only texts of equally many tokens share a pass.
        """
        texts = list(texts)
        tokens = self._tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"] if texts else []
        by_length = {}
        for i, ids in enumerate(tokens):
            by_length.setdefault(len(ids), []).append(i)
        blocks = [same[i:i + self.batch_size] for same in by_length.values()
                  for i in range(0, len(same), self.batch_size)]

        network, head = self._text
        out = np.zeros((len(texts), len(head)), np.float32)
        for block in track(blocks, f"texts through {self.name}", unit=len(texts) / max(len(blocks), 1)):
            ids = torch.tensor([tokens[i] for i in block], device=self.device)
            states = network(input_ids=ids, output_hidden_states=True).hidden_states  # states[0]: before layer 1
            pooled = torch.stack([states[1], states[2], states[-1]]).mean((0, 2))
            out[block] = normalize(linear(pooled, head)).cpu().numpy()
        return out


@dataclass(frozen=True)
class Preprocess:
    """PIL image, any mode and size -> (1, 224, 224) float32; its repr is part of the fingerprint.

    The view (``target_crop``: shorter side to 256, bilinear, then the middle 224 x 224) goes onto the middle of a black
    square of at least 224 pixels, is made 224 wide (bicubic) and normalised.
    """

    view: str = "target_crop"
    jpeg_roundtrip: bool = False

    def __call__(self, image):
        image = image.convert("RGB")  # colour is dropped last, as in the authors' code: JPEG and resizing see it
        if self.view == "target_crop":
            image = center_crop(resize(image, 256), SIZE)
        if self.jpeg_roundtrip:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=75)
            image = Image.open(file)
        side = max(SIZE, *image.size)
        square = Image.new("L", (side, side))
        square.paste(image.convert("L"), ((side - image.width) // 2, (side - image.height) // 2))
        grey = np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32) / 255
        return torch.from_numpy((grey - np.float32(MEAN)) / np.float32(SD))[None]


def _files(weights, vocabulary):
    """[the weights file, the vocabulary file]; raises one MissingAsset for both."""
    found, lacking = [], []
    for key, given, name, what in (("paths.medclip", weights, "pytorch_model.bin", SOURCE),
                                   ("paths.medclip_vocab", vocabulary, "vocab.txt", VOCABULARY)):
        path = Path(given).expanduser() if given else None
        file = next((f for f in (path, path / name) if f.is_file()), None) if path else None
        if file:
            found.append(file)
            continue
        reason = "has no " + name if path and path.is_dir() else "is not there"
        state = f"is {path}, which {reason}" if path else "is not set"
        lacking.append(f"{key} {state}: it must be {what}. Next: {key}=FILE, or the folder that holds it.")
    if lacking:
        raise MissingAsset("dissector=medclip: " + " ".join(lacking))
    return found


def _tokenizer(path, size):
    """Lower-cased, as the authors' is, although the vocabulary is a cased one; raises BadInput."""
    try:
        words = set(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))
    except UnicodeDecodeError as error:
        raise BadInput(f"dissector.vocabulary: {path} is not UTF-8 ({error}). It must be {VOCABULARY}") from error
    lacking = sorted({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} - words)
    if len(words) != size or lacking:
        raise BadInput(f"dissector.vocabulary: {path} has {len(words):,} tokens"
                       + (f" without {', '.join(lacking)}" if lacking else "")
                       + f", but the text network knows {size:,}. It must be {VOCABULARY}")
    return BertTokenizer(str(path), do_lower_case=True)
