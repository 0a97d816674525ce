"""What every dissector (vision-language model) offers."""
from abc import ABC, abstractmethod

import numpy as np
from PIL import Image

from mammi.precision import full_precision
from mammi.types import Batch

GOLDEN_TEXTS = ("A chest x-ray image of a pleural effusion", "heart")


class Dissector(ABC):
    """Scores images against words.

    A dissector with a shared embedding space implements ``embed_images`` and ``embed_texts``; one without
    (MedKLIP) sets ``embeds = False`` and implements ``score`` alone.

    name         what rows and logs call it
    fingerprint  string: weights, preprocessing and code version; all that an embedding depends on but the input
    embeds       True where images and texts share one space
    withheld     words kept out of the training text on purpose; their hits are reported apart
    text_encoder  a frozen encoder (``embed``, ``fingerprint``) that ``embed_texts`` begins with, where there is one:
                 its vectors are then cached for all dissectors that share it, and ``project_texts`` does the rest
    notes        strings for the run's summary
    tensors      number of tensors whose place a file filled, with nothing left over; None where no file was read
    known        what :meth:`golden` gave when it was written down with exactly these weights; None: nobody did
    encode       what explainers use: (B, C, H, W) of :meth:`inputs` -> (B, D) torch tensor, unit norm, differentiable;
                 None where the network is out of reach
    encode_patches  the same -> (B, h, w, D), whose mean over h and w ``encode`` gives; None where there are no patches
    """

    name: str
    text_encoder = None
    embeds: bool = True
    withheld: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tensors: int | None = None
    known: dict | None = None
    encode = encode_patches = None

    @property
    @abstractmethod
    def fingerprint(self) -> str: ...

    def embed_images(self, batch) -> np.ndarray:
        """(B, D) float32, unit norm."""
        raise NotImplementedError(f"{self.name} has no image embedding; use score()")

    def embed_texts(self, texts) -> np.ndarray:
        """(len(texts), D) float32, unit norm. A text's vector never depends on the other texts of the call."""
        raise NotImplementedError(f"{self.name} has no text embedding; use score()")

    def project_texts(self, vectors) -> np.ndarray:
        """(n, D) float32, unit norm, from (n, E) vectors of ``text_encoder``."""
        raise NotImplementedError(f"{self.name} has no text encoder to project from")

    def score(self, batch, texts) -> np.ndarray:
        """(B, len(texts)): how well each text fits each image, higher is better. Default: cosine, in [-1, 1]."""
        return self.embed_images(batch) @ self.embed_texts(texts).T

    def golden(self):
        """What comes out for fixed pictures and texts: {"images": (3, D), "texts": (2, D)}, or {"scores": (3, 2)}.

        Lists, for a card. Grey and colour, nothing in them is symmetric under all turns: what swaps sides, axes or
        channels shows.
        """
        batch = Batch(golden_pictures(), ("ramp", "disc", "corner"), ("ramp", "disc", "corner"))
        with full_precision():
            if not self.embeds:
                return {"scores": self.score(batch, GOLDEN_TEXTS).tolist()}
            return {"images": self.embed_images(batch).tolist(), "texts": self.embed_texts(GOLDEN_TEXTS).tolist()}

    def inputs(self, batch):
        """(B, C, H, W) torch tensor on the device: what :meth:`encode` takes, from a batch's raw images."""
        return self.prepare(batch.images)

    def field(self, size):
        """(left, top, right, bottom) in pixels of an image of ``size`` (width, height): where :meth:`inputs` lie, or
        None where nobody has said it."""
        return None

    def patches(self, batch) -> np.ndarray | None:
        """(B, h, w, D) patch embeddings in the same space, row 0 at the top; None where there are none."""
        return None


def golden_pictures():
    """Three PIL images of 96 x 96 pixels: a grey ramp, a grey disc, and a bright corner in colour."""
    rows, columns = np.mgrid[:96, :96]
    disc = np.hypot(rows - 48, columns - 48) < 24
    colour = np.stack([2 * rows, 200 - 2 * columns, 180 * ((rows < 40) & (columns < 24))], 2)
    return tuple(Image.fromarray(a.astype(np.uint8)) for a in (rows + columns, disc * 200, colour))
