"""MedCLIP's ViT checkpoint -> two networks of transformers, each key accounted for."""
from transformers import BertConfig, BertModel, SwinConfig, SwinModel

from mammi.dissector import checkpoint
from mammi.dissector.bert import SIZES as BERT

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
    state = checkpoint.read(path, SOURCE)
    problems = {
        "missing": [p for p in NETWORKS if not any(key.startswith(p) for key in state)]
        + [key for key in (*HEADS, SCALE) if key not in state],
        "unexpected": [key for key in state if not key.startswith(NETWORKS) and key not in (*HEADS, SCALE)],
        "of another shape": []}
    if not problems["missing"]:
        found = []
        kinds = (BertModel, BertConfig(**bert)), (SwinModel, SwinConfig(**swin))
        for (kind, config), prefix, key in zip(kinds, NETWORKS, HEADS):
            network, unfit = checkpoint.transformer(kind, config, state, prefix)
            problems = {kind: keys + unfit[kind] for kind, keys in problems.items()}
            head = state[key].float()
            if head.shape != (len(state[HEADS[0]]), network.config.hidden_size):
                problems["of another shape"].append(key)
            found.append((network, head))
    checkpoint.must_fit(problems, path, "MedCLIP's ViT checkpoint", SOURCE)
    return found
