"""What of a run's config may leave the machine: numbers, and texts of listed keys that look like words."""
import math
import re

from mammi.errors import BadInput

TEXTS = re.compile(r"name|device|profile\.name|(selection|method)\..*|target\.(layer|activation|reducer|model)|"
                   r"probing_set\.(split|template)")
PLAIN = re.compile(r"[\w .,:;=+%()'-]*")  # no slash, backslash, tilde, @ or bracket
SUFFIX = re.compile(r"\.[A-Za-z]\w{0,11}$")   # words.txt, weights.safetensors
MACHINE = ("hydra", "paths", "tracking")


def sendable(config):
    """{dotted key: number, boolean or plain text} of a composed config ({group: {key: value}}) that may leave."""
    flat = _flat(config)
    out = {}
    for key, value in flat.items():
        for _ in range(len(flat)):  # ${seed} stands for another key's value; any other interpolation stays here
            found = re.fullmatch(r"\$\{([\w.]+)\}", value) if isinstance(value, str) else None
            if not found:
                break
            value = flat.get(found[1])
        if isinstance(value, bool) or is_number(value) or \
                isinstance(value, str) and TEXTS.fullmatch(key) and plain(value):
            out[key] = value
    return out


def plain(text):
    """Whether ``text`` looks like words or a number, not like a path, a file or a pattern."""
    return bool(PLAIN.fullmatch(text)) and not SUFFIX.search(text)


def composed(folder):
    """The config as Hydra composed it, {} where there is none; a study's parts share their parent's."""
    for path in (folder / ".hydra" / "config.yaml", folder.parent / ".hydra" / "config.yaml"):
        if path.is_file():
            return read_yaml(path)
    return {}


def read_yaml(path):
    """The mapping in a YAML file; else :class:`BadInput`."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is damaged ({error})") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} is damaged (no mapping)")
    return found


def _flat(config, above=""):
    out = {}
    for key, value in config.items():
        name = f"{above}{key}"
        if name in MACHINE or str(key).startswith("_"):
            continue
        out |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return out


def nested(flat):
    """{a: {b: 1}} of {a.b: 1}."""
    out = {}
    for key, value in flat.items():
        *above, last = key.split(".")
        inner = out
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return out


def is_number(value):
    """Whether ``value`` is a finite number and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
