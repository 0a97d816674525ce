"""A few images and texts through the models, for a forecast: how long one takes, what comes out."""
import time

import numpy as np

from mammi.probing_set.base import spread

PATIENCE = 4.0      # seconds that a pass is measured for
FIRST = 4           # images of the batch that warms up, and says how many more there is time for
TEXTS = 32          # prompts that are measured at most


class Sample:
    """A few images and prompts that go through the models: as few as can be where all is cached.

    images      positions of the measured images
    activations (len(images), N)
    texts       how many prompts were measured
    dimensions  D; None where the dissector only scores
    width       numbers that the cache keeps of a text: those of the text encoder's vector where there is one
    seconds     {"decode", "target", "dissector"} an image, {"text"} a prompt
    """

    def __init__(self, evidence, prompts, lacking):
        target, dissector, layer = evidence.target, evidence.dissector, evidence.target.layer
        some, spent = spread(len(evidence.images), evidence.batch_size + FIRST), {}

        def see(batch):
            return dissector.embed_images(batch) if dissector.embeds else dissector.score(batch, prompts)

        def run(positions):
            batch, spent["decode"] = _timed(lambda: evidence.images.load(positions, masks=target.needs_masks))
            readings, spent["target"] = _timed(lambda: target.read(batch, [layer]))
            rows, spent["dissector"] = _timed(lambda: see(batch))
            return target.activate(readings[layer].pooled.float().cpu().numpy()), rows

        first, rest = some[:FIRST], some[FIRST:]
        self.activations, rows = run(first)
        _, again = _timed(lambda: run(first))  # the first time loads and compiles
        todo = lacking["target"] or lacking.get("images", True)
        n = int(np.clip(PATIENCE / max(again / len(first), 1e-9), 0, len(rest))) if todo else 0
        self.images = first
        if n:
            more, rows = run(rest[:n])
            self.activations, self.images = np.concatenate([self.activations, more]), some[:FIRST + n]
        self.seconds = {name: value / len(rows) for name, value in spent.items()}
        self.dimensions, self.texts, self.width = (rows.shape[1], 0, 0) if dissector.embeds else (None, 0, 0)
        if dissector.embeds:
            embed = dissector.text_encoder.embed if dissector.text_encoder is not None else dissector.embed_texts
            embed(prompts[:1])
            few = prompts[:TEXTS if lacking["texts"] else 1]
            vectors, spent["text"] = _timed(lambda: embed(few))
            self.texts, self.width = len(few), vectors.shape[1]
            self.seconds["text"] = spent["text"] / len(few)


def _timed(call):
    begun = time.perf_counter()
    value = call()
    return value, time.perf_counter() - begun
