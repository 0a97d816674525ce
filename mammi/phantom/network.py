"""The phantom's target network: a DenseNet (Huang et al., CVPR 2017) small enough for a minute of CPU."""
from collections import OrderedDict

import torch
from torch import nn

GROWTH, BOTTLENECK, STEM, BLOCKS = 16, 32, 32, (2, 6, 4)


class DenseLayer(nn.Module):
    """(B, C, H, W) -> (B, C + 16, H, W): its input with 16 new channels behind."""

    def __init__(self, channels):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, BOTTLENECK, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(BOTTLENECK), nn.Conv2d(BOTTLENECK, GROWTH, 3, padding=1, bias=False)

    def forward(self, x):
        new = self.conv2(self.norm2(self.conv1(self.norm1(x).relu())).relu())
        return torch.cat([x, new], 1)


class SmallDenseNet(nn.Module):
    """(B, 1, 96, 96) -> (B, classes) logits; 128 non-negative 6 x 6 maps come out of ``features``."""

    def __init__(self, classes):
        super().__init__()
        layers = OrderedDict(conv0=nn.Conv2d(1, STEM, 5, 2, 2, bias=False), norm0=nn.BatchNorm2d(STEM),
                             relu0=nn.ReLU(), pool0=nn.MaxPool2d(3, 2, 1))
        channels = STEM
        for number, depth in enumerate(BLOCKS, 1):
            block = OrderedDict()
            for layer in range(1, depth + 1):
                block[f"denselayer{layer}"] = DenseLayer(channels)
                channels += GROWTH
            layers[f"denseblock{number}"] = nn.Sequential(block)
            if number < len(BLOCKS):
                layers[f"transition{number}"] = nn.Sequential(OrderedDict(
                    norm=nn.BatchNorm2d(channels), relu=nn.ReLU(),
                    conv=nn.Conv2d(channels, channels // 2, 1, bias=False), pool=nn.AvgPool2d(2)))
                channels //= 2
        layers["norm5"], layers["relu5"] = nn.BatchNorm2d(channels), nn.ReLU()
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels, classes)
        self.to(memory_format=torch.channels_last)      # a fifth less time on a CPU

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))
