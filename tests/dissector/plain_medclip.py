"""MedCLIP a second time, slower and plainer: NumPy in float64 on the checkpoint's own keys, token by token."""
from math import erf, sqrt

import numpy as np

from experiments.stand_ins import medclip_shapes as shapes  # noqa: F401

MEAN, SD = .5862785803043838, .27950088968644304


class Plain:
    """``state`` {key: array}; ``bert`` and ``swin`` as for the adapter."""

    def __init__(self, state, bert, swin):
        self.state = {key: np.asarray(value, np.float64) for key, value in state.items()}
        self.bert, self.swin = bert, swin

    def linear(self, name, x):
        bias = self.state.get(f"{name}.bias", 0)
        return x @ self.state[f"{name}.weight"].T + bias

    def norm(self, name, x, eps):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + eps) * self.state[f"{name}.weight"] \
            + self.state[f"{name}.bias"]

    def text(self, ids):
        """(dim,) of one text's token ids, special ones included."""
        top = "text_model.model."
        x = np.stack([self.state[f"{top}embeddings.word_embeddings.weight"][token]
                      + self.state[f"{top}embeddings.position_embeddings.weight"][place]
                      + self.state[f"{top}embeddings.token_type_embeddings.weight"][0]
                      for place, token in enumerate(ids)])
        x = self.norm(f"{top}embeddings.LayerNorm", x, 1e-12)
        after = []
        for i in range(self.bert["num_hidden_layers"]):
            layer = f"{top}encoder.layer.{i}."
            q, k, v = (self.linear(f"{layer}attention.self.{name}", x) for name in ("query", "key", "value"))
            heads = self.bert["num_attention_heads"]
            mixed = np.concatenate([_attend(*parts) for parts in zip(*(np.split(m, heads, 1) for m in (q, k, v)))], 1)
            x = self.norm(f"{layer}attention.output.LayerNorm",
                          x + self.linear(f"{layer}attention.output.dense", mixed), 1e-12)
            inner = _gelu(self.linear(f"{layer}intermediate.dense", x))
            x = self.norm(f"{layer}output.LayerNorm", x + self.linear(f"{layer}output.dense", inner), 1e-12)
            after.append(x)
        tokens = [(after[0][t] + after[1][t] + after[-1][t]) / 3 for t in range(len(ids))]
        return _unit(self.state["text_model.projection_head.weight"] @ (sum(tokens) / len(tokens)))

    def image(self, grey):
        """(dim,) of (224, 224) normalised pixels."""
        top, patch = "vision_model.model.", self.swin["patch_size"]
        weight = self.state[f"{top}embeddings.patch_embeddings.projection.weight"].sum(1)  # three equal channels
        bias = self.state[f"{top}embeddings.patch_embeddings.projection.bias"]
        side = 224 // patch
        x = np.array([[(weight * grey[r * patch:(r + 1) * patch, c * patch:(c + 1) * patch]).sum((1, 2)) + bias
                       for c in range(side)] for r in range(side)])
        x = self.norm(f"{top}embeddings.norm", x, 1e-5)
        for s, (depth, heads) in enumerate(zip(self.swin["depths"], self.swin["num_heads"])):
            for i in range(depth):
                x = self.block(f"{top}encoder.layers.{s}.blocks.{i}.", x, heads, shifted=i % 2 == 1)
            if s + 1 < len(self.swin["depths"]):
                x = np.concatenate([x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]], 2)
                x = self.norm(f"{top}encoder.layers.{s}.downsample.norm", x, 1e-5)
                x = self.linear(f"{top}encoder.layers.{s}.downsample.reduction", x)
        pooled = self.norm(f"{top}layernorm", x, 1e-5).mean((0, 1))
        return _unit(self.state["vision_model.projection_head.weight"] @ pooled)

    def block(self, name, x, heads, shifted):
        side, window = len(x), self.swin["window_size"]
        shift = window // 2 if shifted and side > window else 0
        y = self.norm(f"{name}layernorm_before", x, 1e-5)
        q, k, v = (self.linear(f"{name}attention.self.{part}", y) for part in ("query", "key", "value"))
        table = self.state[f"{name}attention.self.relative_position_bias_table"]
        # A token sees those of its window; windows begin at ``shift`` and are cut off at the image's edge.
        cell = (np.arange(side) - shift) // window
        mixed = np.zeros_like(x)
        for row in np.unique(cell):
            for column in np.unique(cell):
                at = [(r, c) for r in np.flatnonzero(cell == row) for c in np.flatnonzero(cell == column)]
                rows, columns = np.array(at).T
                apart = (rows[:, None] - rows + window - 1) * (2 * window - 1) + columns[:, None] - columns + window - 1
                parts = zip(*(np.split(m[rows, columns], heads, 1) for m in (q, k, v)), table.T)
                mixed[rows, columns] = np.concatenate([_attend(a, b, c, bias[apart]) for a, b, c, bias in parts], 1)
        x = x + self.linear(f"{name}attention.output.dense", mixed)
        inner = _gelu(self.linear(f"{name}intermediate.dense", self.norm(f"{name}layernorm_after", x, 1e-5)))
        return x + self.linear(f"{name}output.dense", inner)


def preprocess(image, view="target_crop"):
    """(224, 224) float64 of a grey PIL image; nothing is rounded to 8 bits on the way."""
    x = np.asarray(image.convert("L"), np.float64)
    if view == "target_crop":
        short = min(x.shape)
        x = _resample(x, [int(256 * n / short) for n in x.shape], _triangle, 1)
        top, left = (round((n - 224) / 2) for n in x.shape)
        x = x[top:top + 224, left:left + 224]
    side = max(224, *x.shape)
    square = np.zeros((side, side))
    top, left = (side - x.shape[0]) // 2, (side - x.shape[1]) // 2
    square[top:top + x.shape[0], left:left + x.shape[1]] = x
    return (_resample(square, (224, 224), _cubic, 2) / 255 - MEAN) / SD


def _resample(x, size, kernel, reach):
    """Separable and antialiased: the kernel is as wide as a target pixel when it shrinks."""
    for axis in (0, 1):
        n, scale = x.shape[axis], x.shape[axis] / size[axis]
        wide = max(scale, 1)
        centres = (np.arange(size[axis]) + .5) * scale
        first = np.maximum((centres - reach * wide + .5).astype(int), 0)
        last = np.minimum((centres + reach * wide + .5).astype(int), n)
        weights = np.array([[kernel((j + .5 - c) / wide) if a <= j < b else 0 for j in range(n)]
                            for c, a, b in zip(centres, first, last)])
        x = np.moveaxis(np.tensordot(weights / weights.sum(1, keepdims=True), x, (1, axis)), 0, axis)
        x = x.clip(0, 255)
    return x


def _triangle(t):
    return max(1 - abs(t), 0)


def _cubic(t, a=-.5):
    t = abs(t)
    if t < 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0


def _attend(q, k, v, bias=0):
    out = []
    for i, one in enumerate(q):
        scores = k @ one / sqrt(len(one)) + (bias[i] if np.ndim(bias) else 0)
        weights = np.exp(scores - scores.max())
        out.append(weights @ v / weights.sum())
    return np.stack(out)


def _gelu(x):
    return x * (1 + np.vectorize(erf)(x / sqrt(2))) / 2


def _unit(v):
    return v / sqrt((v ** 2).sum())
