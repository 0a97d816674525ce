"""A dissector of one's own: a frozen sentence encoder, a linear projection of its vectors, and an image tower.

"Locked text" as in LiT (Zhai et al., CVPR 2022), with the text instead of the image side locked. What is trained
(``task=fit_dissector``) is small, so words that no training text contains still land near words like them.
"""
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import normalize

from mammi.dissector.base import Dissector
from mammi.errors import BadInput, MissingAsset
from mammi.files import digest, replacing

SHIPPED = Path(__file__).parents[1] / "phantom" / "weights"
TEXT_SCALE = 8.0                   # sentence vectors less their mean are about .1 per coordinate: into a layer's range


class LockedText(Dissector):
    """Image embedding = normalise(mean of the projected feature map); text embedding = normalise(W (e - mu) 8 + b).

    name          what rows and logs call it
    weights       what ``task=fit_dissector`` wrote: a name in ``mammi/phantom/weights``, or a path with a folder in
                  it; None: random projections, to be fitted
    tower         module of :mod:`mammi.dissector.towers`
    text_encoder  object with ``embed(texts) -> (n, E)`` and ``fingerprint``
    dim           D
    seed          draws the initial projections

    Raises :class:`MissingAsset` for an absent weights file; :class:`BadInput` for one with missing or unexpected
    tensors, or fitted with another text encoder or tower.
    """

    def __init__(self, tower, text_encoder, weights=None, name="locked_text", dim=128, seed=0, device="cpu",
                 batch_size=64):
        self.name, self.text_encoder, self.device = name, text_encoder, torch.device(device)
        self.batch_size, self.card = batch_size, {}
        state = {} if weights is None else self._read(_locate(weights), tower)
        width = state["text_projection.weight"].shape[1] if state else text_encoder.embed(["width"]).shape[1]
        self.module = TwoTowers(tower, width, dim, seed)
        if state:
            self.module.fill(state, f"dissector.weights={weights}")
        self.withheld = tuple(self.card.get("withheld", ()))
        if not state:
            self.notes = (f"{name} is untrained: its words mean nothing",)
        elif self.card.get("train", {}).get("synthetic"):
            self.notes = (f"{name} was fitted on synthetic images alone: its words for real ones mean nothing",)
        self.module.to(self.device).eval()

    @property
    def tensors(self):
        return self.module.filled

    @property
    def known(self):
        return self.card.get("golden")

    @property
    def fingerprint(self):
        tower = self.module.tower
        state = {k: digest(v.detach().cpu().numpy()) for k, v in self.module.trained().items()}
        return digest("LockedText 1", state, tower.fingerprint, repr(tower.transform), self.text_encoder.fingerprint)

    @torch.no_grad()
    def embed_images(self, batch):
        return normalize(self._tokens(batch).mean((1, 2)), dim=1).cpu().numpy()

    @torch.no_grad()
    def patches(self, batch):
        """(B, h, w, D) float32; their mean over h and w is the image embedding.

        So the cosine of an image and a text is the mean of its patches' products with the text.
        """
        return _of_unit_mean(self._tokens(batch)).cpu().numpy()

    def embed_texts(self, texts):
        return self.project_texts(self.text_encoder.embed(list(texts)))

    @torch.no_grad()
    def project_texts(self, vectors):
        vectors = torch.from_numpy(vectors).to(self.device)
        return normalize(self.module.project_text(vectors), dim=1).cpu().numpy()

    def prepare(self, batch):
        """(B, C, H, W) on the device, from a batch's raw images."""
        return torch.stack([self.module.tower.transform(image) for image in batch.images]).to(self.device)

    def inputs(self, batch):
        return self.prepare(batch)

    def encode(self, x):
        return normalize(self.module.project_map(self.module.tower(x)).mean((1, 2)), dim=1)

    def encode_patches(self, x):
        return _of_unit_mean(self.module.project_map(self.module.tower(x)))

    def field(self, size):
        return 0, 0, *size  # the transform stretches the whole image

    def _tokens(self, batch):
        x = self.prepare(batch)
        return torch.cat([self.module.project_map(self.module.tower(block)) for block in x.split(self.batch_size)])

    def save(self, path, card):
        """Write the trained tensors in 16 bits, with ``card`` (JSON-able) inside; see :meth:`TwoTowers.round`."""
        state = {key: value.detach().cpu().half().contiguous() for key, value in self.module.trained().items()}
        about = {"text_encoder": self.text_encoder.fingerprint, "tower": self.module.tower.fingerprint,
                 "card": json.dumps(card)}
        with replacing(path) as part:
            save_file(state, part, about)

    def _read(self, path, tower):
        """{name: tensor} of a file that was fitted with these encoders; keeps its card."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                state = {key: file.get_tensor(key) for key in file.keys()}
        except SafetensorError as error:
            raise BadInput(f"dissector.weights: {path} is no safetensors file ({error})") from None
        if "text_projection.weight" not in state:
            raise BadInput(f"dissector.weights: {path} has no text_projection.weight; it is no locked-text dissector")
        for part, now in (("text_encoder", self.text_encoder.fingerprint), ("tower", tower.fingerprint)):
            if about.get(part) != now:
                raise BadInput(f"dissector.weights: {path} was fitted with another {part} (fingerprint "
                               f"{about.get(part)}, here {now}); use the same dissector.{part} or fit anew")
        self.card = json.loads(about.get("card", "{}"))
        return state


class TwoTowers(nn.Module):
    """The trained part: the image tower and both projections.

    width  of the sentence vectors
    """

    def __init__(self, tower, width, dim, seed):
        super().__init__()
        self.tower = tower
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.image_projection = nn.Linear(tower.channels, dim)
            self.text_projection = nn.Linear(width, dim)
        self.register_buffer("text_mean", torch.zeros(width))
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.filled = None

    def project_text(self, vectors):
        """(n, E) sentence vectors -> (n, D), not normalised."""
        return self.text_projection((vectors - self.text_mean) * TEXT_SCALE)

    def project_map(self, features):
        """(B, channels, h, w) -> patch tokens (B, h, w, D)."""
        return self.image_projection(features.permute(0, 2, 3, 1))

    def trained(self):
        """{name: tensor} of all that is not frozen."""
        return {key: value for key, value in self.state_dict().items()
                if not (self.tower.frozen and key.startswith("tower.")) and not key.endswith("num_batches_tracked")}

    def round(self):
        """Round what is trained to 16 bits, the precision of the file, so that what is measured is what is kept."""
        for value in self.trained().values():
            value.copy_(value.half())

    def fill(self, state, what="weights"):
        """Copy ``state`` in; its names and shapes must be those of :meth:`trained`."""
        wanted = self.trained()
        problems = {"missing": wanted.keys() - state.keys(), "unexpected": state.keys() - wanted.keys(),
                    "of another shape": {k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape},
                    "with NaN or infinity": {k for k, value in state.items() if not value.isfinite().all()}}
        problems = [f"{len(keys)} {kind} ({', '.join(sorted(keys)[:3])})" for kind, keys in problems.items() if keys]
        if problems:
            raise BadInput(f"{what} does not fit this dissector: {'; '.join(problems)}")
        for key, value in state.items():
            wanted[key].copy_(value)
        self.filled = len(state)


def _of_unit_mean(tokens):
    """(B, h, w, D) scaled so that their mean over h and w has norm 1."""
    return tokens / tokens.mean((1, 2), keepdim=True).norm(dim=3, keepdim=True).clamp(min=1e-12)


def _locate(weights):
    path = Path(weights).expanduser()
    if path.name == str(weights):
        path = SHIPPED / path
    if not path.is_file():
        shipped = ", ".join(sorted(p.name for p in SHIPPED.glob("phantom_*.safetensors"))) or "none"
        raise MissingAsset(f"dissector.weights: there is no {path}. Shipped: {shipped} (by dissector.seed). To fit "
                           "your own: python run.py task=fit_dissector dissector.weights=null; then give the path of "
                           "the weights.safetensors that it writes")
    return path
