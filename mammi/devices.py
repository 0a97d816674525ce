"""Which devices there are."""
import torch

from mammi.errors import BadInput


def check_device(name):
    """Raise :class:`BadInput` unless torch can put a tensor on the device ``name`` (cpu, cuda, cuda:1, mps)."""
    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        here += ["mps"] * torch.backends.mps.is_available()
        reason = str(error).partition("\n")[0]
        raise BadInput(f"device={name} cannot be used: {reason}. There is: {', '.join(here)}") from error
