"""Which words name which finding or device: the committed table, or one of your own."""
from pathlib import Path

import yaml

from mammi.errors import BadInput
from mammi.text_files import read_text

TABLE = Path(__file__).with_name("synonyms.yaml")


def load_synonyms(path=None):
    """{name: frozenset of words and phrases, lower case, the name itself among them}.

    ``path`` a YAML file ``name: [word, ...]``; None: ``synonyms.yaml``, the 14 NIH findings and 4 phantom devices.
    """
    path = path or TABLE
    try:
        table = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not YAML: {error}") from error
    if not isinstance(table, dict) or not all(
            isinstance(words, list) and all(isinstance(word, str) for word in words) for words in table.values()):
        raise BadInput(f"{path}: expected names, each with a list of words, such as\nEffusion:\n  - hydrothorax")
    return {str(name): frozenset(" ".join(word.lower().split()) for word in (str(name), *words))
            for name, words in table.items()}
