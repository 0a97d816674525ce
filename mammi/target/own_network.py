"""Your own network: any class that Python can import."""
from torch import nn

from mammi.errors import BadInput
from mammi.target.any_network import AnyNetwork
from mammi.target.transform import resize_crop


class OwnNetwork(AnyNetwork):
    """``module``, a ``torch.nn.Module`` (B, channels, size, size) -> (B, classes), with your checkpoint; see
    :class:`mammi.target.any_network.AnyNetwork`.

    module              the network, built; in a config: ``{_target_: my_package.Network, its: options}``
    weights             its checkpoint; None: as it was built
    size, resize        of the images: shorter side to ``resize`` (None: ``size``), centre crop ``size``
    mean, sd            of pixels in [0, 1]: three numbers for a colour network, one for a grey one
    prefix              a transformer's tokens that are no patches (class, register tokens); None: found, or unknown
    """

    def __init__(self, module, weights, classes=None, head=None, size=224, resize=None, mean=(.485, .456, .406),
                 sd=(.229, .224, .225), filter="BILINEAR", prefix=None, trained_on=(), layer="final",
                 activation="logit", reducer="mean", device="cpu"):
        if not isinstance(module, nn.Module):
            raise BadInput(f"target.module is {type(module).__name__}, expected a torch.nn.Module: "
                           "'target.module={_target_: my_package.Network, its: options}'")
        name = type(module).__name__

        def create(n):
            return module

        super().__init__(create, resize_crop(size if resize is None else resize, size, mean, sd, filter), weights,
                         classes, head, False, trained_on, name=name, drawn="as built", prefix=prefix,
                         architecture=repr(module), layer=layer, activation=activation, reducer=reducer, device=device)
