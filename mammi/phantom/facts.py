"""What an image is going to show, decided before it is drawn.

The report generator reads these facts; it needs no pixels.
"""
from dataclasses import dataclass

import numpy as np

from mammi.phantom.names import DEVICES, FINDINGS

DEVICE_RATES = (.05, .06, .08, .06)
LUNG_ZONES = ("upper", "mid", "lower")


@dataclass(frozen=True)
class Finding:
    """Where one finding is.

    side  of the patient: ``right``, ``left``, ``bilateral`` or ``midline``. The patient's right is image left
    zone  ``upper``, ``mid``, ``lower`` (Infiltration, Mass, Nodule, Pneumonia, Consolidation, Fibrosis);
          ``lower`` (Atelectasis); ``basal`` (Effusion); ``apical`` (Pneumothorax); ``apical`` or ``lateral``
          (Pleural thickening); ``perihilar`` (Edema); ``diffuse`` (Emphysema); ``cardiac`` (Cardiomegaly);
          ``retrocardiac`` (Hernia)
    many  True where several are seen (Nodule, Atelectasis); False otherwise
    """

    side: str
    zone: str
    many: bool = False

    @property
    def sides(self):
        """Signs of the x axis that the finding is drawn on: -1 the patient's right, 1 the left."""
        return {"right": (-1,), "left": (1,), "bilateral": (-1, 1), "midline": ()}[self.side]


@dataclass(frozen=True)
class Facts:
    """All that one image shows: ``findings`` {name of FINDINGS: Finding}, ``devices`` names of DEVICES."""

    findings: dict[str, Finding]
    devices: tuple[str, ...] = ()


def plan(row, rng):
    """:class:`Facts` of one image: ``row`` (14,) bool, ``rng`` its NumPy generator.

    Every finding draws the same numbers whether or not it is present, so adding one leaves the others as they are.
    """
    draws = rng.random((len(FINDINGS), 4)).tolist()
    devices = tuple(name for name, at, rate in zip(DEVICES, rng.random(len(DEVICES)), DEVICE_RATES) if at < rate)
    return Facts({name: _place(name, *draw) for name, draw, present in zip(FINDINGS, draws, row) if present}, devices)


def _place(name, a, b, c, d):
    """:class:`Finding` from four uniform numbers: side, both sides or not, zone, several or not."""
    one = "right" if a < .5 else "left"

    def side(both=0.0):
        return "bilateral" if b < both else one

    def zone(upper=1 / 3, mid=1 / 3):
        return LUNG_ZONES[int(np.searchsorted([upper, upper + mid], c, side="right"))]

    match name:
        case "Atelectasis":
            return Finding(one, "lower", many=d < .5)
        case "Cardiomegaly":
            return Finding("midline", "cardiac")
        case "Effusion":
            return Finding(side(both=.3), "basal")
        case "Infiltration":
            return Finding(side(both=.35), zone(.25, .3))
        case "Mass":
            return Finding(one, zone())
        case "Nodule":
            return Finding(side(both=.5) if d < .5 else one, zone(), many=d < .5)
        case "Pneumonia":
            return Finding(side(both=.1), zone(.15, .25))
        case "Pneumothorax":
            return Finding(one, "apical")
        case "Consolidation":
            return Finding(side(both=.1), zone(.3, .3))
        case "Edema":
            return Finding("bilateral", "perihilar")
        case "Emphysema":
            return Finding("bilateral", "diffuse")
        case "Fibrosis":
            return Finding("bilateral", zone(.2, 0))
        case "Pleural thickening":
            return Finding(side(both=.3), "apical" if c < .5 else "lateral")
        case "Hernia":
            return Finding("midline", "retrocardiac")
