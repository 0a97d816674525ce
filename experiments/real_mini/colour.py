"""How far the mean colour of an image goes on real_mini_skin: AUROC of a logistic regression on its three numbers.

python experiments/real_mini/colour.py [overrides of the study]
"""
import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mammi.evaluation.ranking import compare

ROOT = Path(__file__).parents[2]


def mean_colours(images, batch_size=64):
    """(P, 3) mean red, green and blue, in [0, 255]."""
    blocks = [range(at, min(at + batch_size, len(images))) for at in range(0, len(images), batch_size)]
    return np.array([np.asarray(image.convert("RGB")).mean((0, 1)) for block in blocks
                     for image in images.load(block).images])


def main(overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", overrides=["experiment=real_mini_skin", *overrides])
    train, probe = instantiate(cfg.task.train), instantiate(cfg.probing_set)
    colours, asked = mean_colours(train), mean_colours(probe)
    scores = np.stack([make_pipeline(StandardScaler(), LogisticRegression(C=1e4, max_iter=5000))
                       .fit(colours, column == 1).decision_function(asked) for column in train.labels.T], axis=1)
    table, facts = compare({"target": scores}, probe.labels, probe.label_names, probe.patients, cfg.seed, controls=())
    table.columns = [column.replace("auroc_target", "auroc") for column in table]
    print(table.round(2).to_string(index=False))
    print(f"mean of {facts['labels_judged']}: {facts['auroc_target']:.2f} "
          f"({facts['auroc_target_low']:.2f} to {facts['auroc_target_high']:.2f}), {len(probe)} images")


if __name__ == "__main__":
    main(sys.argv[1:])
