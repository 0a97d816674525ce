"""A dissector's image embedding as a layer: what NEM's unsupervised losses explain, and units like any others."""
import torch
from torch import nn

from mammi.errors import BadInput
from mammi.files import digest
from mammi.target.base import Target
from mammi.types import Batch, Reading

LAYER = "embedding"


class ImageEmbedding(Target):
    """One layer, ``embedding``: the D numbers, of unit norm, that ``dissector`` makes of an image.

    dissector  with ``inputs`` (batch -> (B, C, H, W)) and ``encode`` (that -> (B, D), differentiable)

    Raises :class:`BadInput` when used, where the dissector has no such image tower.
    """

    layer = LAYER

    def __init__(self, dissector):
        self.dissector, self.name = dissector, f"image embedding of {dissector.name}"
        self.device, self.notes = getattr(dissector, "device", torch.device("cpu")), tuple(dissector.notes)
        parts = [value if isinstance(value, tuple) else (value,) for value in vars(dissector).values()]
        self.module = nn.ModuleList(part for part in sum(parts, ()) if isinstance(part, nn.Module)).eval()
        self._width = None

    def neurons(self, layer):
        self._check(layer)
        if self._width is None:
            from PIL import Image

            blank = Batch((Image.new("L", (256, 256)),), ("blank",), ("blank",))
            with torch.no_grad():
                self._width = self.dissector.encode(self.prepare(blank)).shape[1]
        return tuple(f"{layer}[{i}]" for i in range(self._width))

    def fingerprint(self, layer):
        self._check(layer)
        return digest("ImageEmbedding 1", self.dissector.fingerprint)

    def prepare(self, batch):
        """(B, C, H, W) on the device, from a batch's raw images."""
        self._check_tower()
        return self.dissector.inputs(batch)

    def field(self, size):
        return (self.dissector.field(size) if hasattr(self.dissector, "field") else None) or super().field(size)

    @torch.no_grad()
    def read(self, batch, layers, maps=False):
        return self.forward(self.prepare(batch), layers, maps)

    def forward(self, x, layers, maps=False):
        """{"embedding": Reading} of prepared ``x``, differentiable; there are no maps."""
        for layer in layers:
            self._check(layer)
        self._check_tower()
        return {layer: Reading(self.dissector.encode(x)) for layer in layers}

    def _check_tower(self):
        if getattr(self.dissector, "encode", None) is None:
            raise BadInput(f"target.dissector: {self.dissector.name} has no image tower that prepared images can be "
                           "given to (Dissector.encode); choose another, such as dissector=phantom_nce, medclip or "
                           "open_clip")

    def _check(self, layer):
        if layer != LAYER:
            raise BadInput(f"target.layer={layer}: {self.name} has one layer, {LAYER}")
