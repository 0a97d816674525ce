"""Backbones that are meant with published weights: true architecture and key names, files by name or in a folder."""
import pytest
import torch

from mammi.errors import MissingAsset
from mammi.target.timm_model import published
from mammi.target.torchvision_model import imagenet


def test_torchvision_s_file_is_found_in_a_folder(tmp_path):
    from torchvision.models import get_model

    torch.manual_seed(0)
    network = get_model("squeezenet1_1", weights=None)
    torch.save(network.state_dict(), tmp_path / "squeezenet1_1-b8a52dc0.pth")
    one = imagenet("squeezenet1_1", tmp_path)
    assert one.name == "squeezenet1_1" and len(one.classes) == 1000 and one.classes[0] == "tench"
    other = imagenet("squeezenet1_1", tmp_path / "squeezenet1_1-b8a52dc0.pth")
    assert one.fingerprint("final") == other.fingerprint("final")
    for key, value in network.state_dict().items():
        assert torch.equal(one.module.state_dict()[key], value)


def test_timm_s_file_is_found_in_a_folder(tmp_path):
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    one = published("vit_tiny_patch16_224", tmp_path)
    assert torch.equal(one.module.state_dict()["pos_embed"], network.state_dict()["pos_embed"])


@pytest.mark.fault
def test_never_random_weights(tmp_path):
    for weights in (None, tmp_path):
        with pytest.raises(MissingAsset, match="densenet169-b2777c0a.pth .*paths.target_weights"):
            imagenet("densenet169", weights)
        with pytest.raises(MissingAsset, match="vit_small_patch14_dinov2.lvd142m of the Hugging Face hub"):
            published("vit_small_patch14_dinov2.lvd142m", weights)
    with pytest.raises(MissingAsset, match="there is no file"):
        imagenet("resnet50", tmp_path / "none.pth")
