import pytest
import torch

from mammi.devices import check_device
from mammi.errors import BadInput


@pytest.mark.parametrize("name", ["foo", "cuda:99", "meta", 1.5])
def test_a_device_that_is_not_here_is_named(name):
    with pytest.raises(BadInput, match=f"device={name} cannot be used.*There is: cpu"):
        check_device(name)


def test_devices_that_are_here_pass():
    check_device("cpu")
    if torch.cuda.is_available():
        check_device("cuda")
