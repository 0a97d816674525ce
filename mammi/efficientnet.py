"""EfficientNet (Tan and Le, 2019) as the package efficientnet_pytorch builds it, under its key names.

timm's network differs in one thing. TensorFlow pads as much as an image's own size asks for; this one pads every image
as one of 456 pixels, the size B5 was trained with. Where a map of 57 pixels would be halved, that is one row and
column more at the top and left, and what lies behind is shifted by a pixel.
"""
from dataclasses import dataclass

from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, pad, silu

NORM = {"eps": 1e-3, "momentum": .01}


@dataclass(frozen=True)
class Size:
    """Widths of stem and head, pixels that padding is for, and (expansion, kernel, stride, width, blocks) by stage."""

    stem: int
    head: int
    side: int
    stages: tuple


B5 = Size(48, 2048, 456, ((1, 3, 1, 24, 3), (6, 3, 2, 40, 5), (6, 5, 2, 64, 5), (6, 3, 2, 128, 7), (6, 5, 1, 176, 7),
                          (6, 5, 2, 304, 9), (6, 3, 1, 512, 3)))


class EfficientNet(nn.Module):
    """(B, 3, h, w) -> (B, head): the mean over the last map; there is no classifier."""

    def __init__(self, size=B5):
        super().__init__()
        self._conv_stem = Conv(3, size.stem, 3, 2, size.side)
        self._bn0 = nn.BatchNorm2d(size.stem, **NORM)
        width, side = size.stem, _halved(size.side, 2)
        self._blocks = nn.ModuleList()
        for expansion, kernel, first, outputs, blocks in size.stages:
            for stride in (first, *[1] * (blocks - 1)):
                self._blocks.append(Block(width, outputs, expansion, kernel, stride, side))
                width, side = outputs, _halved(side, stride)
        self._conv_head = Conv(width, size.head, 1)
        self._bn1 = nn.BatchNorm2d(size.head, **NORM)

    def forward(self, x):
        x = silu(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return silu(self._bn1(self._conv_head(x))).mean((2, 3))


class Block(nn.Module):
    """Inverted bottleneck: wider, a convolution for each channel, channels weighed by their means, narrower."""

    def __init__(self, inputs, outputs, expansion, kernel, stride, side):
        super().__init__()
        width, squeezed = inputs * expansion, max(1, inputs // 4)
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = Conv(inputs, width, 1)
            self._bn0 = nn.BatchNorm2d(width, **NORM)
        self._depthwise_conv = Conv(width, width, kernel, stride, side, groups=width)
        self._bn1 = nn.BatchNorm2d(width, **NORM)
        self._se_reduce = nn.Conv2d(width, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, width, 1)
        self._project_conv = Conv(width, outputs, 1)
        self._bn2 = nn.BatchNorm2d(outputs, **NORM)

    def forward(self, x):
        y = silu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = silu(self._bn1(self._depthwise_conv(y)))
        y = y * self._se_expand(silu(self._se_reduce(adaptive_avg_pool2d(y, 1)))).sigmoid()
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class Conv(nn.Conv2d):
    """No bias; padded so that ``side`` pixels become ceil(side / stride), what is odd at the bottom and right."""

    def __init__(self, inputs, outputs, kernel, stride=1, side=1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        lacks = max((_halved(side, stride) - 1) * stride + kernel - side, 0)
        self.around = (lacks // 2, lacks - lacks // 2) * 2

    def forward(self, x):
        return super().forward(pad(x, self.around) if any(self.around) else x)


def _halved(side, stride):
    return -(-side // stride)
