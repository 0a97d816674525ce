"""Which code a part of a run is made of: its module, and all of mammi that this imports, lazily or not."""
import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mammi.files import hash_of


def code(targets):
    """{module: [sha256, of its table]} of the code behind ``targets``, each a ``package.module.name`` as in a config.

    Libraries count by the file that is named alone; a table beside a module (``synonyms.yaml``) counts with it.
    """
    found, todo = {}, list(targets)
    while todo:
        name, file = _file(todo.pop())
        if name not in found and file is not None:
            table = file.with_suffix(".yaml")
            found[name] = [hash_of(file), hash_of(table) if table.is_file() else ""]
            todo += _imported(file)
    return found


@cache
def _file(target):
    """(name, source file) of the module that ``target`` is, or lies in; (target, None) where there is none."""
    name = target
    while name:
        try:
            spec = find_spec(name)
        except (ModuleNotFoundError, ValueError):
            spec = None
        if spec is not None:
            return name, Path(spec.origin) if (spec.origin or "").endswith(".py") else None
        name = name.rpartition(".")[0]
    return target, None


@cache
def _imported(file):
    """What ``file`` imports of mammi."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) and node.module
             for alias in node.names]
    return [name for name in plain + parts if name.startswith("mammi.")]
