"""CLIP models as open_clip builds them: weights found, loaded with every key accounted for, texts encoded."""
from functools import lru_cache
from pathlib import Path

from mammi.errors import BadInput, MissingAsset, near
from mammi.offline import is_offline

VIT_B16 = "ViT-B-16-quickgelu"  # the paper's; OpenAI trained with quick-gelu
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CONSTANTS = ("input_resolution", "context_length", "vocab_size")  # OpenAI's own files have them besides the weights
SETTINGS = ("mean", "std", "interpolation", "resize_mode")


def locate(weights, model, tag=None, name="CLIP"):
    """Path of the file of weights: ``weights``, a file or the folder with one of ``FILES``, or what open_clip
    downloads for its ``tag`` where no weights are given.

    Raises :class:`MissingAsset` for an absent file and for a tag where ``offline=true``.
    """
    path = Path(weights).expanduser() if weights else None
    if path is not None:
        file = next((f for f in (path, *(path / n for n in FILES)) if f.is_file()), None)
        if file is None:
            hub = f"{weights} on the Hugging Face hub is not asked. " * (str(weights).count("/") == 1)
            lacks = "no " + " or ".join(FILES) + f" in {path}" if path.is_dir() else f"no file {path}"
            raise MissingAsset(f"{name}: {lacks}. {hub}{_next(model)}")
        return file
    if tag is None:
        raise MissingAsset(f"{name}: no weights given. {_next(model)}")
    settings(model, tag)
    if is_offline():
        raise MissingAsset(f"{name}: offline=true, and the weights of {model} tagged {tag} are to be downloaded. "
                           f"{_next(model)}")
    import open_clip

    return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(model, tag)))


def settings(model, tag=None):
    """{"mean", "std", "interpolation", "resize_mode"}: what ``model`` expects of an image.

    Raises :class:`BadInput` for an unknown model or tag, and where the tags of a model differ and none is given.
    """
    import open_clip

    _config(model)
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag is not None and tag not in tags:
        raise BadInput(f"dissector.tag={tag}: open_clip has no such weights of {model}. {near(str(tag), tags)}")
    found = [{key: open_clip.get_pretrained_cfg(model, t)[key] for key in SETTINGS} for t in ([tag] if tag else tags)]
    if any(one != found[0] for one in found):
        raise BadInput(f"dissector.tag: how images are prepared for {model} depends on its weights; say which they "
                       f"are. There are: {', '.join(tags)}")
    return found[0] if found else {}


@lru_cache(maxsize=1)
def load(path, content, model, device):
    """(network in evaluation mode, tokenizer) of open_clip's ``model``.

    path     :class:`Path` of a file in open_clip's format: .safetensors, .pt or .bin; no code in it is run
    content  the file's hash. The last network stays: a run may ask for the same as dissector and for evaluation

    Raises :class:`BadInput` unless every key has a place and every place a key of its shape: nothing is interpolated,
    as open_clip would. :class:`MissingAsset` where ``offline=true`` and the tokenizer is on the Hugging Face hub.
    """
    import open_clip

    network = _untrained(model)
    must_be = f"It must be weights of {model} in open_clip's format"
    try:
        state = open_clip.factory.load_state_dict(str(path))
        has = {key: tuple(value.shape) for key, value in state.items() if key not in CONSTANTS}
    except Exception as error:
        reason = str(error).partition("\n")[0][:150]
        raise BadInput(f"{path} cannot be read as tensors ({reason}). {must_be}; where a download was cut short, fetch "
                       "it again") from error
    wants = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    wrong = [f"{key} {has.get(key, 'missing')} for {wants.get(key, 'no place')}"
             for key in sorted({*has, *wants}) if has.get(key) != wants.get(key)]
    if wrong:
        raise BadInput(f"{path} does not load as {model}: {len(wrong)} of {len(wants)} tensors do not fit "
                       f"({'; '.join(wrong[:3])}{'; ...' if len(wrong) > 3 else ''}). {must_be}")
    if broken := [key for key in wants if not state[key].isfinite().all()]:
        raise BadInput(f"{path} holds NaN or infinity in {len(broken)} tensors ({broken[0]}). {must_be}")
    network.load_state_dict({key: state[key] for key in wants})
    return network.eval().to(device), open_clip.get_tokenizer(model)


def tokens(network, tokenizer, texts):
    """[a tensor of token ids for each text], cut behind the end of the text where nothing there can show.

    In CLIP's own text tower a token sees only those before it, and the vector is read at the end of the text: of the
    77 places most are idle. Other towers of open_clip get all of them.
    """
    padded = tokenizer(list(texts)) if texts else []
    if getattr(network, "text_pool_type", None) != "argmax" or network.attn_mask is None:
        return list(padded)
    return [ids[:ids.argmax() + 1] for ids in padded]


def encode(network, ids):
    """(B, D) of unit norm, from (B, n) ids of :func:`tokens`."""
    from torch.func import functional_call

    n = ids.shape[1]
    if n == network.context_length:
        return network.encode_text(ids, normalize=True)
    first = {"positional_embedding": network.positional_embedding[:n], "attn_mask": network.attn_mask[:n, :n]}
    return functional_call(network, first, (None, ids))[1]


def width(model):
    """Components of an embedding."""
    return _config(model)["embed_dim"]


def _untrained(model):
    """The network from open_clip's code and configuration alone; no weights of a part of it are fetched."""
    import logging

    import open_clip

    text = _config(model)["text_cfg"]
    hub = text.get("hf_model_name") or text.get("hf_tokenizer_name")
    if hub and is_offline():
        raise MissingAsset(f"offline=true, and open_clip takes the tokenizer of {model} from {hub} on the Hugging Face "
                           f"hub. Next: a model with CLIP's own tokenizer, such as {VIT_B16}, or offline=false")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # "no pretrained weights": they come next
    try:
        return open_clip.create_model(model, pretrained_text=False)
    finally:
        logging.disable(level)


def _config(model):
    import open_clip

    if model not in open_clip.list_models():
        raise BadInput(f"open_clip knows no model {model}. {near(model, open_clip.list_models())}")
    return open_clip.get_model_config(model)


def _next(model):
    return (f"Next: paths.clip=FILE (or dissector.weights=FILE), an open_clip checkpoint that fits {model}; for the "
            "paper's CLIP, OpenAI's ViT-B/16, `python -m mammi assets --get clip_vit_b16`")
