"""FALCON (Kalibhat et al., ICML 2023): words of captions of what a neuron fires at, less those where it is low."""
import numpy as np

from mammi.errors import BadInput, near, number
from mammi.method.falcon_crops import crop_embeddings
from mammi.method.falcon_groups import GROUPINGS, MODES, groups, high_threshold, highest, low_images, representations
from mammi.method.falcon_words import best_captions, contrast, group_scores, image_scores, read_captions
from mammi.types import Annotations


class Falcon:
    """Groups of images -> crops -> captions -> contrast with images that leave the neuron low -> words (protocol D).

    Activations are taken at unit norm per image (R), so of a single neuron only the sign is left. The words come from
    the captions: ``concept_set`` plays no part in them.

    captions            object with ``load() -> (texts, note)``: :class:`mammi.method.falcon_captions.Captions`
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
        if not isinstance(threshold, dict) or set(threshold) != {"mode", "value"}:
            raise BadInput(f"method.threshold={threshold}: expected a mode and a value, as method.threshold.value=0.25")
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
        captions, note = self.captions.load()
        said = read_captions(captions, evidence.cache)
        vocabulary = sorted({word for words, _ in said for word in words})
        if not vocabulary:
            raise BadInput(f"none of the {len(captions)} captions has a noun, verb or adjective that is no stop word. "
                           "Next: give English sentences by method.captions.path")

        activations = evidence.activations
        alive = np.max(activations, axis=0) > np.min(activations, axis=0)
        r = representations(activations, evidence.cache.empty(activations.shape, np.float64))
        group, covered = self._groups(r, alive)
        notes = [note, f"neurons with a group by method.threshold.value={self.value:g}: " + ", ".join(
            f"{found.sum()} of {len(alive)} ({mode})" for mode, found in covered.items())]
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
                notes.append(f"no map tells where {evidence.target.layer} fires: whole images were captioned")
        texts = evidence.text_embeddings(captions)
        heard, heard_low = (self._heard(rows, texts, said)
                            for rows in (crops, evidence.image_embeddings(contrasted)))

        concepts, scores, why, contributions = [], [], [], []
        for j in range(len(alive)):
            own = np.flatnonzero(pairs[:, 1] == j)
            images = [heard[i] for i in own] if self._alike(crops[own]) else []
            others = [heard_low[i] for i in np.searchsorted(contrasted, low[j])]
            words, phrases = self._best(images, others, 0), self._best(images, others, 1)
            concepts.append([word for word, _ in words])
            scores.append([score for _, score in words])
            parts = [(int(k), found.get(words[0][0], 0.0)) for k, (found, _) in zip(pairs[own, 0], images) if words]
            contributions.append(sorted(parts, key=lambda part: -part[1]))
            why.append({"n_images": int(group[:, j].sum()), "n_cropped": int(cropped[own].sum()), "n_low": len(low[j]),
                        **{f"covered_{mode}": bool(found[j]) for mode, found in covered.items()},
                        "phrases": "; ".join(phrase for phrase, _ in phrases)})
        status = ["ok" if words else "empty" if living else "dead" for words, living in zip(concepts, alive)]
        return Annotations(evidence.neurons, concepts, scores, status, shown, vocabulary=tuple(vocabulary), why=why,
                           contributions=contributions, notes=tuple(notes))

    def _groups(self, r, alive):
        """((P, N) bool by the chosen threshold, too small groups empty; {mode: (N,) bool, who has a group by it})."""
        found = {mode: groups(r, high_threshold(r, mode, self.value), self.group_by, alive) for mode in MODES}
        covered = {mode: group.sum(0) >= self.min_images for mode, group in found.items()}
        if not covered[self.mode].any():
            raise BadInput(f"method.threshold.value={self.value}: by mode={self.mode} and group_by={self.group_by} "
                           f"none of {alive.sum()} living neurons is high for {self.min_images} or more of {len(r)} "
                           f"images; activations at unit norm lie between {r.min():.3g} and {r.max():.3g}. "
                           "Next: lower it, or method.min_images")
        return found[self.mode] & covered[self.mode], covered

    def _heard(self, rows, texts, said):
        """A pair ({word: score}, {phrase: score}) for each embedded image, out of its nearest captions."""
        if not len(rows):
            return []
        best = best_captions(rows, texts, self.captions_per_image)
        return [tuple(image_scores(at, scores, said, kind) for kind in (0, 1)) for at, scores in zip(*best)]

    def _best(self, images, others, kind):
        """The best (text, score) of a group's images less those of ``others``; ``kind`` 0 words, 1 phrases."""
        high, low = (group_scores([image[kind] for image in some]) for some in (images, others))
        return contrast(high, low, self.contrast, self.words)

    def _alike(self, crops):
        """Whether the crops' mean cosine, which is the square of their mean's norm, exceeds ``min_cosine``."""
        return self.min_cosine is None or len(crops) and (crops.mean(0, dtype=np.float64)**2).sum() > self.min_cosine


def _one_of(name, value, known):
    if value not in known:
        raise BadInput(f"method.{name}={value}: {near(str(value), known)}")
    return value
