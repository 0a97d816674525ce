"""What every target model offers, and the one place where hooks are set."""
from abc import ABC, abstractmethod
from contextlib import contextmanager, nullcontext

import torch

from mammi.errors import BadInput, near
from mammi.files import digest
from mammi.target import alarms
from mammi.target.penultimate import Tap
from mammi.target.read_out import REDUCERS, layout, maps_of, read_out
from mammi.types import LinearHead, Reading, Readout


class Target(ABC):
    """The model whose neurons are annotated.

    name         what rows and logs call it
    layer        the layer to annotate: ``final``, ``penultimate`` or a module's name
    activation   ``logit`` (raw) or ``prob`` (sigmoid; the final layer only)
    needs_masks  True where ``read`` looks at ``batch.masks`` (oracle units)
    head         :class:`LinearHead` where the final layer is linear on a pooled layer, else None
    trained_on   what the weights have seen: names ``dataset/split`` and content keys of single images, as far as
                 known; probing images among them are warned about
    notes        strings for the run's summary
    """

    name: str
    layer: str = "final"
    activation: str = "logit"
    needs_masks: bool = False
    head: LinearHead | None = None
    trained_on: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @abstractmethod
    def neurons(self, layer) -> tuple[str, ...]:
        """Names of the N neurons of ``layer``: class names of ``final``, else ``layer[i]``."""

    @abstractmethod
    def read(self, batch, layers, maps=False) -> dict[str, Reading]:
        """Raw activations of several layers in one pass; spatial maps on request. No gradient."""

    @abstractmethod
    def fingerprint(self, layer) -> str:
        """All that a row of ``layer`` depends on, but the image: weights, transform, layer, reduction."""

    def field(self, size):
        """(left, top, right, bottom) in pixels of an image of ``size`` (width, height): where its maps lie.

        What the network sees of the image, the whole of it unless it is cropped; fractions of a pixel are possible.
        """
        return 0, 0, *size

    def truths(self, layer):
        """N lists of the words that name a neuron rightly, or None where that is not known."""
        return [[n.lower()] for n in self.neurons(layer)] if layer == "final" else None

    def activate(self, pooled):
        """What neurons are ranked by: ``pooled`` (NumPy, any scale) as it is, or its sigmoid in [0, 1]."""
        if self.activation == "logit":
            return pooled
        return 1 / (1 + torch.exp(-torch.as_tensor(pooled).double())).numpy()

    def unit(self, layer, index):
        """The :class:`Readout` of one neuron."""
        return Readout(layer, index, self.neurons(layer)[index])


def check_read_out(layer, activation):
    """Raise :class:`BadInput` unless ``activation`` is known and fits ``layer``."""
    if activation not in ("logit", "prob"):
        raise BadInput(f"target.activation={activation}: expected logit (raw output) or prob (sigmoid)")
    if activation == "prob" and layer != "final":
        raise BadInput(f"target.activation=prob needs target.layer=final, got {layer}: "
                       "only the final layer's outputs are logits")


class TorchTarget(Target):
    """A torch module with named layers.

    module        network; (B, C, H, W) -> (B, classes) logits
    transform     PIL image -> (C, H, W) float tensor; its repr is part of the fingerprint. Where it says by ``range``
                  what 8-bit images can become, prepared images are held against it; where it crops them, its
                  ``field`` says what is left
    taps          {"final": Tap, "penultimate": Tap}; every other module is reached by its own name
    classes       names of the final layer's outputs
    head          name of the linear module behind ``penultimate`` (global average pooling between), or None
    reducer       4-D maps (B, N, h, w) -> mean or max over space; 3-D tokens (B, T, N) -> mean or max over patches, or
                  token 0 (``cls``); 2-D as it is; ``none`` flattens
    prefix        number of tokens that are no patches (class, register tokens); None: unknown, then all tokens count
    architecture  what else the module computes by than its class and weights (a name, an image size), or None

    ``read`` raises :class:`BadInput` where a layer's output is the same for eight or more different images, or where
    pixels are not in the range of the network's training (see :mod:`mammi.target.alarms`).
    """

    def __init__(self, module, transform, taps, classes, head=None, *, name, layer="final", activation="logit",
                 reducer="mean", device="cpu", prefix=None, architecture=None):
        if reducer not in REDUCERS:
            raise BadInput(f"target.reducer={reducer}: {near(str(reducer), REDUCERS)}")
        self.name, self.layer, self.activation, self.reducer = name, layer, activation, reducer
        self.module, self.transform, self.taps = module.to(device).eval(), transform, dict(taps)
        self.classes, self.device = tuple(classes), torch.device(device)
        self.span = getattr(transform, "range", None)
        self.prefix, self.architecture = prefix, architecture
        self._modules = dict(module.named_modules())
        self._widths, self._watched = {}, False
        linear = self._modules[head] if head else None
        self.head = LinearHead(linear.weight, linear.bias, "penultimate") if linear is not None else None
        self.tap(layer)
        check_read_out(layer, activation)

    def tap(self, layer):
        """Where ``layer`` is read."""
        if layer in self.taps:
            return self.taps[layer]
        if layer in self._modules and layer:
            return Tap(layer)
        raise BadInput(f"target.layer={layer}: {self.name} has no such layer. "
                       + near(str(layer), [*self.taps, *filter(None, self._modules)]))

    def neurons(self, layer):
        if layer == "final":
            return self.classes
        return tuple(f"{layer}[{i}]" for i in range(self._width(layer)))

    def _width(self, layer):
        if layer not in self._widths:
            from PIL import Image

            x = self.transform(Image.new("L", (256, 256)))[None].to(self.device)
            with torch.no_grad():
                self._widths[layer] = self.forward(x, [layer])[layer].pooled.shape[1]
        return self._widths[layer]

    def fingerprint(self, layer):
        state = {k: digest(v.detach().cpu().numpy()) for k, v in self.module.state_dict().items()}
        tap = self.tap(layer)
        more = {"input": tap.input or None, "prefix": self.prefix, "architecture": self.architecture}
        more = {key: value for key, value in more.items() if value is not None}
        return digest("TorchTarget 2", type(self.module).__qualname__, state, repr(self.transform),
                      [tap.module, tap.relu], self.reducer, *[more] * bool(more))

    def field(self, size):
        return getattr(self.transform, "field", super().field)(size)

    def prepare(self, batch):
        """(B, C, H, W) on the device, from a batch's raw images."""
        x = torch.stack([self.transform(image) for image in batch.images]).to(self.device)
        alarms.check_pixels(x, self.span, self.name)
        return x

    @torch.no_grad()
    def read(self, batch, layers, maps=False):
        x = self.prepare(batch)
        watch = not self._watched and alarms.differ(x)  # once is enough: the range does not change
        with alarms.watched(self.module, x, self.span, self.name) if watch else nullcontext():
            readings = self.forward(x, layers, maps)
        self._watched |= watch
        for layer, reading in readings.items():
            alarms.check_alive(reading.pooled, x, layer, self.name)
        return readings

    def forward(self, x, layers, maps=False):
        """As :meth:`read` for prepared ``x``, and differentiable: what explainers use."""
        wanted = list(layers)
        cam = maps and "final" in wanted and self.head is not None
        if cam and self.head.layer not in wanted:
            wanted.append(self.head.layer)
        outputs = {}
        with self._hooks(wanted, outputs):
            self.module(x)
        silent = [layer for layer in wanted if layer not in outputs]
        if silent:
            raise BadInput(f"target.layer={silent[0]}: the module never ran in {self.name}'s forward pass; "
                           "choose one that does (task=layers lists them)")
        readings = {layer: self._reading(layer, outputs[layer], len(x), maps) for layer in wanted}
        if cam and readings[self.head.layer].maps is not None:
            weight, bias, below = self.head
            cams = torch.einsum("ck,bkhw->bchw", weight, readings[below].maps)
            if bias is not None:
                cams = cams + bias[:, None, None]
            readings["final"] = readings["final"]._replace(maps=cams)
        return {layer: readings[layer] for layer in layers}

    def gradients(self, x, readouts, layer):
        """(A, d f / d A), both (B, N, h, w) or, where ``layer`` has no maps, (B, N): what it says of each image, and
        how the image's read-out f changes with it. B ``readouts`` of layers that ``layer`` leads to, one an image.

        Raises :class:`BadInput` where a read-out does not hang on the layer.
        """
        tap, kept = self.tap(layer), []

        # What is kept is what the network goes on with: a copy, since a later module may work in place. The network's
        # own ReLU behind a ``relu`` tap would let no gradient through where the map is 0, but does for any above.
        def keep(_module, args, output=None):
            value = args[0] if tap.input else output.relu() if tap.relu else output
            kept.append(value)
            onward = value + torch.finfo(value.dtype).tiny if tap.relu else value.clone()
            return (onward, *args[1:]) if tap.input else onward

        module = self._modules[tap.module]
        handle = module.register_forward_pre_hook(keep) if tap.input else module.register_forward_hook(keep)
        try:
            with torch.enable_grad():
                readings = self.forward(x.detach().requires_grad_(), dict.fromkeys(r.layer for r in readouts))
                values = sum(readings[r.layer].pooled[i, r.index] for i, r in enumerate(readouts))
                gradient, = torch.autograd.grad(values, kept[-1], allow_unused=True)
        finally:
            handle.remove()
        if gradient is None:
            raise BadInput(f"the read-out {readouts[0].name} of {self.name} does not hang on its layer {layer}: choose "
                           "one that comes before it (task=layers lists them in order)")
        value, form = kept[-1].detach(), layout(kept[-1].shape, self.prefix)
        if form and (maps := maps_of(value, form)) is not None:
            return maps, maps_of(gradient, form)
        return value.flatten(1), gradient.flatten(1)

    @contextmanager
    def _hooks(self, layers, outputs):
        handles = []
        try:
            for layer in layers:
                tap = self.tap(layer)

                # A later module may work in place (DenseNet's ReLUs do): keep the value, not the storage.
                def keep(_module, args, output=None, layer=layer, tap=tap):
                    value = args[0].flatten(1) if tap.input else output
                    outputs[layer] = value.relu() if tap.relu else value.clone() if torch.is_tensor(value) else value

                module = self._modules[tap.module]
                handles.append(module.register_forward_pre_hook(keep) if tap.input
                               else module.register_forward_hook(keep))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _reading(self, layer, output, images, maps):
        try:
            reading = read_out(output, self.reducer, self.prefix, images)
        except BadInput as error:
            raise BadInput(f"target.layer={layer} of {self.name}: {error}") from error
        return reading if maps else Reading(reading.pooled)

