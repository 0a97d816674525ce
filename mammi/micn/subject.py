"""A trained Med-MICN as the subject of an explainer: its classes, rules and concepts are units with maps."""
import torch

from mammi.types import Reading

LAYERS = ("class", "rule", "concept")


class Explained:
    """``module`` is an :class:`~mammi.micn.train.EndToEnd` of ``target`` (see :class:`mammi.target.base.TorchTarget`).

    Layers ``class`` (J logits of the fused prediction), ``rule`` (J truths) and ``concept`` (N logits). The map of a
    unit is the sum of the backbone's maps, each weighted with the derivative of the unit by that feature: a class
    activation map, exactly so where the head is linear.
    """

    def __init__(self, target, module):
        self.name, self.module, self.device = f"Med-MICN on {target.name}", module.eval(), target.device
        self.prepare, self.field = target.prepare, target.field

    def forward(self, x, layers, maps=False):
        below = self.module.read(x, maps)
        output = self.module.head(below.pooled)
        values = {"class": output.scores, "rule": output.reasoning.truth, "concept": output.concept_logits}
        return {layer: Reading(values[layer], self._maps(below, layer) if maps else None) for layer in layers}

    def _maps(self, below, layer):
        if below.maps is None:
            return None

        def units(features):
            output = self.module.head(features[None])
            return {"class": output.scores, "rule": output.reasoning.truth, "concept": output.concept_logits}[layer][0]

        slopes = torch.func.vmap(torch.func.jacrev(units))(below.pooled.detach())
        return torch.einsum("bkd,bdhw->bkhw", slopes, below.maps)
