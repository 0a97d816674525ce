import pytest
import torch
from PIL import Image
from torch import nn

from mammi.dissector.base import Dissector
from mammi.errors import BadInput
from mammi.explainer.features import find
from mammi.target.image_embedding import ImageEmbedding
from mammi.types import Batch


class Tower(Dissector):
    """Two convolutions; the towers lie in a tuple, as MedCLIP's do."""
    name, fingerprint = "tower", "tower-1"

    def __init__(self):
        torch.manual_seed(0)
        self._image = (nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1)), nn.Linear(6, 5))

    def inputs(self, batch):
        return torch.stack([torch.full((1, 16, 16), image.getpixel((0, 0)) / 255) for image in batch.images])

    def encode(self, x):
        maps, head = self._image
        return nn.functional.normalize(head(maps(x).mean((2, 3))), dim=1)


def batch(*greys):
    images = tuple(Image.new("L", (16, 16), grey) for grey in greys)
    return Batch(images, tuple(map(str, greys)), tuple(map(str, greys)))


def test_the_embedding_is_a_layer_with_features_below():
    target = ImageEmbedding(Tower())
    reading = target.read(batch(10, 200), ["embedding"])["embedding"]
    assert reading.pooled.shape == (2, 5) and reading.maps is None and not reading.pooled.requires_grad
    torch.testing.assert_close(reading.pooled.norm(dim=1), torch.ones(2))
    assert target.neurons("embedding") == tuple(f"embedding[{i}]" for i in range(5))
    x = torch.rand(2, 1, 16, 16, requires_grad=True)
    target.forward(x, ["embedding"])["embedding"].pooled[:, 0].sum().backward()
    assert x.grad.abs().sum() > 0
    assert find(target, x, "embedding").channels == (1, 4, 6)


def test_what_it_depends_on_is_the_dissector():
    one, other = Tower(), Tower()
    other.fingerprint = "tower-2"
    prints = [ImageEmbedding(d).fingerprint("embedding") for d in (one, Tower(), other)]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.fault
def test_a_dissector_without_a_tower_and_an_unknown_layer_are_named():
    closed = Tower()
    closed.encode = None
    with pytest.raises(BadInput, match="tower has no image tower .*dissector=phantom_nce"):
        ImageEmbedding(closed).read(batch(3), ["embedding"])
    with pytest.raises(BadInput, match="target.layer=final: image embedding of tower has one layer, embedding"):
        ImageEmbedding(Tower()).forward(torch.zeros(1, 1, 16, 16), ["final"])
