"""Files that stand in for what cannot be had here: true architectures and key names, random weights, made-up images.

Nothing that is computed with them says anything about a network or a patient; they show that the code runs, and how
long it takes.
"""
from pathlib import Path

import numpy as np

from mammi.files import replacing
from mammi.probing_set.image_folder import ImageFolder

WARNING = "EVERY NUMBER OF THIS RUN IS OF RANDOM WEIGHTS AND MADE-UP IMAGES: only time and memory mean something."
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BLOCK = 1000  # images that share a random stream
SHARE = 6276  # images in a folder: a twelfth of the 75,312


class MadeUp(ImageFolder):
    """The loader of a real set on images that are none: summaries and reports call them synthetic."""

    synthetic = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.notes += (WARNING,)


def densenet_checkpoint(path, classes=14, seed=0):
    """medical_mae's file of a fine-tuned DenseNet121: torchvision's keys under ``state_dict``."""
    import torch

    from mammi.backbone import densenet121

    with replacing(path) as part:
        torch.save({"state_dict": densenet121(None, classes, seed).state_dict()}, part)


def medclip_checkpoint(path, bert=None, swin=None, dim=512, seed=0):
    """MedCLIP's ``pytorch_model.bin``; ``bert`` and ``swin`` are sizes of the two networks, the authors' without."""
    import torch

    from mammi.dissector.medclip_checkpoint import BERT, SWIN

    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in medclip_shapes(bert or BERT, swin or SWIN, dim).items():
        if key.endswith(("position_ids", "relative_position_index")):
            state[key] = torch.zeros(shape, dtype=torch.long)  # constants that the adapter does not read
        else:
            state[key] = .05 * torch.randn(shape, generator=generator)
            if key.endswith("weight") and len(shape) == 1:
                state[key] += 1  # of a layer norm
    with replacing(path) as part:
        torch.save(state, part)


def medclip_shapes(bert, swin, dim):
    """{key of the authors' file: shape}, written by transformers 4.24."""
    found = {"logit_scale": (), "text_model.projection_head.weight": (dim, bert["hidden_size"]),
             "vision_model.projection_head.weight": (dim, swin["embed_dim"] * 2 ** (len(swin["depths"]) - 1))}

    def linear(name, outputs, inputs, bias=True):
        found[f"{name}.weight"] = (outputs, inputs)
        if bias:
            found[f"{name}.bias"] = (outputs,)

    def norm(name, width):
        found[f"{name}.weight"] = found[f"{name}.bias"] = (width,)

    top, width, inner = "text_model.model.", bert["hidden_size"], bert["intermediate_size"]
    found[f"{top}embeddings.position_ids"] = (1, 512)
    for name, rows in (("word", bert["vocab_size"]), ("position", 512), ("token_type", 2)):
        found[f"{top}embeddings.{name}_embeddings.weight"] = (rows, width)
    norm(f"{top}embeddings.LayerNorm", width)
    for i in range(bert["num_hidden_layers"]):
        layer = f"{top}encoder.layer.{i}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}attention.{name}", width, width)
        norm(f"{layer}attention.output.LayerNorm", width)
        linear(f"{layer}intermediate.dense", inner, width)
        linear(f"{layer}output.dense", width, inner)
        norm(f"{layer}output.LayerNorm", width)
    linear(f"{top}pooler.dense", width, width)

    top, width, window = "vision_model.model.", swin["embed_dim"], swin["window_size"]
    found[f"{top}embeddings.patch_embeddings.projection.weight"] = (width, 3, swin["patch_size"], swin["patch_size"])
    found[f"{top}embeddings.patch_embeddings.projection.bias"] = (width,)
    norm(f"{top}embeddings.norm", width)
    for s, (depth, heads) in enumerate(zip(swin["depths"], swin["num_heads"])):
        for i in range(depth):
            block = f"{top}encoder.layers.{s}.blocks.{i}."
            norm(f"{block}layernorm_before", width)
            found[f"{block}attention.self.relative_position_bias_table"] = ((2 * window - 1) ** 2, heads)
            found[f"{block}attention.self.relative_position_index"] = (window ** 2, window ** 2)
            for name in ("self.query", "self.key", "self.value", "output.dense"):
                linear(f"{block}attention.{name}", width, width)
            norm(f"{block}layernorm_after", width)
            linear(f"{block}intermediate.dense", 4 * width, width)
            linear(f"{block}output.dense", width, 4 * width)
        if s + 1 < len(swin["depths"]):
            linear(f"{top}encoder.layers.{s}.downsample.reduction", 2 * width, 4 * width, bias=False)
            norm(f"{top}encoder.layers.{s}.downsample.norm", 4 * width)
            width *= 2
    norm(f"{top}layernorm", width)
    return found


def vocabulary(path, words, size=28996):
    """A ``vocab.txt`` of ``size`` lines: the special tokens, single characters and ``words``, then made-up ones."""
    known = list(dict.fromkeys([*SPECIAL, *"abcdefghijklmnopqrstuvwxyz0123456789-", *words]))
    with replacing(path) as part:
        part.write_text("\n".join(known + [f"stand{i}" for i in range(size - len(known))]) + "\n", encoding="utf-8")


def images(folder, names, labels, size, seed=0):
    """Grey PNG files ``folder/images_001/images/NAME`` and so on, as NIH's archives unpack; all are different.

    labels  (P, L) of 0 and 1: each label has a spot of its own that is a little brighter where it is present
    Files that are there already stay. Iterates over (images done, all).
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size
    places = rng.uniform(.15, .85, (labels.shape[1], 2))
    spots = np.exp(-((rows - places[:, :1, None]) ** 2 + (columns - places[:, 1:, None]) ** 2) / .02)
    chest = 110 + 50 * np.cos(4 * np.pi * columns) * np.sin(np.pi * rows)
    folders = [Path(folder) / f"images_{i // SHARE + 1:03}" / "images" for i in range(len(names))]
    there = {path for path in Path(folder).rglob("*.png") if not path.name.startswith(".")}
    for start in range(0, len(names), BLOCK):
        some = range(start, min(start + BLOCK, len(names)))
        if not all(folders[i] / names[i] in there for i in some):
            noise = np.random.default_rng([seed, start]).standard_normal((BLOCK, size, size), np.float32)[:len(some)]
            pixels = chest + 20 * np.einsum("il,lrc->irc", labels[some], spots) + 25 * noise
            for i, picture in zip(some, pixels.clip(0, 255).astype(np.uint8)):
                if folders[i] / names[i] not in there:
                    with replacing(folders[i] / names[i]) as part:
                        Image.fromarray(picture).save(part, "PNG")
        yield some.stop, len(names)
