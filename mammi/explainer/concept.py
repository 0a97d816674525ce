"""A concept as a read-out: how well an image fits a text, differentiable down to the pixels."""
import torch

from mammi.errors import BadInput
from mammi.types import Reading, Readout

LAYER, EMBEDDING = "concept", "embedding"


class ConceptFit:
    """A dissector as a :class:`~mammi.explainer.base.Subject` with two layers: ``concept``, a unit per word, its cosine
    with the image; and ``embedding``, the image's (B, D).

    dissector  with ``encode``
    words      what the units are called
    texts      (C, D) unit norm, the words' prompts embedded by the dissector

    Raises :class:`BadInput` for a dissector whose network is out of reach.
    """

    embedding = EMBEDDING

    def __init__(self, dissector, words, texts):
        check_open(dissector)
        self.dissector, self.words, self.name = dissector, tuple(words), dissector.name
        self.device = getattr(dissector, "device", torch.device("cpu"))
        self._texts = torch.as_tensor(texts, device=self.device)

    def unit(self, index):
        """The :class:`Readout` of one word."""
        return Readout(LAYER, index, self.words[index])

    def prepare(self, batch):
        return self.dissector.inputs(batch)

    def field(self, size):
        return self.dissector.field(size)

    def forward(self, x, layers, maps=False):
        """Maps are the patches' products with the text, where the dissector has patches; their mean is the cosine."""
        if maps and self.dissector.encode_patches is not None:
            patches = self.dissector.encode_patches(x)
            vectors, spatial = patches.mean((1, 2)), torch.einsum("bhwd,cd->bchw", patches, self._texts)
        else:
            vectors, spatial = self.dissector.encode(x), None
        readings = {LAYER: Reading(vectors @ self._texts.T, spatial), EMBEDDING: Reading(vectors)}
        return {layer: readings[layer] for layer in layers}


def check_open(dissector):
    """Raise :class:`BadInput` unless the dissector's network can be asked about prepared images."""
    if dissector.encode is None:
        raise BadInput(f"a concept cannot be explained with {dissector.name}: its network is not open to prepared "
                       "images (Dissector.encode). Choose one with an image tower of its own, such as lit, open_clip, "
                       "medclip or phantom_nce")
