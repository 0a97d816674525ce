"""CXR-RePaiR's CLIP a second time, slower and plainer: NumPy in float64, every text padded to its 77 places."""
from math import pi, sin

import numpy as np

from tests.dissector.plain_medclip import _attend, _resample, _triangle, _unit

MEAN, SD = 101.48761, 83.43944
START, END = 49406, 49407


def shapes(size):
    """{key of OpenAI's state dict: shape}."""
    found = {"logit_scale": (), "positional_embedding": (size["context"], size["text_width"]),
             "text_projection": (size["text_width"], size["dim"]),
             "token_embedding.weight": (size["vocabulary"], size["text_width"]),
             "visual.class_embedding": (size["width"],), "visual.proj": (size["width"], size["dim"]),
             "visual.positional_embedding": ((size["image"] // size["patch"]) ** 2 + 1, size["width"]),
             "visual.conv1.weight": (size["width"], 3, size["patch"], size["patch"])}
    norms = [("ln_final", size["text_width"]), ("visual.ln_pre", size["width"]), ("visual.ln_post", size["width"])]
    for prefix, width, layers in (("", size["text_width"], size["text_layers"]),
                                  ("visual.", size["width"], size["layers"])):
        for i in range(layers):
            block = f"{prefix}transformer.resblocks.{i}."
            norms += [(f"{block}ln_1", width), (f"{block}ln_2", width)]
            found |= {f"{block}attn.in_proj_weight": (3 * width, width), f"{block}attn.in_proj_bias": (3 * width,)}
            for name, rows, columns in (("attn.out_proj", width, width), ("mlp.c_fc", 4 * width, width),
                                        ("mlp.c_proj", width, 4 * width)):
                found |= {f"{block}{name}.weight": (rows, columns), f"{block}{name}.bias": (rows,)}
    return found | {f"{name}.{part}": (width,) for name, width in norms for part in ("weight", "bias")}


class Plain:
    """``state`` {key: array}; ``size`` as for the adapter."""

    def __init__(self, state, size):
        self.state, self.size = state, size

    def get(self, key):
        return np.asarray(self.state[key], np.float64)

    def norm(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-5) * self.get(f"{name}.weight") \
            + self.get(f"{name}.bias")

    def blocks(self, prefix, x, layers, causal):
        """A token takes itself and, where ``causal``, none behind it into account."""
        width = x.shape[1]
        unseen = np.triu(np.full((len(x), len(x)), -np.inf), 1) if causal else np.zeros((len(x), len(x)))
        for i in range(layers):
            name = f"{prefix}transformer.resblocks.{i}."
            y = self.norm(f"{name}ln_1", x) @ self.get(f"{name}attn.in_proj_weight").T \
                + self.get(f"{name}attn.in_proj_bias")
            parts = [np.split(part, width // 64, 1) for part in np.split(y, 3, 1)]
            mixed = np.concatenate([_attend(*head, unseen) for head in zip(*parts)], 1)
            x = x + mixed @ self.get(f"{name}attn.out_proj.weight").T + self.get(f"{name}attn.out_proj.bias")
            inner = self.norm(f"{name}ln_2", x) @ self.get(f"{name}mlp.c_fc.weight").T \
                + self.get(f"{name}mlp.c_fc.bias")
            inner = inner / (1 + np.exp(-1.702 * inner))
            x = x + inner @ self.get(f"{name}mlp.c_proj.weight").T + self.get(f"{name}mlp.c_proj.bias")
        return x

    def text(self, ids):
        """(dim,) of token ids between START and END."""
        ids = [START, *ids, END]
        padded = ids + [0] * (self.size["context"] - len(ids))
        table = self.state["token_embedding.weight"]
        x = np.stack([np.asarray(table[token], np.float64) for token in padded]) + self.get("positional_embedding")
        x = self.norm("ln_final", self.blocks("", x, self.size["text_layers"], True))
        return _unit(x[len(ids) - 1] @ self.get("text_projection"))

    def image(self, grey):
        """(dim,) of (size, size) normalised pixels."""
        patch, side = self.size["patch"], self.size["image"] // self.size["patch"]
        weight = self.get("visual.conv1.weight").sum(1)  # three equal channels
        x = [self.get("visual.class_embedding")]
        x += [(weight * grey[r * patch:(r + 1) * patch, c * patch:(c + 1) * patch]).sum((1, 2))
              for r in range(side) for c in range(side)]
        x = self.norm("visual.ln_pre", np.stack(x) + self.get("visual.positional_embedding"))
        x = self.blocks("visual.", x, self.size["layers"], False)
        return _unit(self.norm("visual.ln_post", x[:1])[0] @ self.get("visual.proj"))


def preprocess(image, size, view="full_image"):
    """(size, size) float64 of a grey PIL image; nothing is rounded to 8 bits on the way."""
    x = np.asarray(image, np.float64)
    if view == "target_crop":
        x = _resample(x, [int(256 * n / min(x.shape)) for n in x.shape], _triangle, 1)
        top, left = (round((n - 224) / 2) for n in x.shape)
        x = x[top:top + 224, left:left + 224]
    # Along rows first, as PIL does: it cuts off at black and white in between.
    x = _resample(x.T, [int(n * (320 / max(x.shape))) for n in x.T.shape], _lanczos, 3).T
    square = np.zeros((320, 320))
    top, left = (320 - x.shape[0]) // 2, (320 - x.shape[1]) // 2
    square[top:top + x.shape[0], left:left + x.shape[1]] = x
    x = (square - MEAN) / SD
    for axis in (0, 1):
        rows = []
        for i in range(size):  # four taps around the point, whatever the scale
            at = (i + .5) * 320 / size - .5
            taps = int(np.floor(at)) + np.arange(-1, 3)
            rows.append(sum(_cubic(at - t) * np.take(x, np.clip(t, 0, 319), axis) for t in taps))
        x = np.stack(rows, axis)
    return x


def _lanczos(t):
    if t == 0:
        return 1.
    return 3 * sin(pi * t) * sin(pi * t / 3) / (pi * t) ** 2 if abs(t) < 3 else 0.


def _cubic(t, a=-.75):
    t = abs(t)
    if t < 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0
