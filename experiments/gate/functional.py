"""Faults that every loader lets pass: weights and preprocessing that are wrong and look right.

Each changes a :class:`~mammi.dissector.locked_text.LockedText` in place; its card and golden embeddings stay those of
the right one, as where a file or a line of code went wrong after they were written.
"""
import copy

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn


class _Changed:
    """A text encoder that calls itself ``encoder`` and gives what ``embed`` makes."""

    def __init__(self, encoder, embed):
        self.name, self.fingerprint, self.embed = encoder.name, encoder.fingerprint, embed


class _Pictures:
    """A transform that calls itself ``right``, and is ``wrong`` after ``change`` of the PIL image."""

    def __init__(self, right, change=None, wrong=None):
        self.right, self.change, self.wrong, self.size = right, change, wrong or right, right.size

    def __call__(self, image):
        return self.wrong(self.change(image) if self.change else image)

    def __repr__(self):
        return repr(self.right)


def _image(change):
    def fault(model, rng):
        model.module.tower.transform = _Pictures(model.module.tower.transform, change)
    return fault


def _pixels(change):
    return _image(lambda image: Image.fromarray(change(np.asarray(image)).astype(np.uint8)))


def _constants(mean, sd):
    def fault(model, rng):
        right = model.module.tower.transform
        channels = len(right.mean)
        wrong = type(right)(right.size, [mean] * channels, [sd] * channels)
        model.module.tower.transform = _Pictures(right, wrong=wrong)
    return fault


def _size(side):
    def small(image):
        return image.resize((side, side), Image.Resampling.BILINEAR)
    return _image(small)


def _tensor(part, change):
    """``change`` (tensor, rng) -> tensor, of every tensor of ``module`` whose name begins with ``part``."""
    def fault(model, rng):
        for name, value in model.module.state_dict().items():
            if name.startswith(part) and value.is_floating_point():
                value.copy_(change(value.clone(), rng))
    return fault


def _statistics(model, rng):
    for layer in model.module.tower.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.zero_()
            layer.running_var.fill_(1)


def _training(model, rng):
    """The pitfall of a published model: BatchNorm and dropout as in training."""
    nn.Module.train(model.module.tower)
    for layer in model.module.tower.modules():
        layer.training = True


def _last_block(model, rng):
    """The last convolutions keep what they were drawn with: their keys were not found and nobody said so."""
    layers = [layer for layer in model.module.tower.modules() if isinstance(layer, nn.Conv2d)]
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        for layer in layers[-3:]:
            layer.reset_parameters()


def _random_tower(model, rng):
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        for layer in model.module.tower.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()


def _texts(change):
    """``change`` (rows, rng) -> rows, of the sentence vectors of one call."""
    def fault(model, rng):
        right = model.text_encoder
        model.text_encoder = _Changed(right, lambda texts: change(right.embed(texts), rng).astype(np.float32))
    return fault


def _said(change):
    """``change`` text -> text, before the tokenizer."""
    def fault(model, rng):
        right = model.text_encoder
        model.text_encoder = _Changed(right, lambda texts: right.embed([change(text) for text in texts]))
    return fault


def _network(change):
    """``change`` (network, rng) of a copy of the text encoder's network, in place."""
    def fault(model, rng):
        wrong = copy.copy(model.text_encoder)
        wrong.__dict__["_model"] = copy.deepcopy(model.text_encoder._model)
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**31)))
            change(wrong._model[0].auto_model, rng)
        model.text_encoder = wrong
    return fault


def _vocabulary(network, rng):
    """The rows of the token embeddings in another order, as with the vocabulary of another model of the same size."""
    table = network.embeddings.word_embeddings.weight
    table.copy_(table[torch.from_numpy(rng.permutation(len(table)))].clone())


def _half_attention(network, rng):
    """Attention of half the layers as drawn: renamed keys that ``strict=False`` left out in silence."""
    layers = network.encoder.layer
    for layer in layers[len(layers) // 2:]:
        for part in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value):
            part.weight.normal_(0, .02)
            part.bias.zero_()


def _random_text(network, rng):
    for value in network.parameters():
        if value.ndim > 1:
            value.normal_(0, .02)


def _swapped(model, rng):
    """Each projection behind the other tower; where their widths differ, cut or filled up with zeros."""
    image, text = model.module.image_projection, model.module.text_projection
    a, b = image.weight.detach().clone(), text.weight.detach().clone()
    for layer, wrong in ((image, b), (text, a)):
        width = min(layer.weight.shape[1], wrong.shape[1])
        layer.weight.data.zero_()
        layer.weight.data[:, :width] = wrong[:, :width]
    image.bias.data, text.bias.data = text.bias.data.clone(), image.bias.data.clone()


def _shuffled(value, rng):
    return value[torch.from_numpy(rng.permutation(len(value)))]


def _drawn(value, rng):
    return torch.from_numpy(rng.standard_normal(tuple(value.shape))).float() * value.std(correction=0).clamp(min=1e-3)


IMAGE, TEXT = "image_projection", "text_projection"
FAULTS = {
    "towers swapped": _swapped,
    "image projection: rows shuffled": _tensor(IMAGE, _shuffled),
    "text projection: rows shuffled": _tensor(TEXT, _shuffled),
    "image projection: negated": _tensor(IMAGE, lambda value, rng: -value),
    "image projection: zeroed but for its bias": _tensor(f"{IMAGE}.weight", lambda value, rng: 0 * value),
    "image projection: zeroed": _tensor(IMAGE, lambda value, rng: 0 * value),
    "text projection: zeroed but for its bias": _tensor(f"{TEXT}.weight", lambda value, rng: 0 * value),
    "image projection: one NaN": _tensor(f"{IMAGE}.bias", lambda value, rng: value.index_fill(
        0, torch.tensor([0]), float("nan"))),
    "image projection: too large for float32": _tensor(IMAGE, lambda value, rng: value * 1e38),
    "image projection: 2 bits": _tensor(IMAGE, lambda value, rng: (value / value.abs().max() * 2).round()),
    "image projection: noise of 5 %": _tensor(f"{IMAGE}.weight", lambda value, rng: value + .05 * _drawn(value, rng)),
    "image tower: as drawn": _random_tower,
    "image tower: last block as drawn": _last_block,
    "image tower: BatchNorm statistics not loaded": _statistics,
    "image tower: BatchNorm in training mode": _training,
    "text projection: as drawn": _tensor(TEXT, _drawn),
    "text mean: not loaded": _tensor("text_mean", lambda value, rng: 0 * value),
    "text tower: as drawn": _network(_random_text),
    "text tower: another vector at each call": _texts(lambda rows, rng: rng.standard_normal(rows.shape) / 20),
    "text tower: token embeddings permuted": _network(_vocabulary),
    "text tower: half the attention as drawn": _network(_half_attention),
    "text vectors: each of the text before": _texts(lambda rows, rng: np.roll(rows, 1, axis=0)),
    "text vectors: components reversed": _texts(lambda rows, rng: rows[:, ::-1].copy()),
    "texts: cut after their first word": _said(lambda text: text.partition(" ")[0]),
    "texts: letters reversed": _said(lambda text: text[::-1]),
    "image: inverted grey": _image(lambda image: ImageOps.invert(image)),
    "image: transposed": _image(lambda image: image.transpose(Image.Transpose.TRANSPOSE)),
    "image: upside down": _image(ImageOps.flip),
    "image: left and right exchanged": _image(ImageOps.mirror),
    "image: red and blue exchanged": _pixels(lambda a: a[..., ::-1] if a.ndim == 3 else a),
    "image: quarter of the resolution": _size(24),
    "image: 8-bit overflow": _pixels(lambda a: a.astype(np.uint16) * 2 % 256),
    "image: mean and sd of grey levels 0 to 255": _constants(101.5, 83.4),
    "image: mean and sd of another model": _constants(.5863, .2795),
}
