"""MedCLIP's ViT checkpoint -> two networks of transformers, each key accounted for."""
from contextlib import contextmanager

import torch
from transformers import BertConfig, BertModel, SwinConfig, SwinModel
from transformers.utils import logging as transformers_logging

from mammi.errors import BadInput

BERT = {"vocab_size": 28996, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072}  # Bio_ClinicalBERT
SWIN = {"image_size": 224, "patch_size": 4, "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24],
        "window_size": 7}  # swin-tiny
NETWORKS = ("text_model.model.", "vision_model.model.")
HEADS = ("text_model.projection_head.weight", "vision_model.projection_head.weight")
SCALE = "logit_scale"  # of the training loss; in the file, used by nothing here
SOURCE = ("pytorch_model.bin out of medclip-vit-pretrained.zip, which the authors publish in their `pytrial` storage "
          "bucket (github.com/RyanWangZf/MedCLIP names it)")


def towers(path, bert=BERT, swin=SWIN):
    """((text network, its head), (image network, its head)) in evaluation mode; heads are (512, width) tensors.

    Every key of the file must have a place and every place a key of its shape, else :class:`BadInput`. Exceptions are
    ``position_ids`` and ``relative_position_index``, constants that transformers has stopped to store.
    """
    state = read(path)
    problems = {
        "missing": [p for p in NETWORKS if not any(key.startswith(p) for key in state)]
        + [key for key in (*HEADS, SCALE) if key not in state],
        "unexpected": [key for key in state if not key.startswith(NETWORKS) and key not in (*HEADS, SCALE)],
        "of another shape": []}
    if problems["missing"]:
        raise _bad(path, problems)

    found = []
    kinds = (BertModel, BertConfig(**bert)), (SwinModel, SwinConfig(**swin))
    for (kind, config), prefix, key in zip(kinds, NETWORKS, HEADS):
        network, head = _network(kind, config, state, prefix, problems), state[key].float()
        if head.shape != (len(state[HEADS[0]]), network.config.hidden_size):
            problems["of another shape"].append(key)
        found.append((network, head))
    if any(problems.values()):
        raise _bad(path, problems)
    return found


def read(path):
    """{key: tensor}; no code in the file is run."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0][:150]
        raise BadInput(f"dissector.weights: {path} cannot be read as tensors ({reason}). "
                       f"It must be {SOURCE}") from error
    if not isinstance(state, dict) or not all(torch.is_tensor(value) for value in state.values()):
        raise BadInput(f"dissector.weights: {path} is no {{name: tensor}}. It must be {SOURCE}")
    return state


def _network(kind, config, state, prefix, problems):
    """A ``kind`` filled by the library's own loader, which knows how keys were renamed over the years."""
    own = {key.removeprefix(prefix): value for key, value in state.items()
           if key.startswith(prefix) and not key.endswith(".position_ids")}
    with _quiet():
        network, info = kind.from_pretrained(None, config=config, state_dict=own, output_loading_info=True,
                                             ignore_mismatched_sizes=True, dtype=torch.float32)
    problems["missing"] += [prefix + key for key in info["missing_keys"]]
    problems["unexpected"] += [prefix + key for key in info["unexpected_keys"]]
    problems["of another shape"] += [prefix + key for key, *_ in info["mismatched_keys"]]
    return network.eval()


def _bad(path, problems):
    said = [f"{len(keys)} {kind} ({', '.join(sorted(keys)[:3])}{', ...' if len(keys) > 3 else ''})"
            for kind, keys in problems.items() if keys]
    return BadInput(f"dissector.weights: {path} is not MedCLIP's ViT checkpoint: {'; '.join(said)}. "
                    f"It must be {SOURCE}")


@contextmanager
def _quiet():
    """Neither loading bar nor report of transformers: what does not fit is said in one error of ours."""
    level, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bar:
            transformers_logging.enable_progress_bar()
