"""The U-Net decoder of NEM and NEMt: from a frozen network's feature maps to a mask in [0, 1] over the image."""
import torch
from torch import nn
from torch.nn.functional import interpolate

NARROWEST = 8


class Decoder(nn.Module):
    """[F_0 ... F_L] -> (B, H, W) masks m in [0, 1], before smoothing.

    skips      L + 1 numbers of channels, F_0 = x first
    channels   K read-outs that each have a mask of their own
    width      channels of the deepest block; each next one has half, at least 8 (the authors': 256 to 16)
    partition  side in pixels of the patches that share a value; 1: none

    Each of L blocks enlarges (nearest) what is below to the size of the next feature map, joins the two, and applies
    two convolutions of 3 x 3 with batch normalisation and SiLU. A 1 x 1 convolution makes K channels, of which only the
    one asked for is computed: memory does not grow with K. ``patch`` is a convolution of kernel and stride
    ``partition`` over that channel.
    """

    def __init__(self, skips, channels=1, width=256, partition=1):
        super().__init__()
        deepest, *others = reversed(skips)
        blocks = []
        for level, skip in enumerate(others):
            out = max(width >> level, NARROWEST)
            blocks.append(_block(deepest + skip, out))
            deepest = out
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(deepest, channels, 1)
        self.patch = nn.Conv2d(1, 1, partition, partition)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.constant_(self.patch.weight, 1 / partition ** 2)  # it begins as the mean of a patch
        self.to(memory_format=torch.channels_last)  # a third less time on a CPU

    def forward(self, features, channel):
        """``channel`` (B,) whole numbers, in [0, K): the read-out of each image."""
        *others, y = features
        for block, skip in zip(self.blocks, reversed(others)):
            y = block(torch.cat([interpolate(y, skip.shape[-2:], mode="nearest"), skip], 1))
        weight, bias = self.head.weight[channel, :, 0, 0], self.head.bias[channel]
        logits = torch.einsum("bchw,bc->bhw", y, weight) + bias[:, None, None]
        mask = self.patch(logits[:, None]).sigmoid()
        if mask.shape[-2:] != logits.shape[-2:]:
            mask = interpolate(mask, logits.shape[-2:], mode="bilinear")
        return mask[:, 0]


def _block(channels, out):
    layers = []
    for inputs in (channels, out):
        layers += [nn.Conv2d(inputs, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.SiLU()]
    return nn.Sequential(*layers)
