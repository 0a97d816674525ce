"""Faults of files: what a loader must not take. Stand-ins with true key names, small, in a folder of their own."""
import json
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from experiments import stand_ins
from experiments.rehearsal import SMALL
from mammi.dissector.locked_text import SHIPPED, LockedText
from mammi.dissector.medclip import MedCLIP
from mammi.dissector.open_clip_model import OpenClip
from mammi.dissector.towers import SmallResNet

HEADS = [f"{tower}_model.projection_head.weight" for tower in ("text", "vision")]
QUERY = "text_model.model.encoder.layer.1.attention.self.query"
CLIP = {"embed_dim": 8, "vision_cfg": {"image_size": 32, "layers": 1, "width": 128, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}}


def _medclip(folder, edit=None, after=None, size=28996):
    """MedCLIP from a checkpoint whose state ``edit`` changes, whose file ``after`` spoils."""
    path = folder / "pytorch_model.bin"
    stand_ins.medclip_checkpoint(path, **SMALL)
    stand_ins.vocabulary(folder / "vocab.txt", "chest ray image of".split(), size)
    if edit:
        state = torch.load(path, weights_only=True)
        edit(state)
        torch.save(state, path)
    if after:
        after(path)
    return MedCLIP(path, folder / "vocab.txt", **SMALL)


def _interrupted(folder):
    """A folder in which a download left only its unfinished part."""
    stand_ins.vocabulary(folder / "vocab.txt", [])
    (folder / ".pytorch_model.bin.part").write_bytes(b"half")
    return MedCLIP(folder, folder, **SMALL)


def _another_model(path):
    stand_ins.densenet_checkpoint(path)


def _cut(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def _without(part):
    def edit(state):
        for key in [key for key in state if part in key]:
            del state[key]
    return edit


def _value(key, number):
    def edit(state):
        state[key].view(-1)[0] = number
    return edit


def _rename(state):
    for key in [key for key in state if ".attention.self.query" in key]:
        state[key.replace("attention.self.query", "attention.self.q_proj")] = state.pop(key)


def _open_clip(folder, given=None, edit=None):
    """A small open_clip model asked of the weights of another: ``given`` changes its configuration."""
    import open_clip

    other = json.loads(json.dumps(CLIP))
    for part, changed in (given or {}).items():
        other[part] |= changed
    for name, sizes in (("small-b16", CLIP), ("small-other", other)):
        (folder / f"{name}.json").write_text(json.dumps(sizes))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    state = {key: value.contiguous() for key, value in open_clip.create_model("small-other").state_dict().items()}
    if edit:
        edit(state)
    save_file(state, folder / "open_clip_model.safetensors")
    return OpenClip(folder, "small-b16")


class _Encoder:
    """Stands for the packaged sentence encoder, of which only the fingerprint counts before anything is embedded."""

    name = "stand-in"

    def __init__(self, fingerprint):
        self.fingerprint = fingerprint


def _phantom(folder, fingerprint=None, widths=(12, 24, 48, 96), edit=None, name="phantom_nce_seed0", cut=False):
    """A shipped dissector whose file was changed; ``fingerprint`` of the text encoder that is at hand."""
    from safetensors import safe_open

    shipped, path = SHIPPED / f"{name}.safetensors", folder / "weights.safetensors"
    with safe_open(shipped, "pt") as file:
        about = file.metadata() or {}
    state = load_file(shipped)
    if edit:
        edit(state)
    save_file(state, path, about)
    if cut:
        _cut(path)
    return LockedText(SmallResNet(widths), _Encoder(fingerprint or about.get("text_encoder")), path)


# Those that load all the same are for the gate: random and zeroed projections, with nothing to compare them with.
FAULTS = {
    "medclip: a key is missing": partial(_medclip, edit=lambda state: state.pop(HEADS[0])),
    "medclip: keys are renamed": partial(_medclip, edit=_rename),
    "medclip: a key too many": partial(_medclip, edit=lambda state: state.update(extra=torch.zeros(2))),
    "medclip: attention half there": partial(_medclip, edit=_without(QUERY)),
    "medclip: one tower alone": partial(_medclip, edit=_without("vision_model")),
    "medclip: a projection transposed": partial(_medclip, edit=lambda state: state.update(
        {HEADS[0]: state[HEADS[0]].T.contiguous()})),
    "medclip: NaN in a tensor": partial(_medclip, edit=_value(HEADS[1], float("nan"))),
    "medclip: infinity in a tensor": partial(_medclip, edit=_value(f"{QUERY}.weight", float("inf"))),
    "medclip: another model's checkpoint": partial(_medclip, after=_another_model),
    "medclip: the download stopped half-way": partial(_medclip, after=_cut),
    "medclip: only the part of a download": _interrupted,
    "medclip: an empty file": partial(_medclip, after=lambda path: path.write_bytes(b"")),
    "medclip: a web page under its name": partial(_medclip, after=lambda path: path.write_text("<html>quota</html>")),
    "medclip: vocabulary of another size": partial(_medclip, size=30522),
    "medclip: both projections zero": partial(_medclip, edit=lambda state: [state[key].zero_() for key in HEADS]),
    "medclip: random weights throughout": _medclip,
    "open_clip: B/32 weights for B/16": partial(_open_clip, given={"vision_cfg": {"patch_size": 32}}),
    "open_clip: weights for a larger image": partial(_open_clip, given={"vision_cfg": {"image_size": 64}}),
    "open_clip: vocabulary of another size": partial(_open_clip, given={"text_cfg": {"vocab_size": 30522}}),
    "open_clip: NaN in a tensor": partial(_open_clip, edit=_value("text_projection", float("nan"))),
    "open_clip: random weights throughout": _open_clip,
    "phantom: fitted with another text encoder": partial(_phantom, fingerprint="another"),
    "phantom: another tower": partial(_phantom, widths=(12, 24, 48, 64)),
    "phantom: the target's weights": partial(_phantom, name="target_seed0"),
    "phantom: a block missing": partial(_phantom, edit=_without("tower.blocks.3.body")),
    "phantom: NaN in a tensor": partial(_phantom, edit=_value("image_projection.bias", float("nan"))),
    "phantom: the download stopped half-way": partial(_phantom, cut=True),
}


def load(name, folder):
    """The dissector of a fault, where a loader takes it; else its error."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return FAULTS[name](Path(folder))
