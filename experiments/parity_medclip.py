"""Our MedCLIP adapter against the authors' package, in its own environment, on the same random weights of full size.

    make parity-medclip
    python experiments/parity_medclip.py --python PYTHON

Prints the largest absolute differences; exit code 1 where one is above 1e-5. The weights are random and the images made
up: this says that both compute the same, and nothing about MedCLIP.
"""
import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from experiments import stand_ins  # noqa: E402
from mammi.dissector.medclip import MedCLIP  # noqa: E402
from mammi.dissector.medclip_checkpoint import SWIN  # noqa: E402
from mammi.dissector.medclip_package import MedCLIPPackage  # noqa: E402
from mammi.types import Batch  # noqa: E402

LIMIT = 1e-5
SIZES = ((1024, 1024), (224, 224), (255, 390), (2000, 1500), (120, 91))  # width, height
WORDS = (ROOT / "mammi" / "concept_set" / "nih_labels.txt").read_text(encoding="utf-8").split("\n")
WORDS = [word for word in WORDS if word and not word.startswith("#")]
TEXTS = [*WORDS, *(f"A chest X-ray image of a {word}" for word in WORDS), "O\u00e9dema", "zebra", "",
         "no  mass, 3 cm!", "mass " * 200]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=ROOT / "outputs" / "venv-medclip" / "bin" / "python",
                        help="of the environment with the package (default outputs/venv-medclip)")
    python = parser.parse_args().python
    with tempfile.TemporaryDirectory() as folder:
        files = weights(Path(folder, "pytorch_model.bin")), vocabulary(Path(folder, "vocab.txt"))
        rows = compare(*files, python)
    print(f"{'random weights of full size':<44}{'n':>4}{'largest difference':>20}{'unlike inputs, least':>22}")
    for what, theirs, ours in rows:
        apart = np.abs(theirs[:, None] - theirs).reshape(len(theirs), len(theirs), -1).max(2)
        apart = apart[~np.eye(len(theirs), dtype=bool)].min()
        print(f"{what:<44}{len(theirs):>4}{np.abs(theirs - ours).max():>20.1e}{apart:>22.1e}")
    worst = max(np.abs(theirs - ours).max() for _, theirs, ours in rows)
    alike = worst <= LIMIT
    print(f"the adapter and the package {'agree' if alike else 'DIFFER'}: {worst:.1e}, limit {LIMIT:.0e}")
    return 0 if alike else 1


def compare(weights, vocabulary, python):
    """[(what, the package's (n, ...), ours)]"""
    package = {view: MedCLIPPackage(weights, vocabulary, python, view) for view in ("full_image", "target_crop")}
    adapter = {view: MedCLIP(weights, vocabulary, view) for view in package}
    print(", ".join(f"{name} {version}" for name, version in package["full_image"].versions.items()))
    rows = [("texts", package["full_image"].embed_texts(TEXTS), adapter["full_image"].embed_texts(TEXTS))]
    for mode in ("L", "RGB"):
        images = [picture(*size, seed).convert(mode) if mode == "L" else picture(*size, seed)
                  for seed, size in enumerate(SIZES)]
        batch = Batch(tuple(images), *[tuple(map(str, range(len(images))))] * 2)
        # As the files are, without the detour over RGB that both dissectors take.
        theirs, ours = package["full_image"].ask_images([np.asarray(image) for image in images]), adapter["full_image"]
        rows += [(f"{mode} images as they are: pixels", theirs["pixels"], ours.prepare(images)[:, :1].numpy()),
                 (f"{mode} images as they are: embeddings", theirs["embeddings"], ours.embed_images(batch)),
                 (f"{mode} images, what the target sees: embeddings", package["target_crop"].embed_images(batch),
                  adapter["target_crop"].embed_images(batch))]
    return rows


def picture(width, height, seed):
    """Colour waves and noise: another filter, a shift by one pixel or another grey tells."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([np.sin(rows / (9 + seed) + c) + np.cos(columns / (7 + c)) for c in range(3)], 2)
    noise = rng.standard_normal((height, width, 3))
    return Image.fromarray((110 + 40 * waves + 12 * noise).clip(0, 255).astype(np.uint8))


def weights(path):
    """A checkpoint whose constants, which the package reads and the adapter does not, are the true ones."""
    stand_ins.medclip_checkpoint(path)
    state = torch.load(path, weights_only=True)
    side = SWIN["window_size"]
    rows, columns = (place.ravel() for place in np.mgrid[:side, :side])
    index = (rows[:, None] - rows + side - 1) * (2 * side - 1) + columns[:, None] - columns + side - 1
    for key in state:
        if key.endswith("relative_position_index"):
            state[key] = torch.from_numpy(index)
        elif key.endswith("position_ids"):
            state[key] = torch.arange(512)[None]
    torch.save(state, path)
    return path


def vocabulary(path):
    words = [word for text in TEXTS for word in text.lower().split() if word != "zebra"]
    stand_ins.vocabulary(path, [*words, "##edema", ",", "!"])
    return path


if __name__ == "__main__":
    sys.exit(main())
