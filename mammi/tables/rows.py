"""The rows of the paper's tables: the number it printed, and the settings of the run that makes each."""
import csv
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
PROFILES = {"paper": "real", "phantom": "synthetic"}  # and the kind of images of each
METRICS = ("hit", "hit_lemma", "hit_synonym", "f1", "cos_clip", "cos_mpnet", "cos_minilm", "unique_all", "unique_top1")
HITS = METRICS[:3]
COUNTS = METRICS[-2:]  # distinct words of a layer: a number of the whole layer, not of a neuron


class Published(NamedTuple):
    """A number as the paper prints it, ``spread`` its standard error or empty; both texts."""

    value: str
    spread: str

    def __str__(self):
        return f"{self.value} ± {self.spread}" if self.spread else self.value


class Row(NamedTuple):
    """``label`` as in the paper; ``published`` {metric: Published}; ``rehearsed`` what phantom.md calls it."""

    table: str
    label: str
    settings: dict
    published: dict
    rehearsed: str

    def options(self, profile):
        """{key: value} of the run that makes this row in ``paper`` or ``phantom``."""
        return {key: value[profile] if isinstance(value, dict) else value for key, value in self.settings.items()}

    def command(self, profile):
        said = {"experiment": self.table} | ({"profile": "paper"} if profile == "paper" else {}) | self.options(profile)
        return "python run.py " + " ".join(f"{key}={value}" for key, value in said.items())


class Table(NamedTuple):
    """One table of the paper: ``name`` as its experiment, ``rows`` {label: Row}."""

    name: str
    title: str
    rows: dict

    @property
    def heading(self):
        return f"Table {self.name.removeprefix('table')}: {self.title}"


def tables():
    """{name: :class:`Table`}, from rows.yaml and published.csv."""
    import yaml

    with open(FOLDER / "published.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    content = yaml.safe_load((FOLDER / "rows.yaml").read_text(encoding="utf-8"))
    found = {}
    for name, table in content.items():
        rows = {}
        for label, settings in table["rows"].items():
            published = {line["metric"]: Published(line["value"], line["spread"]) for line in lines
                         if (line["table"], line["row"]) == (name, label)}
            rows[label] = Row(name, label, settings, published, table.get("phantom", {}).get(label, label))
        found[name] = Table(name, table["title"], rows)
    return found
