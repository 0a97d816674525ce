"""NEMt, Neural Explanation Masks with target labels: one pass through network and decoder says where a unit looks."""
import torch

from mammi.errors import BadInput
from mammi.explainer.base import Explainer
from mammi.explainer.decoder_file import located, read
from mammi.explainer.features import FeatureTap
from mammi.explainer.objective import Rules


class Nemt(Explainer):
    """E = 1 - m of a decoder that was fitted to delete, m of one that was fitted to preserve; (B, H, W) in [0, 1].

    weights  what ``task=fit_explainer`` wrote: a name in ``mammi/phantom/weights``, or a path with a folder in it. It
             holds its own card: the target and layer it was fitted on, and the units it has a channel for
    seed     draws the kernel of mode paper
    notes    what the card says of units without a channel, or with empty masks

    Two modes of fitting and explaining; the card says which it was.
    fixed  a channel a unit, its own unit's answer in the loss; at inference a box smooths, the rim is repeated
    paper  as the authors' code, with what is wrong in it:
           - the loss indexes ``p[:, labels]``, a B x B matrix, so that an image is held to all labels of its batch
           - with two classes the squared change is the same for both: the loss does not know which was asked
           - one mask channel and no class at the input: the read-out cannot be chosen, every one gets the same map
           - the smoothing kernel is noise at inference, too (drawn here from ``seed``, there anew at each call), and
             the mask is wrapped around: what lies at the left rim leaks to the right
           - U on a layer with maps takes cosines over their width
           - the rate of learning does not fall: the schedule is built and never used
           Left out: arguments that are swapped in the constructor (without effect), and the errors of the authors'
           evaluation (explained classes, splits, timing, 8-bit maps), which no explainer here shares.

    Raises :class:`MissingAsset` for an absent file, :class:`BadInput` for one that does not fit its card, the subject,
    the layer or a read-out.
    """

    name, single_pass = "nemt", True

    def __init__(self, weights, seed=0):
        self.path = located(weights)
        self.decoder, self.card = read(self.path)
        self.seed, self._module, self._features = seed, None, None
        self.rules, self.notes = Rules(**self.card["rules"]), tuple(self.card.get("notes", ()))
        self._channels = {unit: i * (self.card["decoder"]["channels"] > 1)
                          for i, unit in enumerate(self.card["units"])}

    def check(self, subject, readouts):
        super().check(subject, readouts)
        self._tap(subject)
        for readout in readouts:
            if readout.layer != self.card["layer"] or readout.index not in self._channels:
                names = self.card["unit_names"]
                listed = f"{', '.join(names[:20])}{f' ... ({len(names)} in all)' if len(names) > 20 else ''}"
                raise BadInput(f"explainer.weights: {self.path.name} has no channel for "
                               f"{readout.name or readout.index} of layer {readout.layer}. Of layer "
                               f"{self.card['layer']} it has: {listed}. {_fit(readout.layer)}")

    @torch.no_grad()
    def __call__(self, subject, x, readouts):
        self.check(subject, readouts)
        tap = self._tap(subject)
        if x.shape[1] != tap.channels[0]:
            raise BadInput(f"explainer.weights: {self.path.name} is for images of {tap.channels[0]} channels, got "
                           f"{tuple(x.shape)}")
        decoder = self.decoder.to(x.device)
        channel = torch.tensor([self._channels[readout.index] for readout in readouts], device=x.device)
        _, features = tap.read(subject, x, [self.card["layer"]])
        kernel = self.rules.kernel_of_explanations(self.seed, x.device)
        m = self.rules.smoothed(decoder(features, channel), kernel)
        return 1 - m if self.rules.deletes else m

    def _tap(self, subject):
        """The subject's :class:`FeatureTap`, once it is sure that the decoder was fitted on it."""
        if self._module is None or getattr(subject, "module", None) is not self._module:
            layer = self.card["layer"]
            if fingerprint_of(subject, layer) != self.card["fingerprint"]:
                raise BadInput(f"explainer.weights: {self.path.name} was fitted on layer {layer} of "
                               f"{self.card['target']} with other weights, images or read-out than {subject.name} has "
                               f"here. {_fit(layer)}")
            self._module = subject.module
            prefix = getattr(subject, "prefix", None)
            self._features = FeatureTap(subject.module, **self.card["features"], prefix=prefix)
        return self._features


def fingerprint_of(subject, layer):
    """What a decoder of ``layer`` depends on; :class:`BadInput` where the subject has no network, or cannot say."""
    if not callable(getattr(subject, "fingerprint", None)) or not hasattr(subject, "module"):
        raise BadInput(f"explainer=nemt: {subject.name} has no torch network with a fingerprint, so no decoder can be "
                       "fitted on it and found again. explainer=rise needs neither")
    return subject.fingerprint(layer)


def _fit(layer):
    return (f"Next: python run.py task=fit_explainer target=... target.layer={layer}, then explainer.weights=the "
            "weights.safetensors it writes")
