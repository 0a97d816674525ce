"""Write the golden embeddings of the shipped phantom dissectors down again: when its pictures or texts have changed.

    python experiments/gate/golden.py

What the cards know already must be met before anything is written (the largest difference is printed); weights stay as
they are, bit by bit.
"""
import json
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from mammi.dissector.locked_text import SHIPPED, LockedText  # noqa: E402
from mammi.dissector.towers import SmallResNet  # noqa: E402
from mammi.files import replacing  # noqa: E402
from mammi.text_encoder import SentenceEncoder  # noqa: E402

TOLERANCE = 1e-4


def main():
    encoder = SentenceEncoder()
    for path in sorted(SHIPPED.glob("phantom_*.safetensors")):
        model = LockedText(SmallResNet(seed=int(path.stem[-1])), encoder, path.name)
        before, now = tensors(path), model.golden()
        off = max(float(np.abs(np.subtract(now[part][:len(rows)], rows)).max()) for part, rows in model.known.items())
        if off > TOLERANCE:
            sys.exit(f"{path.name}: its golden embeddings are missed by {off:.1e}; nothing was written")
        card = model.card | {"golden": now}
        model.save(path, card)
        assert tensors(path) == before, f"{path.name}: its weights have changed"
        with replacing(path.with_suffix(".json")) as part:
            part.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        print(f"{path.stem}: known ones met within {off:.1e}, {len(now['images'])} images and {len(now['texts'])} "
              "texts written")


def tensors(path):
    """{name: bytes} of a file."""
    with safe_open(path, "np") as file:
        return {key: file.get_tensor(key).tobytes() for key in file.keys()}


if __name__ == "__main__":
    main()
