"""BERT a second time, slower and plainer: NumPy in float64 on the checkpoint's own keys."""
import numpy as np

from tests.dissector.plain_medclip import Plain, _attend, _gelu


def last_states(state, top, sizes, ids):
    """(tokens, width): hidden states behind the last layer, of one text's token ids. ``top``: prefix of the keys."""
    plain = Plain({key: value for key, value in state.items() if key.startswith(top)}, sizes, {})
    embedded = [plain.state[f"{top}embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    x = np.stack([embedded[0][token] + embedded[1][place] + embedded[2][0] for place, token in enumerate(ids)])
    x = plain.norm(f"{top}embeddings.LayerNorm", x, 1e-12)
    for i in range(sizes["num_hidden_layers"]):
        layer, heads = f"{top}encoder.layer.{i}.", sizes["num_attention_heads"]
        parts = [np.split(plain.linear(f"{layer}attention.self.{name}", x), heads, 1)
                 for name in ("query", "key", "value")]
        seen = plain.linear(f"{layer}attention.output.dense", np.concatenate([_attend(*p) for p in zip(*parts)], 1))
        x = plain.norm(f"{layer}attention.output.LayerNorm", x + seen, 1e-12)
        inner = plain.linear(f"{layer}output.dense", _gelu(plain.linear(f"{layer}intermediate.dense", x)))
        x = plain.norm(f"{layer}output.LayerNorm", x + inner, 1e-12)
    return x
