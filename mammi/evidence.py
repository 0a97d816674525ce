"""What is known about the neurons, computed only when somebody asks, each image and each text once."""
from contextlib import closing
from functools import cached_property

import numpy as np

from mammi import matching
from mammi.errors import BadInput, number
from mammi.files import digest
from mammi.image_text import Products
from mammi.prefetch import ahead
from mammi.progress import track
from mammi.selection import blocks, checked, select

LAYER = "activations/"  # tables of the target are called this and the layer
TEXT_BLOCK = 1024


class Evidence:
    """One target, one dissector, one image set (probing or held-out) and one concept set, seen through a cache.

    target, images, dissector  instances of the base classes in ``mammi.target``, ``mammi.probing_set``,
                               ``mammi.dissector``
    concepts                   :class:`mammi.types.Concepts`
    selection                  callable (P, n) -> (P, n) bool that judges each neuron by itself
    cache                      :class:`mammi.cache.Cache`; rows are kept per image and per text, so another alpha,
                               concept set or subset of the images computes only what is new
    batch_size                 images per forward pass; no result depends on it
    """

    def __init__(self, target, images, concepts, dissector, selection, cache, batch_size=64):
        self.target, self.images, self.concepts = target, images, concepts
        self.dissector, self.selection, self.cache = dissector, selection, cache
        self.batch_size = number("batch_size", batch_size, 1, whole=True)

    def on(self, images):
        """All the same but the images, such as held-out ones."""
        return Evidence(self.target, images, self.concepts, self.dissector, self.selection, self.cache, self.batch_size)

    # --- one pass over the images ---------------------------------------------------------------------------------

    def gather(self, layers=None):
        """Decode every image once, for the target and the dissector: what :meth:`read` and :meth:`image_embeddings` of
        all images would each load them for is then in the cache, and only what was lacking is computed.

        layers  those to be read; None: the target's chosen one. The dissector is left out where it has no embeddings.
        """
        tables = self._tables(layers or [self.target.layer], self.dissector.embeds)
        self.cache.fill(tables, self.images.keys, self._compute(np.arange(len(self.images))))

    def _tables(self, layers, images):
        """{table: what its rows depend on} of target layers and of the dissector's images."""
        tables = {LAYER + layer: {"target": self.target.fingerprint(layer)} for layer in layers}
        return tables | ({"images": {"dissector": self.dissector.fingerprint}} if images else {})

    def _compute(self, positions):
        """For :meth:`mammi.cache.Cache.rows` over the images at ``positions``: loads each and computes all tables."""
        def compute(todo, names):
            layers = [name.removeprefix(LAYER) for name in names if name.startswith(LAYER)]
            embed = "images" in names
            who = [self.target] * bool(layers) + [self.dissector] * embed
            what = " and ".join(model.name for model in who) + " on images"
            for at, batch in self.batches(positions[todo], what, bool(layers) and self.target.needs_masks):
                rows = {}
                if layers:
                    readings = self.target.read(batch, layers)
                    rows = {LAYER + layer: readings[layer].pooled.float().cpu().numpy() for layer in layers}
                    for row in rows.values():
                        checked(row)  # what is not finite must not enter the cache
                if embed:
                    name = f"{self.dissector.name}'s image embeddings"
                    rows["images"] = matching.unit(self.dissector.embed_images(batch), name)
                yield todo[at], rows

        return compute

    # --- the target -----------------------------------------------------------------------------------------------

    def read(self, layers):
        """{layer: (P, N) float32 raw activations}, one pass for all layers that are not cached yet."""
        layers = list(dict.fromkeys(layers))
        everything = np.arange(len(self.images))
        rows = self.cache.rows(self._tables(layers, False), self.images.keys, self._compute(everything))
        return {layer: rows[LAYER + layer] for layer in layers}

    @cached_property
    def activations(self):
        """(P, N) of the target's chosen layer after its ``activation``: float32 logits, or float64 probabilities.

        Memory-mapped where large; rules of selection compute in float64, some neurons at a time.
        """
        raw = self.read([self.target.layer])[self.target.layer]
        if self.target.activation == "logit":
            return raw
        out = self.cache.empty(raw.shape, np.float64)
        for some in blocks(len(raw), 8 * raw.shape[1]):
            out[some] = self.target.activate(raw[some])
        return out

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
        return select(self.selection, self.activations, self.cache.empty(self.activations.shape, bool))

    @cached_property
    def positions(self):
        """(U,) positions of the images that represent any neuron: the only ones the dissector must see."""
        positions = np.flatnonzero(self.selected.any(1))
        if not len(positions):
            raise BadInput(f"no image represents any neuron of {self.target.layer}: over {len(self.images)} images "
                           "their activations are constant, or selection chooses nothing. Check the target's weights "
                           "and the pixel range of its transform")
        return positions

    # --- the dissector --------------------------------------------------------------------------------------------

    def image_embeddings(self, positions=None):
        """(len(positions), D) float32, unit norm; all images without ``positions``."""
        positions = np.arange(len(self.images)) if positions is None else np.asarray(positions)
        keys = np.asarray(self.images.keys)[positions]
        return self.cache.rows(self._tables([], True), keys, self._compute(positions))["images"]

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

    def similarity(self, texts, positions=None):
        """How well each text fits each image at ``positions`` (all without), (P, len(texts)), to be indexed ``[images,
        texts]``: cosines are computed there and then, scores of a dissector without embeddings lie in the cache."""
        if self.dissector.embeds:
            return Products(self.image_embeddings(positions), self.text_embeddings(texts))
        return self._scores(np.arange(len(self.images)) if positions is None else positions, texts)

    @cached_property
    def _means(self):
        return matching.mean_rows(self._rows, self.positions, self.selected)

    @cached_property
    def _rows(self):
        return self.image_embeddings(self.positions)

    def _scores(self, positions, texts):
        positions = np.asarray(positions)
        inputs = {"dissector": self.dissector.fingerprint, "texts": digest(list(texts))}

        def compute(todo, _):
            for at, batch in self.batches(positions[todo], f"{self.dissector.name} scores"):
                yield todo[at], {"scores": self.dissector.score(batch, texts)}

        keys = np.asarray(self.images.keys)[positions]
        return self.cache.rows({"scores": inputs}, keys, compute)["scores"]

    # --- batch loops ----------------------------------------------------------------------------------------------

    def batches(self, positions, what, masks=False):
        """Stream (slice of ``positions``, :class:`mammi.types.Batch`) with a progress bar; meanwhile the next loads."""
        slices = [slice(start, start + self.batch_size) for start in range(0, len(positions), self.batch_size)]
        loaded = ahead(lambda at: self.images.load(positions[at], masks=masks), slices)
        with closing(loaded):
            yield from zip(track(slices, what, unit=self.batch_size, total=len(positions)), loaded)

    def _texts(self, table, inputs, texts, embed):
        texts = list(texts)

        def compute(todo, _):
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
        at, texts = np.searchsorted(self._positions, images), self._texts[columns].T
        return np.concatenate([self._rows[at[some]] @ texts for some in blocks(len(at), self._rows[:1].nbytes)])


class _Scored:
    cosine = False

    def __init__(self, scores, positions, selected):
        self.mean = matching.mean_rows(scores, positions, selected)
        self._scores, self._positions = scores, positions

    def parts(self, images, columns):
        return self._scores[np.ix_(np.searchsorted(self._positions, images), columns)]
