"""The dissectors that faults are tried on: the shipped ones, and a small lit one that is fitted here."""
from pathlib import Path

from mammi.backbone import efficientnet_lite0
from mammi.cache import Cache
from mammi.concept_set.text_file import TextFile
from mammi.dissector.locked_text import LockedText
from mammi.dissector.towers import FeatureMap, SmallResNet
from mammi.evidence import Evidence
from mammi.phantom.reports import Mixture
from mammi.probing_set.phantom import Phantom
from mammi.run_folder import RunFolder
from mammi.task.fit_dissector import fit_dissector

WORDS = Path(__file__).parents[2] / "mammi" / "concept_set" / "nih_labels.txt"
KINDS, SEEDS = ("phantom_nce", "phantom_soft", "phantom_captions"), (0, 1, 2)
SIDE = 96  # pixels that the lit dissector's tower sees


def phantom(encoder, kind="phantom_nce", seed=0):
    """A shipped dissector."""
    return LockedText(SmallResNet(seed=seed), encoder, f"{kind}_seed{seed}.safetensors", kind, seed=seed)


def lit(encoder, folder, images=1000):
    """``dissector=lit`` with ImageNet's EfficientNet-Lite0, fitted on ``images`` of the phantom in ``folder``, once."""
    weights = Path(folder) / "weights.safetensors"
    if not weights.is_file():
        texts = Mixture(openi=0, captions=.7, prompts=.3)
        train, val = (Phantom(n, seed, boost=.5, texts=texts) for n, seed in ((images, 1), (100, 2)))
        fit_dissector(LockedText(_tower(), encoder, name="lit"), train, val, RunFolder(folder), epochs=20, lr=4e-3,
                      batch_size=64, jitter=0)
    return LockedText(_tower(), encoder, weights, "lit")


def _tower():
    return FeatureMap(efficientnet_lite0(), "bn2", size=SIDE, mean=[.5] * 3, sd=[.5] * 3)


def ask(gate, model, images, folder):
    """The gate's verdict on a model that sees ``images``, with an empty cache in ``folder``."""
    cache = Cache(folder)
    return gate(Evidence(None, images, TextFile(WORDS).load(cache), model, None, cache))
