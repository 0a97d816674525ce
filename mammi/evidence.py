"""What is known about the neurons, computed only when somebody asks, each image and each text once."""
from functools import cached_property

import numpy as np

from mammi import matching
from mammi.errors import number
from mammi.files import digest
from mammi.progress import track
from mammi.selection import checked

TEXT_BLOCK = 1024


class Evidence:
    """One target, one dissector, one image set (probing or held-out) and one concept set, seen through a cache.

    target, images, dissector  instances of the base classes in ``mammi.target``, ``mammi.probing_set``,
                               ``mammi.dissector``
    concepts                   :class:`mammi.types.Concepts`
    selection                  callable (P, N) -> (P, N) bool
    cache                      :class:`mammi.cache.Cache`; rows are kept per image and per text, so another alpha,
                               concept set or subset of the images computes only what is new
    batch_size                 images per forward pass; no result depends on it
    """

    def __init__(self, target, images, concepts, dissector, selection, cache, batch_size=64):
        self.target, self.images, self.concepts = target, images, concepts
        self.dissector, self.selection, self.cache = dissector, selection, cache
        self.batch_size = number("batch_size", batch_size, 1, whole=True)

    # --- the target -----------------------------------------------------------------------------------------------

    def read(self, layers):
        """{layer: (P, N) float32 raw activations}, one pass for all layers that are not cached yet."""
        layers = list(dict.fromkeys(layers))
        tables = {f"activations/{layer}": {"target": self.target.fingerprint(layer)} for layer in layers}

        def compute(positions):
            for at, batch in self.batches(positions, f"{self.target.name} reads", self.target.needs_masks):
                readings = self.target.read(batch, layers)
                rows = {layer: readings[layer].pooled.float().cpu().numpy() for layer in layers}
                for row in rows.values():
                    checked(row)  # what is not finite must not enter the cache
                yield positions[at], {f"activations/{layer}": row for layer, row in rows.items()}

        rows = self.cache.rows(tables, self.images.keys, compute)
        return {layer: rows[f"activations/{layer}"] for layer in layers}

    @cached_property
    def activations(self):
        """(P, N) float64 of the target's chosen layer, after its ``activation`` (logit or prob)."""
        raw = self.read([self.target.layer])[self.target.layer]
        return checked(self.target.activate(raw))

    @property
    def neurons(self):
        """N names."""
        return self.target.neurons(self.target.layer)

    def maps(self, layers, indices=None):
        """Stream (positions, {layer: Reading with maps}) over the images; never stored, maps are large."""
        indices = np.arange(len(self.images)) if indices is None else np.asarray(indices)
        for at, batch in self.batches(indices, f"{self.target.name} maps", self.target.needs_masks):
            yield indices[at], self.target.read(batch, layers, maps=True)

    @cached_property
    def selected(self):
        """(P, N) bool: which images represent which neuron."""
        return self.selection(self.activations)

    @cached_property
    def positions(self):
        """(U,) positions of the images that represent any neuron: the only ones the dissector must see."""
        return np.flatnonzero(self.selected.any(1))

    # --- the dissector --------------------------------------------------------------------------------------------

    def image_embeddings(self, positions=None):
        """(len(positions), D) float32, unit norm; all images without ``positions``."""
        positions = np.arange(len(self.images)) if positions is None else np.asarray(positions)

        def compute(todo):
            for at, batch in self.batches(positions[todo], f"{self.dissector.name} embeds images"):
                rows = self.dissector.embed_images(batch)
                yield todo[at], {"images": matching.unit(rows, f"{self.dissector.name}'s image embeddings")}

        keys = np.asarray(self.images.keys)[positions]
        return self.cache.rows({"images": {"dissector": self.dissector.fingerprint}}, keys, compute)["images"]

    def text_embeddings(self, texts):
        """(len(texts), D) float32, unit norm."""
        if self.dissector.text_encoder is not None:
            rows = self.dissector.project_texts(self.embed_with(self.dissector.text_encoder, texts))
        else:
            rows = self._texts("texts", {"dissector": self.dissector.fingerprint}, texts, self.dissector.embed_texts)
        return matching.unit(rows, f"{self.dissector.name}'s text embeddings")

    def embed_with(self, encoder, texts):
        """(len(texts), D) by any text encoder (``fingerprint``, ``embed``): what evaluation compares words with."""
        return self._texts("sentences", {"encoder": encoder.fingerprint}, texts, encoder.embed)

    def match(self, texts):
        """How well each text fits the images of each neuron: an object with

        mean                     (N, len(texts)) float32, averaged over the images that represent the neuron
        cosine                   True where single scores are cosines, in [-1, 1]
        parts(images, columns)   (len(images), len(columns)) single scores; ``images`` are positions in the set that
                                 represent some neuron, ``columns`` index ``texts``

        With embeddings in closed form (:mod:`mammi.matching`); a dissector that only scores is averaged row by row.
        """
        if self.dissector.embeds:
            return _Embedded(self._means, self._rows, self.positions, self.text_embeddings(texts))
        return _Scored(self._scores(self.positions, texts), self.positions, self.selected)

    @cached_property
    def _means(self):
        return matching.mean_rows(self._rows, self.positions, self.selected)

    @cached_property
    def _rows(self):
        return self.image_embeddings(self.positions)

    def _scores(self, positions, texts):
        positions = np.asarray(positions)
        inputs = {"dissector": self.dissector.fingerprint, "texts": digest(list(texts))}

        def compute(todo):
            for at, batch in self.batches(positions[todo], f"{self.dissector.name} scores"):
                yield todo[at], {"scores": self.dissector.score(batch, texts)}

        keys = np.asarray(self.images.keys)[positions]
        return self.cache.rows({"scores": inputs}, keys, compute)["scores"]

    # --- batch loops ----------------------------------------------------------------------------------------------

    def batches(self, positions, what, masks=False):
        """Stream (slice of ``positions``, :class:`mammi.types.Batch`) with a progress bar."""
        starts = range(0, len(positions), self.batch_size)
        for start in track(starts, what, unit=self.batch_size, total=len(positions)):
            at = slice(start, start + self.batch_size)
            yield at, self.images.load(positions[at], masks=masks)

    def _texts(self, table, inputs, texts, embed):
        texts = list(texts)

        def compute(todo):
            starts = range(0, len(todo), TEXT_BLOCK)
            for start in track(starts, "embedding texts", unit=TEXT_BLOCK, total=len(todo)):
                block = todo[start:start + TEXT_BLOCK]
                yield block, {table: np.asarray(embed([texts[i] for i in block]), np.float32)}

        return self.cache.rows({table: inputs}, [digest(text) for text in texts], compute)[table]


class _Embedded:
    cosine = True

    def __init__(self, means, rows, positions, texts):
        self.mean = matching.products(means, texts)
        self._rows, self._positions, self._texts = rows, positions, texts

    def parts(self, images, columns):
        return self._rows[np.searchsorted(self._positions, images)] @ self._texts[columns].T


class _Scored:
    cosine = False

    def __init__(self, scores, positions, selected):
        self.mean = matching.mean_rows(scores, positions, selected)
        self._scores, self._positions = scores, positions

    def parts(self, images, columns):
        return self._scores[np.searchsorted(self._positions, images)][:, columns]
