"""Any network of timm, by its name."""
from mammi.backbone import drawn
from mammi.errors import BadInput, near
from mammi.target.any_network import AnyNetwork, needed
from mammi.target.transform import images_of


class TimmModel(AnyNetwork):
    """A timm network ``model`` with your checkpoint; see :class:`mammi.target.any_network.AnyNetwork`.

    model     a name of ``timm.list_models()``, with or without the tag of its published weights (``resnet18.a1_in1k``):
              the tag decides how images are prepared
    size, crop_pct, mean, sd, filter  of the images: shorter side to ``size / crop_pct``, centre crop ``size``. None:
              as timm's own settings of the network say
    channels  1: a first convolution for grey images
    seed      draws whatever no checkpoint fills
    """

    def __init__(self, model, weights, classes=None, head=None, new_head=False, size=None, crop_pct=None, mean=None,
                 sd=None, filter=None, channels=3, trained_on=(), seed=0, layer="final", activation="logit",
                 reducer="mean", device="cpu"):
        import timm
        from timm.models import get_pretrained_cfg

        _check_name(timm, str(model))
        data = get_pretrained_cfg(model).to_dict()
        _, height, width = data["input_size"]
        if height != width:
            raise BadInput(f"target.model={model} takes images of {height} x {width} pixels; only square ones can be "
                           "prepared here")
        own = {"size": height, "resize": int(height / min(1, data["crop_pct"])), "mean": data["mean"],
               "sd": data["std"], "filter": data["interpolation"]}
        transform = images_of(own, channels, size, crop_pct, mean, sd, filter)
        # Position embeddings are as large as the images; other networks take any size and know no such option.
        size = transform.crop
        fixed = {"img_size": size} if data["fixed_input_size"] and size != height else {}

        def create(n):
            classes = {"num_classes": n} if n else {}
            return drawn(seed, timm.create_model, model, pretrained=False, in_chans=channels, **classes, **fixed)

        super().__init__(create, transform, weights, classes, head, new_head, trained_on, name=model,
                         architecture=f"timm {model} {size}", layer=layer,
                         activation=activation, reducer=reducer, device=device)


def published(model, weights, **options):
    """:class:`TimmModel` with the weights that the tag of ``model`` names; never random ones."""
    return TimmModel(model, needed(weights, ["model.safetensors"], f"timm/{model} of the Hugging Face hub"), **options)


def _check_name(timm, model):
    arch, _, tag = model.partition(".")
    if arch not in (known := timm.list_models()):
        raise BadInput(f"target.model={model}: timm has no such network. {near(arch, known)}")
    if tag and model not in (tagged := timm.list_pretrained(f"{arch}.*")):
        raise BadInput(f"target.model={model}: timm knows no weights {tag!r} of {arch}. {near(model, tagged)}")
