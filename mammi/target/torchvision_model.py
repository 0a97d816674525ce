"""Any classification network of torchvision, by its name."""
from pathlib import Path

from mammi.backbone import drawn
from mammi.errors import BadInput, near
from mammi.target.any_network import AnyNetwork, first_conv, needed
from mammi.target.transform import images_of


class TorchvisionModel(AnyNetwork):
    """A torchvision network ``model`` with your checkpoint; see :class:`mammi.target.any_network.AnyNetwork`.

    size, crop_pct, mean, sd, filter  of the images: shorter side to ``size / crop_pct``, centre crop ``size``. None:
        as the published weights were trained, those whose file ``weights`` is by its name, else the default ones
    channels  1: a first convolution for grey images
    seed      draws whatever no checkpoint fills
    """

    def __init__(self, model, weights, classes=None, head=None, new_head=False, size=None, crop_pct=None, mean=None,
                 sd=None, filter=None, channels=3, trained_on=(), seed=0, layer="final", activation="logit",
                 reducer="mean", device="cpu"):
        from torchvision import models

        known = models.list_models(module=models)
        if model not in known:
            raise BadInput(f"target.model={model}: torchvision has no such classification network. "
                           f"{near(str(model), known)}")
        published = _published(models.get_model_weights(model), weights)
        preset = published.transforms()
        own = {"size": preset.crop_size[0], "resize": preset.resize_size[0], "mean": preset.mean, "sd": preset.std,
               "filter": preset.interpolation.name}
        transform = images_of(own, channels, size, crop_pct, mean, sd, filter)
        its_file = weights is not None and Path(weights).name == _file(published)
        if classes is None and its_file and not new_head:
            classes = published.meta["categories"]
        options = {"image_size": transform.crop} if model.startswith("vit_") else {}
        if model in ("googlenet", "inception_v3"):  # the published ones change the normalisation themselves
            options |= {"transform_input": its_file, "init_weights": False}

        def create(n):
            more = {"num_classes": n} if n else {}
            return drawn(seed, lambda: first_conv(models.get_model(model, weights=None, **options, **more), channels))

        super().__init__(create, transform, weights, classes, head, new_head, trained_on, name=model,
                         architecture=f"torchvision {model} {options}", layer=layer, activation=activation,
                         reducer=reducer, device=device)


def imagenet(model, weights, **options):
    """:class:`TorchvisionModel` with its ImageNet weights, as torchvision publishes them; never random ones."""
    from torchvision import models

    known = list(models.get_model_weights(model))
    there = known[0].url.rpartition("/")[0]
    return TorchvisionModel(model, needed(weights, [_file(one) for one in known], there), **options)


def _published(known, weights):
    """The member of the weights enum ``known`` whose file ``weights`` is, by its name; else the default one."""
    name = Path(weights).name if weights is not None else None
    return next((member for member in known if _file(member) == name), known.DEFAULT)


def _file(member):
    return member.url.rpartition("/")[2]
