"""FALCON (Kalibhat et al., ICML 2023): words of captions of what a neuron fires at, less those where it is low."""
import logging

import numpy as np

from mammi.errors import BadInput, near, number
from mammi.method.falcon_crops import crop_embeddings
from mammi.method.falcon_groups import GROUPINGS, MODES, groups, high_threshold, highest, low_images, representations
from mammi.method.falcon_words import best_captions, contrast, group_scores, image_scores, read_captions
from mammi.types import Annotations

log = logging.getLogger(__name__)


class Falcon:
    """Groups of images -> crops -> captions -> contrast with images that leave the neuron low -> words (protocol D).

    Activations are taken at unit norm per image (R), so of a single neuron only the sign is left. The words come from
    the captions: ``concept_set`` plays no part.

    captions            object with ``load() -> texts``, such as :class:`mammi.method.falcon_captions.Captions`
    threshold           {mode, value} of T_high: ``sigma`` is mean(R) + value std(R), ``absolute`` is value
    group_by            ``neuron``: the images with R >= T_high; ``exact_set``: of those, the ones for which no other
                        neuron is high, as in the original
    min_images          a smaller group gets no words; the original asks for 11
    max_images          images of a group that are captioned, highest first; None: all, as in the original
    min_cosine          the mean cosine of a group's crops, each with itself too, must exceed it; None: no filter; the
                        original asks for .8
    crop                share of a map's range that a crop has to reach, in [0, 1]; None: whole images
    captions_per_image  nearest captions that lend an image their words
    low_images          most images of the contrast set, which are those of low R that are most like the group;
    low_similarity      how like they have to be, see :func:`mammi.method.falcon_groups.low_images`
    contrast            a word that scores as much in the contrast set is removed
    words               most words, and most noun phrases, of a neuron

    Scores are captions' probabilities, averaged over images, in [0, 1]. ``why``: n_images of the whole group;
    n_cropped, how many were captioned by a part; n_low; covered_sigma and covered_absolute, whether
    ``threshold.value`` read in either way gives the neuron a group; the noun phrases.
    """

    def __init__(self, captions, threshold, group_by="neuron", min_images=1, max_images=None, min_cosine=None, crop=.6,
                 captions_per_image=5, low_images=10, low_similarity=.3, contrast=.1, words=8):
        self.captions, self.mode = captions, _one_of("threshold.mode", threshold["mode"], MODES)
        self.value = number("method.threshold.value", threshold["value"])
        self.group_by = _one_of("group_by", group_by, GROUPINGS)
        self.min_images = number("method.min_images", min_images, 1, whole=True)
        self.max_images = None if max_images is None else number("method.max_images", max_images, 1, whole=True)
        self.min_cosine = None if min_cosine is None else number("method.min_cosine", min_cosine, -1, 1)
        self.crop = None if crop is None else number("method.crop", crop, 0, 1)
        self.captions_per_image = number("method.captions_per_image", captions_per_image, 1, whole=True)
        self.low_images = number("method.low_images", low_images, 0, whole=True)
        self.low_similarity = number("method.low_similarity", low_similarity, -1, 1)
        self.contrast, self.words = number("method.contrast", contrast, 0), number("method.words", words, 1, whole=True)

    def __call__(self, evidence):
        if not evidence.dissector.embeds:
            raise BadInput("method=falcon needs a dissector with one embedding space for images and texts, and "
                           f"{evidence.dissector.name} only scores. Next: another dissector, or method=mammi")
        captions = self.captions.load()
        said = read_captions(captions, evidence.cache)
        vocabulary = sorted({word for words, _ in said for word in words})
        if not vocabulary:
            raise BadInput(f"none of the {len(captions)} captions has a noun, verb or adjective that is no stop word. "
                           "Next: give English sentences by method.captions.path")

        activations = evidence.activations
        alive = np.max(activations, axis=0) > np.min(activations, axis=0)
        r = representations(activations, evidence.cache.empty(activations.shape, np.float64))
        group, covered = self._groups(r, alive)
        shown = np.zeros_like(group)
        for j in np.flatnonzero(group.any(0)):
            shown[highest(r, activations, np.flatnonzero(group[:, j]), j, self.max_images), j] = True
        low = low_images(r, group, self.low_images, self.low_similarity)

        pairs, contrasted = np.argwhere(shown), np.unique(np.concatenate(low))
        if self.crop is None:
            crops, cropped = evidence.image_embeddings(pairs[:, 0]), np.zeros(len(pairs), bool)
        else:
            crops, cropped = crop_embeddings(evidence, pairs, self.crop)
            if not cropped.any():
                log.warning("FALCON: no map tells where %s fires; whole images are captioned", evidence.target.layer)
        texts = evidence.text_embeddings(captions)
        said_high = self._said(crops, texts, said)
        said_low = self._said(evidence.image_embeddings(contrasted), texts, said)

        found = Annotations(evidence.neurons, *([[] for _ in alive] for _ in range(2)), [""] * len(alive), shown,
                            vocabulary=tuple(vocabulary))
        for j, living in enumerate(alive):
            own, others = np.flatnonzero(pairs[:, 1] == j), np.searchsorted(contrasted, low[j])
            images = [said_high[i] for i in own] if self._alike(crops[own]) else []
            words, phrases = (contrast(group_scores([image[kind] for image in images]),
                                       group_scores([said_low[i][kind] for i in others]), self.contrast, self.words)
                              for kind in (0, 1))
            found.concepts[j], found.scores[j] = [word for word, _ in words], [score for _, score in words]
            found.status[j] = "ok" if words else "empty" if living else "dead"
            parts = [(int(image), said[0].get(words[0][0], 0.)) for image, said in zip(pairs[own, 0], images) if words]
            found.contributions.append(sorted(parts, key=lambda part: -part[1]))
            found.why.append({"n_images": int(group[:, j].sum()), "n_cropped": int(cropped[own].sum()),
                              "n_low": len(low[j]), **{f"covered_{mode}": bool(covered[mode][j]) for mode in MODES},
                              "phrases": "; ".join(phrase for phrase, _ in phrases)})
        return found

    def _groups(self, r, alive):
        """((P, N) bool by the chosen threshold, too small groups empty; {mode: (N,) bool, who has a group by it})."""
        found = {mode: groups(r, high_threshold(r, mode, self.value), self.group_by, alive) for mode in MODES}
        covered = {mode: group.sum(0) >= self.min_images for mode, group in found.items()}
        log.info("FALCON: groups for %s of %d neurons", ", ".join(
            f"{covered[mode].sum()} ({mode} {self.value:g})" for mode in MODES), len(alive))
        if not covered[self.mode].any():
            raise BadInput(f"method.threshold.value={self.value}: by mode={self.mode} and group_by={self.group_by} no "
                           f"neuron is high for {self.min_images} or more of the {len(r)} images; activations at unit "
                           f"norm lie between {r.min():.3g} and {r.max():.3g}. Next: lower it, or method.min_images")
        return found[self.mode] & covered[self.mode], covered

    def _said(self, rows, texts, said):
        """A pair ({word: score}, {phrase: score}) for each embedded image."""
        if not len(rows):
            return []
        best = best_captions(rows, texts, self.captions_per_image)
        return [tuple(image_scores(at, scores, said, kind) for kind in (0, 1)) for at, scores in zip(*best)]

    def _alike(self, crops):
        """Whether the crops' mean cosine, which is the square of their mean's norm, passes ``min_cosine``."""
        return self.min_cosine is None or (crops.mean(0, dtype=np.float64)**2).sum() > self.min_cosine


def _one_of(name, value, known):
    if value not in known:
        raise BadInput(f"method.{name}={value}: {near(str(value), known)}")
    return value
