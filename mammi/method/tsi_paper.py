"""TSI as the MAMMI paper puts it into Table 4: dissected on two sets, the better label of the two."""
import numpy as np

from mammi.types import Annotations


class TsiPaper:
    """Of each neuron the entry with the larger IoU, its label or, where it has none, a_u; ties go to ``nih``.

    covid, nih  :class:`mammi.method.tsi.Tsi` with ``images`` of their own

    The two IoUs are of different images, thresholds and areas of concepts, so large organs are favoured. The official
    evaluation pairs neuron i with entry i of two stored lists which the code that writes them sorts by IoU; here
    neuron i is neuron i. It also takes each NIH box for an image of its own, on which the other boxes are background;
    here an image has all its boxes.
    """

    asks_dissector = False

    def __init__(self, covid, nih):
        self.covid, self.nih = covid, nih

    def __call__(self, evidence):
        found = [self.nih(evidence), self.covid(evidence)]
        best = [max(found, key=lambda one: _value(one, unit)) for unit in range(len(found[0].neurons))]  # first wins
        names = tuple(dict.fromkeys(name for one in found for name in one.vocabulary))
        dense = np.zeros((len(best), len(names)), np.float32)
        for one in found:
            columns = [names.index(name) for name in one.vocabulary]
            dense[:, columns] = np.maximum(dense[:, columns], one.dense)
        return Annotations(
            neurons=found[0].neurons, vocabulary=names, dense=dense,
            concepts=[one.concepts[unit] for unit, one in enumerate(best)],
            scores=[one.scores[unit] for unit, one in enumerate(best)],
            status=[one.status[unit] for unit, one in enumerate(best)],
            why=[one.why[unit] | {"dissected_on": "nih" if one is found[0] else "covid"}
                 for unit, one in enumerate(best)],
            notes=tuple(dict.fromkeys(note for one in found for note in one.notes)))


def _value(annotations, unit):
    return annotations.scores[unit][0] if annotations.scores[unit] else annotations.why[unit]["none_iou"]
