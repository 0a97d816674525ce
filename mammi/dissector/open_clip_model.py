"""Any model of open_clip, OpenAI's CLIP ViT-B/16 without more words."""
from functools import cached_property

import numpy as np
import torch

from mammi.clip_model import VIT_B16, settings
from mammi.dissector.base import Dissector
from mammi.dissector.clip_transform import ClipTransform
from mammi.files import digest
from mammi.text_encoder import ClipTextEncoder

VERSION = "OpenClip 1"  # raise it when the same files and input give another embedding


class OpenClip(Dissector):
    """Image and text tower of one open_clip model.

    weights     a file in open_clip's format (.safetensors, .pt, .bin), or the folder that holds it
    model       open_clip's name of the architecture; OpenAI's weights need a ``-quickgelu`` one
    tag         open_clip's name of the weights: downloaded where no ``weights`` are given and the run is not offline;
                needed with a file only where a model's tags prepare images in different ways
    view, jpeg_roundtrip  see :class:`mammi.dissector.view.View`
    batch_size  texts or images per pass

    Raises :class:`MissingAsset` for an absent file or an offline download; :class:`BadInput` for an unknown model or
    tag, and for weights with missing or unexpected keys or other shapes.
    """

    def __init__(self, weights=None, model=VIT_B16, tag=None, view="target_crop", jpeg_roundtrip=False, device="cpu",
                 batch_size=64):
        self.name = f"open_clip {model}"
        self.text_encoder = ClipTextEncoder(weights, model, self.name, device, batch_size, tag)
        self._network, _ = self.text_encoder.loaded
        self.preprocess = ClipTransform(view, jpeg_roundtrip, self._network.visual.image_size, **settings(model, tag))
        self.device, self.batch_size = torch.device(device), int(batch_size)

    @property
    def tensors(self):
        return len(self._network.state_dict())

    @cached_property
    def fingerprint(self):
        return digest(VERSION, self.text_encoder.fingerprint, repr(self.preprocess))

    @torch.no_grad()
    def embed_images(self, batch):
        """(B, D) float32, unit norm."""
        rows = [self.encode(self.prepare(batch.images[i:i + self.batch_size]))
                for i in range(0, len(batch), self.batch_size)]
        return torch.cat(rows).float().cpu().numpy()

    def encode(self, x):
        return self._network.encode_image(x, normalize=True)

    def prepare(self, images):
        """(B, 3, size, size) float32 on the device."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device)

    def field(self, size):
        return self.preprocess.field(size)

    def embed_texts(self, texts):
        """(len(texts), D) float32, unit norm."""
        return self.text_encoder.embed(texts)

    def project_texts(self, vectors):
        """The vectors as they are: the text tower ends in the shared space."""
        return np.asarray(vectors, np.float32)
