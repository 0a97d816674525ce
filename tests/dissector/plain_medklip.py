"""MedKLIP a second time, plainer: NumPy in float64 with one query at a time, convolutions by torch in float64."""
import numpy as np
import torch
from torch.nn.functional import conv2d, max_pool2d

from tests.dissector.plain_medclip import _attend, _gelu

STAGES = {4: 64, 5: 128, 6: 256}  # index in res_features: width of a block's middle


def bert_shapes(bert):
    """{key of Bio_ClinicalBERT's file: shape}, with the heads of its pretraining."""
    width, inner, words = bert["hidden_size"], bert["intermediate_size"], bert["vocab_size"]
    found, top = {}, "bert.embeddings."
    linears, norms = [("bert.pooler.dense", width, width)], [f"{top}LayerNorm", "cls.predictions.transform.LayerNorm"]
    for name, rows in (("word", words), ("position", 512), ("token_type", 2)):
        found[f"{top}{name}_embeddings.weight"] = (rows, width)
    for i in range(bert["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}."
        linears += [(f"{layer}attention.{part}", width, width)
                    for part in ("self.query", "self.key", "self.value", "output.dense")]
        linears += [(f"{layer}intermediate.dense", inner, width), (f"{layer}output.dense", width, inner)]
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    linears += [("cls.predictions.transform.dense", width, width), ("cls.predictions.decoder", words, width),
                ("cls.seq_relationship", 2, width)]
    return found | _linears(linears) | _norms((name, width) for name in norms)


def shapes(sizes):
    """{key of the checkpoint's ``model``, without ``module.``: shape}."""
    width, inner, text = sizes["width"], sizes["inner"], sizes["text_width"]
    found, norms = {"res_features.0.weight": (64, 3, 7, 7)}, [("res_features.1", 64)]
    inputs = 64
    for (stage, middle), blocks in zip(STAGES.items(), sizes["blocks"]):
        for i in range(blocks):
            name = f"res_features.{stage}.{i}."
            for j, shape in enumerate(((middle, inputs, 1, 1), (middle, middle, 3, 3), (4 * middle, middle, 1, 1)), 1):
                found[f"{name}conv{j}.weight"] = shape
                norms.append((f"{name}bn{j}", shape[0]))
            if i == 0:
                found[f"{name}downsample.0.weight"] = (4 * middle, inputs, 1, 1)
                norms.append((f"{name}downsample.1", 4 * middle))
            inputs = 4 * middle
    for name, channels in norms:
        found |= {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
        found[f"{name}.num_batches_tracked"] = ()
    linears = [("res_l1", 1024, 1024), ("res_l2", width, 1024), ("disease_embedding_layer", width, text),
               ("cl_fc", text, width), ("classifier", 2, width)]
    norms = [("decoder.norm", width)]
    for i in range(sizes["layers"]):
        layer = f"decoder.layers.{i}."
        for part in ("self_attn", "multihead_attn"):
            found |= {f"{layer}{part}.in_proj_weight": (3 * width, width), f"{layer}{part}.in_proj_bias": (3 * width,)}
            linears.append((f"{layer}{part}.out_proj", width, width))
        linears += [(f"{layer}linear1", inner, width), (f"{layer}linear2", width, inner)]
        norms += [(f"{layer}norm{j}", width) for j in (1, 2, 3)]
    return found | _linears(linears) | _norms(norms)


def _linears(rows):
    return {f"{name}.{part}": shape for name, outputs, inputs in rows
            for part, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))}


def _norms(rows):
    return {f"{name}.{part}": (width,) for name, width in rows for part in ("weight", "bias")}


class Plain:
    """``state``, ``text_state`` {key: tensor}, keys as in the shapes above."""

    def __init__(self, state, text_state, sizes, bert):
        self.state = {key: np.asarray(value, np.float64) for key, value in {**state, **text_state}.items()}
        self.sizes, self.bert = sizes, bert

    def linear(self, name, x):
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, name, x, eps=1e-5):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + eps) * self.state[f"{name}.weight"] \
            + self.state[f"{name}.bias"]

    def text(self, ids):
        """(768,): the first state behind the last layer; ``ids`` with [CLS]."""
        top = "bert.embeddings."
        x = np.stack([self.state[f"{top}word_embeddings.weight"][token]
                      + self.state[f"{top}position_embeddings.weight"][place]
                      + self.state[f"{top}token_type_embeddings.weight"][0] for place, token in enumerate(ids)])
        x = self.norm(f"{top}LayerNorm", x, 1e-12)
        for i in range(self.bert["num_hidden_layers"]):
            layer, heads = f"bert.encoder.layer.{i}.", self.bert["num_attention_heads"]
            parts = (np.split(self.linear(f"{layer}attention.self.{name}", x), heads, 1)
                     for name in ("query", "key", "value"))
            mixed = np.concatenate([_attend(*head) for head in zip(*parts)], 1)
            x = self.norm(f"{layer}attention.output.LayerNorm",
                          x + self.linear(f"{layer}attention.output.dense", mixed), 1e-12)
            inner = _gelu(self.linear(f"{layer}intermediate.dense", x))
            x = self.norm(f"{layer}output.LayerNorm", x + self.linear(f"{layer}output.dense", inner), 1e-12)
        return x[0]

    def query(self, ids):
        return self.linear("disease_embedding_layer", self.text(ids))

    def conv(self, name, x, stride=1, norm=None):
        weight = torch.from_numpy(self.state[f"{name}.weight"])
        x = conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2).numpy()
        mean, variance, scale, shift = (self.state[f"{norm}.{part}"][:, None, None]
                                        for part in ("running_mean", "running_var", "weight", "bias"))
        return torch.from_numpy((x - mean) / np.sqrt(variance + 1e-5) * scale + shift)

    def patches(self, pixels):
        """(196, width) of (3, 224, 224)."""
        x = self.conv("res_features.0", torch.from_numpy(np.asarray(pixels, np.float64))[None], 2, "res_features.1")
        x = max_pool2d(x.relu(), 3, 2, 1)
        for stage, blocks in zip(STAGES, self.sizes["blocks"]):
            for i in range(blocks):
                name, stride = f"res_features.{stage}.{i}.", 2 if i == 0 and stage > 4 else 1
                y = self.conv(f"{name}conv1", x, 1, f"{name}bn1").relu()
                y = self.conv(f"{name}conv2", y, stride, f"{name}bn2").relu()
                y = self.conv(f"{name}conv3", y, 1, f"{name}bn3")
                x = (y + (self.conv(f"{name}downsample.0", x, stride, f"{name}downsample.1") if i == 0 else x)).relu()
        rows = np.array([x[0, :, r, c].numpy() for r in range(14) for c in range(14)])
        return self.linear("res_l2", self.linear("res_l1", rows).clip(0))

    def present(self, patches, query, book=()):
        """Probability for one (width,) query; those of ``book`` do not see it."""
        x = np.stack([*book, query])
        for i in range(self.sizes["layers"]):
            layer, m = f"decoder.layers.{i}.", len(book)
            y = self.norm(f"{layer}norm1", x)
            seen = [self.attention(f"{layer}self_attn", y[j:j + 1], y[:m] if j < m else y)[0] for j in range(m + 1)]
            x = x + np.stack(seen)
            x = x + self.attention(f"{layer}multihead_attn", self.norm(f"{layer}norm2", x), patches)
            inner = self.linear(f"{layer}linear1", self.norm(f"{layer}norm3", x)).clip(0)
            x = x + self.linear(f"{layer}linear2", inner)
        absent, present = self.linear("classifier", self.norm("decoder.norm", x)[-1])
        return 1 / (1 + np.exp(absent - present))

    def attention(self, name, x, memory):
        weights = np.split(self.state[f"{name}.in_proj_weight"], 3)
        biases = np.split(self.state[f"{name}.in_proj_bias"], 3)
        parts = (np.split(rows @ weight.T + bias, self.sizes["heads"], 1)
                 for rows, weight, bias in zip((x, memory, memory), weights, biases))
        return self.linear(f"{name}.out_proj", np.concatenate([_attend(*head) for head in zip(*parts)], 1))
