import numpy as np
import pytest
import torch

from mammi.explainer.decoder import Decoder

SKIPS = (1, 4, 6, 8)


def features(batch=2, side=16):
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(batch, channels, side >> level, side >> level, generator=rng)
            for level, channels in enumerate(SKIPS)]


@pytest.mark.parametrize("skips, parameters", [((3, 64, 256, 512, 1024, 2048), 9_013_379),   # ResNet-50
                                               ((3, 64, 256, 512, 1024, 1024), 6_654_083)])  # DenseNet-121
def test_parameters_of_the_authors_setting(skips, parameters):
    assert sum(p.numel() for p in Decoder(skips).parameters()) == parameters


def test_channels_halve_down_to_eight():
    assert [block[0].out_channels for block in Decoder((3, 64, 256, 512, 1024, 2048)).blocks] == [256, 128, 64, 32, 16]
    assert [block[0].out_channels for block in Decoder(SKIPS, width=24).blocks] == [24, 12, 8]


def test_each_image_gets_its_own_channel_s_mask():
    decoder = Decoder(SKIPS, channels=5).eval()
    with torch.no_grad():
        both = decoder(features(), torch.tensor([3, 1]))
        assert both.shape == (2, 16, 16) and 0 <= both.min() and both.max() <= 1
        y = features()[-1]
        for block, skip in zip(decoder.blocks, features()[-2::-1]):
            large = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
            y = block(torch.cat([large, skip], 1))
        every = decoder.head(y)  # all K channels
        plain = torch.sigmoid(every * decoder.patch.weight.item() + decoder.patch.bias.item())
    torch.testing.assert_close(both, torch.stack([plain[0, 3], plain[1, 1]]))


def test_other_sizes_than_twice_are_met():
    odd = [torch.randn(1, c, s, s) for c, s in zip(SKIPS, (20, 13, 5, 2))]
    assert Decoder(SKIPS)(odd, torch.tensor([0]).repeat(1)).shape == (1, 20, 20)


def test_a_patch_has_one_value():
    decoder = Decoder(SKIPS, partition=4).eval()
    with torch.no_grad():
        mask = decoder(features(), torch.tensor([0, 0]))
        logits = mask.logit()
    assert mask.shape == (2, 16, 16) and decoder.patch.weight.sum().item() == pytest.approx(1)
    rough = Decoder(SKIPS).eval()
    assert logits.diff(dim=2).abs().mean() < rough(features(), torch.tensor([0, 0])).logit().diff(dim=2).abs().mean()


def test_the_last_skip_is_the_image_itself():
    decoder, one = Decoder(SKIPS).eval(), features()
    other = [one[0] + 1, *one[1:]]
    with torch.no_grad():
        assert not np.allclose(decoder(one, torch.tensor([0, 0])), decoder(other, torch.tensor([0, 0])))
