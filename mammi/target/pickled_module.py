"""The tensors of a file that holds a whole pickled module, without running any code of it.

torchxrayvision publishes its networks so. torch's reader of plain tensors builds, in the place of each class on an
allow-list, an inert stand-in that only keeps what the file says of it; the tensors are then collected from the
stand-ins. A file that names anything else is refused.
"""
import io
import pickletools
from pathlib import Path

import torch

from mammi.backbone import load, state_of
from mammi.errors import BadInput, MissingAsset

LAYERS = {"container": ("Sequential", "ModuleList"), "conv": ("Conv2d",), "batchnorm": ("BatchNorm2d",),
          "linear": ("Linear", "Identity"), "activation": ("ReLU",), "dropout": ("Dropout",),
          "pooling": ("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d")}
NAMED = (*(f"torch.nn.modules.{file}.{name}" for file, names in LAYERS.items() for name in names),
         "torch.nn.backends.thnn._get_thnn_function_backend",  # modules saved before torch 1.5 hold it
         # lists of labels are sometimes NumPy arrays
         *(f"numpy.{name}" for name in ("ndarray", "dtype")),
         *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")))
PARTS, MOST = ("_parameters", "_buffers", "_modules"), 10_000  # of a module's state; modules in a file
PERSISTENT = "mammi_inert.class_of"


class Inert:
    """Stands in for an object of a pickled module: keeps its state, does nothing."""

    def __new__(cls, *_args):
        return super().__new__(cls)

    def __init__(self, *_args):
        self.state = {}

    def __setstate__(self, state):
        self.state = state


def read(path, classes):
    """{name: tensor} of a checkpoint: a state dict as :func:`mammi.backbone.read` reads it, or a whole module.

    classes  full names of the module's own classes that are allowed, ``package.module.Class``
    Raises :class:`MissingAsset` without such a file, :class:`BadInput` where it names what is not allowed.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MissingAsset(f"there is no weights file {path}")
    allowed = [(Inert, name) for name in (*NAMED, *classes)] + [(_class_of, PERSISTENT)]
    content = load(path, allowed, _without_sources(path))
    if not isinstance(content, Inert):
        return state_of(content, path)
    state = dict(_tensors(content, path))
    if not state:
        raise BadInput(f"{path} is a pickled module without a tensor")
    return state


def _tensors(module, path):
    """Pairs (name, tensor) of a stand-in for a module, named as its state dict would be."""
    todo, seen = [("", module)], 0
    while todo:
        prefix, module = todo.pop()
        state, seen = getattr(module, "state", None), seen + 1
        parts = [state.get(part) or {} for part in PARTS] if isinstance(state, dict) else [None]
        if not all(isinstance(part, dict) for part in parts) or seen > MOST:  # a module may hold itself
            raise BadInput(f"{path}: {prefix.rstrip('.') or 'its content'} is no module")
        for name, value in [*parts[0].items(), *parts[1].items()]:
            if torch.is_tensor(value):
                yield f"{prefix}{name}", value.detach()
        todo += [(f"{prefix}{name}.", child) for name, child in parts[2].items() if child is not None]


def _class_of(_kind, cls, _file, _source):
    return cls


def _without_sources(path):
    """The file as torch's reader of plain tensors takes it: None for as it is, or an edited copy in memory.

    Before version 1.6 torch wrote a module's class as a persistent id (``"module"``, class, file, source code). Here
    such an id becomes a call of :func:`_class_of` on the same four values: its MARK gets the function's name before
    it, its BINPERSID turns into REDUCE. Opcodes are only listed for that, nothing of the file is executed.
    """
    content = path.read_bytes()
    if content[:2] == b"PK" or path.suffix == ".safetensors":
        return None
    edited, done = io.BytesIO(), 0
    file = io.BytesIO(content)
    try:
        for _ in range(4):  # magic number, version, system, and the object itself
            for at, byte, put in _edits(file):
                edited.write(content[done:at] + put)
                done = at + byte
    except (ValueError, IndexError, UnicodeDecodeError):
        return None  # no pickle: the reader will say so
    edited.write(content[done:])
    edited.seek(0)
    return edited


def _edits(file):
    """Triples (position, bytes to leave away, bytes to put there), in order, for the next pickle of ``file``."""
    marks, strings, edits, last, ended, after_mark = [], {}, [], None, None, False
    for opcode, value, at in pickletools.genops(file):
        name = opcode.name
        said = value if name == "BINUNICODE" else strings.get(value) if name in ("BINGET", "LONG_BINGET") else None
        if after_mark and said == "module":
            marks[-1] = (marks[-1][0], True)
        if name == "MARK":
            marks.append((at, False))
        elif name in ("BINPUT", "LONG_BINPUT"):
            if last is not None:
                strings[value] = last
        elif name in ("TUPLE", "APPENDS", "SETITEMS", "LIST", "DICT") and marks:
            start, of_module = marks.pop()
            ended = start if of_module and name == "TUPLE" else None
        elif name == "BINPERSID" and ended is not None:
            module, _, function = PERSISTENT.rpartition(".")
            edits += [(ended, 0, f"c{module}\n{function}\n".encode()), (at, 1, b"R")]
        if name not in ("BINPUT", "LONG_BINPUT", "TUPLE"):
            ended = None
        last, after_mark = said, name == "MARK"
    return sorted(edits)
