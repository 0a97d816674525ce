"""Train a locked-text dissector on images that come with sentences."""
import logging

import numpy as np
import torch
from torch.nn.functional import normalize

from mammi.errors import BadInput, near, number
from mammi.image_text import spoken
from mammi.progress import track
from mammi.run_folder import versions
from mammi.task.fitting import (
    Inputs,
    about,
    augmented,
    aurocs,
    check_enough,
    check_options,
    finite,
    print_scores,
    shuffled,
)

log = logging.getLogger(__name__)
LOSSES = ("nce", "soft")
MAX_SCALE = 50.0                   # of the logits, as a factor on cosines
OWN, SHARPNESS = .3, 10.0          # loss=soft: weight of an image's own sentence; sharpness of the label similarity


def fit_dissector(dissector, train, val, out, *, epochs, lr, batch_size, loss="nce", draws=4, weight_decay=.05,
                  warm_up=.15, jitter=.1, seed=0):
    """Fit a :class:`~mammi.dissector.locked_text.LockedText`; leave ``weights.safetensors``, ``card.json`` in ``out``.

    train, val  probing sets; ``train.texts`` gives each image's sentences, images without one are left out; ``val`` is
                what the result is measured on: its labels, its texts, or both
    loss        ``nce``: an image finds its sentence in the batch and a sentence its image, a sentence that occurs
                twice being right twice; no label is looked at. ``soft``: besides, to the degree that labels agree
                (:func:`label_profiles`); needs ``train.labels``, and dims what no label names
    draws       sentences that are drawn for an image each time it is seen; the loss is averaged over as many tables of
                one sentence per image (they cost little: a sentence is embedded once, before)
    lr          peak of a one-cycle schedule that rises for the share ``warm_up`` of all steps; AdamW
    jitter      contrast and brightness, as in ``fit_target``; no flips: left and right matter. None where the tower is
                frozen: its maps are computed once, and only the projections are trained
    Returns the card: zero-shot AUROC by label, how often an image prefers its own sentence, what was withheld.
    """
    if loss not in LOSSES:
        raise BadInput(f"task.loss={loss}: {near(str(loss), LOSSES)}")
    check_options(epochs, lr, batch_size, weight_decay, warm_up, jitter)
    number("draws", draws, 1, whole=True)
    texts = Texts(train, dissector.text_encoder)
    check_enough(len(texts.images), batch_size, " with sentences")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    module = dissector.module.to(memory_format=torch.channels_last)
    vectors = torch.from_numpy(texts.vectors).to(dissector.device)
    if not dissector.card:
        module.text_mean.copy_(vectors[texts.flat].mean(0))
    maps, val_maps = Inputs(_Eyes(dissector), train, batch_size), Inputs(_Eyes(dissector), val, batch_size)
    profiles = label_profiles(train, texts) if loss == "soft" else None
    steps = epochs * (len(texts.images) // batch_size)
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps + 1, pct_start=warm_up)

    losses = []
    for at in track(list(shuffled(len(texts.images), batch_size, epochs, rng)), "training"):
        positions = texts.images[at]
        x = maps[positions]
        module.train()
        tokens = module.project_map(x if module.tower.frozen else module.tower(augmented(x, jitter, rng)))
        rows = normalize(tokens.mean((1, 2)), dim=1) * module.log_scale.exp().clamp(max=MAX_SCALE)
        value = 0
        for _ in range(draws):
            drawn = texts.draw(at, rng)
            logits = rows @ normalize(module.project_text(vectors[drawn]), dim=1).T
            own = torch.from_numpy(drawn[:, None] == drawn).to(logits)
            alike = torch.from_numpy(profiles[0][positions] @ profiles[1][drawn].T).to(own) if profiles else None
            value = value + contrast(logits, own, alike) / draws
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
        losses.append(finite(value.item(), len(losses)))
        if len(losses) % (steps // epochs) == 0:
            log.info("epoch %d: loss %.4f", len(losses) * epochs // steps, np.mean(losses[-(steps // epochs):]))
    module.eval()

    module.round()
    withheld = texts.withheld(train.label_names)
    card = {"name": dissector.name, "seed": seed, "command": out.overrides, "train": about(train),
            "validation": about(val), "images_without_sentence": len(train) - len(texts.images),
            "sentences": len(texts.unique), "loss": loss, "epochs": epochs, "lr": lr, "batch_size": batch_size,
            "draws": draws, "weight_decay": weight_decay, "warm_up": warm_up, "jitter": jitter,
            "final_loss": float(np.mean(losses[-50:])), "withheld": withheld,
            **measure(dissector, val, val_maps, withheld),
            "golden": dissector.golden(), "versions": versions()}
    dissector.save(out.file("weights.safetensors"), card)
    out.json("card.json", card)
    dissector.card, dissector.withheld = card, tuple(withheld)
    if val.labels is not None:
        print_scores(card["zero_shot_auroc"], val.labels, val.label_names, out.file("weights.safetensors"))
    return card


class Texts:
    """The sentences of a set, each unique one embedded once.

    images   (I,) positions of images with a sentence
    unique   U sentences, first-seen order
    vectors  (U, E) float32
    flat     positions in ``unique`` of all sentences of all images, one image after the other
    """

    def __init__(self, images, encoder):
        if images.texts is None:
            raise BadInput(f"{images.name} has no texts: fitting a dissector needs sentences for its images. Give a "
                           "set that has them, such as train=phantom_train_texts, or a folder with a text column")
        self.images = np.array([i for i, own in enumerate(images.texts) if own], int)
        if not len(self.images):
            raise BadInput(f"{images.name}: none of its {len(images)} images has a sentence")
        sentences = [images.texts[i] for i in self.images]
        self.unique = tuple(dict.fromkeys(s for own in sentences for s in own))
        number = {s: n for n, s in enumerate(self.unique)}
        self.flat = np.array([number[s] for own in sentences for s in own])
        self.counts = np.array([len(own) for own in sentences])
        self.starts = np.cumsum(self.counts) - self.counts
        self.vectors = encoder.embed(self.unique)

    def draw(self, at, rng):
        """(b,) positions in ``unique``: one sentence for each of ``images[at]``."""
        return self.flat[self.starts[at] + (rng.random(len(at)) * self.counts[at]).astype(int)]

    def withheld(self, names):
        """Those of ``names`` that no sentence contains, in lower case."""
        said = "\n".join(self.unique).lower()
        return [spoken(name) for name in names if spoken(name) not in said]


def contrast(logits, own, alike=None):
    """Cross-entropy of a (b, b) image-by-text table in both directions, halved.

    own    (b, b) 1 where the text of column j is, word for word, that of image i
    alike  (b, b) cosines of labels, or None: then the target is ``own`` alone
    """
    value = 0
    for table, right, like in ((logits, own, alike), (logits.T, own.T, None if alike is None else alike.T)):
        right = right / right.sum(1, keepdim=True)
        if like is not None:
            right = OWN * right + (1 - OWN) * (SHARPNESS * like).softmax(1)
        value = value - (right * table.log_softmax(1)).sum(1).mean() / 2
    return value


def label_profiles(images, texts):
    """((P, L + 1) of images, (U, L + 1) of sentences), unit rows; the last column is "none of the labels".

    A sentence is about the labels that its images have more often than all images, so a prompt or a template
    sentence that many images share has a clear profile, and a neutral one about none.
    """
    if images.labels is None:
        raise BadInput(f"task.loss=soft needs labels, and {images.name} has none; take task.loss=nce")
    labels = np.nan_to_num(images.labels)
    labels = np.hstack([labels, (labels.sum(1, keepdims=True) == 0)]).astype(np.float32)
    total = np.zeros((len(texts.unique), labels.shape[1]), np.float32)
    np.add.at(total, texts.flat, np.repeat(labels[texts.images], texts.counts, axis=0))
    uses = np.bincount(texts.flat, minlength=len(total))[:, None]
    excess = np.maximum(total / uses - labels[texts.images].mean(0), 0)
    return tuple(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6) for rows in (labels, excess))


@torch.no_grad()
def measure(dissector, images, maps, withheld=()):
    """Zero-shot AUROC of the label names in the set's template, and retrieval of an image's own sentence.

    The AUROC's means are over all labels, those of the training text and those ``withheld`` from it; None of nothing.

    ``retrieval`` is the share of other sentences (not the same words) that an image's first sentence beats; chance .5.
    """
    module, found = dissector.module, {}
    blocks = [maps[block] if module.tower.frozen else module.tower(maps[block]) for block in maps.blocks()]
    rows = np.concatenate([normalize(module.project_map(x).mean((1, 2)), dim=1).cpu().numpy() for x in blocks])
    if images.labels is not None:
        queries = [f"{images.template} {spoken(name)}".strip() for name in images.label_names]
        found["zero_shot_auroc"] = aurocs(rows @ dissector.embed_texts(queries).T, images.labels, images.label_names)
        for part, names in (("mean", images.label_names),
                            ("mean_seen", [n for n in images.label_names if spoken(n) not in withheld]),
                            ("mean_withheld", [n for n in images.label_names if spoken(n) in withheld])):
            values = [found["zero_shot_auroc"][n] for n in names if n in found["zero_shot_auroc"]]
            found[f"zero_shot_auroc_{part}"] = float(np.mean(values)) if values else None
    if images.texts is not None:
        pairs = [(i, own[0]) for i, own in enumerate(images.texts) if own]
        sentences = np.array([s for _, s in pairs])
        scores = rows[[i for i, _ in pairs]] @ dissector.embed_texts(sentences.tolist()).T
        mine = np.diag(scores)[:, None]
        other = sentences[:, None] != sentences
        wins = (((scores < mine) + .5 * (scores == mine)) * other).sum(1) / np.maximum(other.sum(1), 1)
        found["retrieval"] = float(wins[other.any(1)].mean()) if other.any() else None
    return found


class _Eyes:
    """Prepares for :class:`Inputs` the tower's maps where it is frozen, else its input."""

    def __init__(self, dissector):
        self.dissector, self.device = dissector, dissector.device

    @torch.no_grad()
    def prepare(self, batch):
        x, tower = self.dissector.prepare(batch), self.dissector.module.tower
        return tower(x) if tower.frozen else x
