"""MedKLIP's network: patches of an image, queries for entities, and a decoder that says whether each is present.

Modules have the names of the authors' checkpoint. We could not read their decoder itself. They call for layer norms
before each block and for ReLU, and a public descendant of their code (Shef-AIRE/MeDSLIP) has torch's decoder layer with
attention among the queries; so has this.
"""
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

SIZES = {"blocks": (3, 4, 6, 3), "width": 256, "heads": 4, "layers": 4, "inner": 1024, "text_width": 768}
FEATURES = 1024  # of a ResNet's third stage


class Network(nn.Module):
    """``blocks`` of the ResNet (the fourth number counts for nothing), then sizes of the decoder; see ``SIZES``."""

    def __init__(self, blocks, width, heads, layers, inner, text_width):
        super().__init__()
        self.res_features = nn.Sequential(*list(ResNet(Bottleneck, list(blocks)).children())[:-3])
        self.res_l1 = nn.Linear(FEATURES, FEATURES)
        self.res_l2 = nn.Linear(FEATURES, width)
        self.disease_embedding_layer = nn.Linear(text_width, width)
        self.cl_fc = nn.Linear(width, text_width)  # of the training loss; in the file, used by nothing here
        layer = nn.TransformerDecoderLayer(width, heads, inner, batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, layers, nn.LayerNorm(width))
        self.classifier = nn.Linear(width, 2)

    def patches(self, x):
        """(B, 3, 224, 224) -> (B, 196, width), row by row from the upper left."""
        return self.res_l2(self.res_l1(self.res_features(x).flatten(2).transpose(1, 2)).relu())

    def queries(self, texts):
        """(n, text_width) of a text network -> (n, width)."""
        return self.disease_embedding_layer(texts)

    def present(self, patches, queries, book):
        """(B, n) probabilities in [0, 1] that what the (n, width) ``queries`` ask for is in the images.

        A query attends to itself and to ``book`` (m, width), whose queries attend to one another as in training. So the
        answer to a query does not depend on what else is asked.
        """
        asked = torch.cat([book, queries])
        unseen = ~torch.eye(len(asked), dtype=torch.bool, device=asked.device)
        unseen[:, :len(book)] = False
        out = self.decoder(asked.expand(len(patches), -1, -1), patches, tgt_mask=unseen)
        return self.classifier(out[:, len(book):]).softmax(-1)[..., 1]
