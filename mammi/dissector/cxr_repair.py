"""CXR-RePaiR's CLIP (Endo et al., ML4H 2021), a dissector of Table 3: trained on MIMIC-CXR images and impressions."""
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from torchvision.transforms.functional import InterpolationMode, resize

from mammi import clip_model
from mammi.dissector import checkpoint
from mammi.dissector.base import Dissector
from mammi.dissector.view import View
from mammi.files import digest, hash_of
from mammi.text_encoder import rows_by_length

VERSION = "CXR-RePaiR 1"  # raise it when the same files and input give another embedding
SIDE, MEAN, SD = 320, 101.48761, 83.43944  # pixels; grey levels of 0 to 255
TEXT = {"context": 77, "vocabulary": 49408, "text_width": 512, "text_layers": 12}
SIZES = ({"dim": 512, "image": 224, "patch": 32, "width": 768, "layers": 12, **TEXT},  # fine-tuned ViT-B/32 of OpenAI
         {"dim": 768, "image": 320, "patch": 16, "width": 768, "layers": 12, **TEXT})  # trained from scratch
HEAD = 64  # width of an attention head in both towers
FILE = "clip-imp-pretrained_128_6_after_4.pt"
SOURCE = f"{FILE}, which the README of github.com/rajpurkarlab/CXR-RePaiR links to"


class CxrRepair(Dissector):
    """OpenAI's CLIP architecture with QuickGELU, 512-d (or 768-d, where it was trained from scratch).

    weights     the authors' file, or the folder that holds it
    view, jpeg_roundtrip  see :class:`mammi.dissector.view.View`
    batch_size  texts or images per pass
    sizes       the networks that a file may hold; its patch size says which one

    Raises :class:`MissingAsset` for an absent file; :class:`BadInput` for weights with missing or unexpected keys or
    other shapes, an unknown view. Nothing tells OpenAI's own ViT-B/32 from the fine-tuned one by its shapes.
    """

    name = "cxr_repair"

    def __init__(self, weights, view="target_crop", jpeg_roundtrip=False, device="cpu", batch_size=64, sizes=SIZES):
        self.weights, = checkpoint.locate("cxr_repair", ("paths.cxr_repair", weights, FILE, SOURCE))
        self.device, self.batch_size = torch.device(device), int(batch_size)
        state = checkpoint.read(self.weights, SOURCE)
        size = _size(state, sizes)
        self.preprocess = Preprocess(view, jpeg_roundtrip, size["image"])
        self._tokenizer = SimpleTokenizer(context_length=size["context"])
        self._network = checkpoint.fill(_clip(size), state, self.weights, "CXR-RePaiR's CLIP", SOURCE,
                                        clip_model.CONSTANTS)
        self._network.to(self.device)

    @property
    def tensors(self):
        return len(self._network.state_dict())

    @cached_property
    def fingerprint(self):
        return digest(VERSION, hash_of(self.weights), repr(self.preprocess))

    @torch.no_grad()
    def embed_images(self, batch):
        """(B, D) float32, unit norm."""
        rows = [self.encode(self.prepare(batch.images[i:i + self.batch_size]))
                for i in range(0, len(batch), self.batch_size)]
        return torch.cat(rows).cpu().numpy()

    def encode(self, x):
        return self._network.encode_image(x, normalize=True)

    def prepare(self, images):
        """(B, 3, size, size) float32 on the device: the grey channel three times."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device).expand(-1, 3, -1, -1)

    def field(self, size):
        return self.preprocess.field(size)

    @torch.no_grad()
    def embed_texts(self, texts):
        """(len(texts), D) float32, unit norm; see :func:`mammi.clip_model.tokens`."""
        texts = list(texts)
        tokens = clip_model.tokens(self._network, self._tokenizer, texts)

        def encode(block):
            ids = torch.stack([tokens[i] for i in block]).to(self.device)
            return clip_model.encode(self._network, ids).cpu().numpy()

        return rows_by_length(tokens, self.batch_size, self._network.text_projection.shape[1], encode, self.name)


@dataclass(frozen=True)
class Preprocess(View):
    """PIL image, any mode and size -> (1, size, size) float32; its repr is part of the fingerprint.

    As the authors prepare MIMIC-CXR: the grey view's longer side becomes 320 pixels (Lanczos), the middle of a black
    square; grey levels are normalised as they are, not as fractions of 255; last comes ``size`` (bicubic, without
    antialiasing, for it is a tensor by then).
    """

    size: int = 224

    def field(self, size):
        """As :meth:`View.field`; None where the view gets black borders."""
        width, height = self.kept(size)
        return super().field(size) if width == height else None

    def __call__(self, image):
        image = self.seen(image).convert("L")
        ratio = SIDE / max(image.size)
        image = image.resize([max(int(n * ratio), 1) for n in image.size], Image.Resampling.LANCZOS)
        square = Image.new("L", (SIDE, SIDE))
        square.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
        grey = torch.from_numpy((np.asarray(square, np.float32) - np.float32(MEAN)) / np.float32(SD))[None]
        return resize(grey, self.size, InterpolationMode.BICUBIC, antialias=False)


def _size(state, sizes):
    """That of ``sizes`` whose patches are as large as the file's, else the first."""
    patch = tuple(getattr(state.get("visual.conv1.weight"), "shape", ()))[-1:]
    return next((size for size in sizes if patch == (size["patch"],)), sizes[0])


def _clip(size):
    """OpenAI's network as open_clip builds it, under the same key names."""
    image = CLIPVisionCfg(size["layers"], size["width"], HEAD, patch_size=size["patch"], image_size=size["image"])
    text = CLIPTextCfg(size["context"], size["vocabulary"], width=size["text_width"],
                       heads=size["text_width"] // HEAD, layers=size["text_layers"])
    return CLIP(size["dim"], image, text, quick_gelu=True)
