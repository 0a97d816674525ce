"""The 14 findings. Each function draws one on ``chest.image`` and returns its opacity (H, W), whose mask is > 0.25.

``chest`` is a :class:`~mammi.phantom.anatomy.Chest`, ``rng`` the finding's own generator, ``where`` its
:class:`~mammi.phantom.facts.Finding`. Contrasts reach down to what is barely seen, so that no finding is solved.
"""
import numpy as np

from mammi.phantom.anatomy import TURN
from mammi.phantom.shapes import around, between, bump, soft

ZONE_HEIGHT = {"upper": -.38, "mid": .0, "lower": .3}


def spot(rng, where, scatter=.05):
    """(distance from the midline, height) of a focus in the zone of ``where``."""
    return between(rng, .28, .52), np.minimum(ZONE_HEIGHT[where.zone] + around(rng, 0, scatter), np.float32(.4))


def half(chest, sign):
    """(H, W) bool: the patient's right (-1) or left (1) half."""
    return chest.side == sign


def atelectasis(chest, rng, where):
    """Thin bands above a diaphragm that may be raised (by the anatomy)."""
    sign = where.sides[0]
    opacity = np.zeros_like(chest.x)
    for _ in range(2 if where.many else 1):
        slope, x, length = between(rng, -.3, .3), between(rng, .3, .5), between(rng, .12, .24)
        drop = chest.y - between(rng, .12, .36) - slope * (chest.u - x)
        opacity += np.exp(-(drop / .024) ** 2) * soft((length - np.abs(chest.u - x)) / .02)
    opacity = opacity.clip(max=1.2) * half(chest, sign) * chest.inside
    chest.image += between(rng, .08, .34) * opacity
    return opacity


def cardiomegaly(chest, rng, where):
    """The heart is large already; its opacity is the whole heart."""
    return chest.heart


def emphysema(chest, rng, where):
    """The lungs are large already; their opacity is both lungs."""
    return chest.lung


def patch(chest, rng, where, blobs, radii, sharp, rough):
    """Ill-defined opacity: ``blobs`` overlapping ellipses per side, their edge made rough by noise."""
    opacity = np.zeros_like(chest.x)
    for sign in where.sides:
        for _ in range(blobs):
            x, y = spot(rng, where)
            d = np.sqrt(((chest.u - x) / between(rng, *radii)) ** 2 + ((chest.y - y) / between(rng, *radii)) ** 2)
            shape = soft((1 - d + rough * (.25 * chest.low + .12 * chest.mid)) * sharp) * half(chest, sign)
            opacity = np.maximum(opacity, shape)
    return opacity * chest.inside * soft((chest.floor + .01 - chest.y) / chest.edge)


def infiltration(chest, rng, where):
    """Faint, mottled."""
    opacity = patch(chest, rng, where, 2, (.12, .2), 3.5, .6)
    texture = 1 + .45 * chest.mid + .3 * chest.fine
    chest.image += between(rng, .09, .17) * opacity * texture.clip(.1, 2)
    return opacity


def pneumonia(chest, rng, where):
    """Denser, with air-filled branches showing through."""
    opacity = patch(chest, rng, where, 1, (.15, .24), 3.5, .6)
    texture = (1 + .10 * chest.mid) * (1 - .75 * (2.2 * chest.vessels).clip(0, 1))
    chest.image += between(rng, .17, .28) * opacity * texture
    return opacity


def consolidation(chest, rng, where):
    """Dense, homogeneous, cut off straight at a fissure above."""
    opacity = patch(chest, rng, where, 1, (.15, .24), 9, .3)
    x, y = between(rng, .28, .52), ZONE_HEIGHT[where.zone] - between(rng, .03, .12)
    opacity *= soft((chest.y - y - .12 * (chest.u - x)) / (1.2 * chest.edge))
    chest.image += between(rng, .16, .36) * opacity
    return opacity


def disc(chest, rng, where, sign, radius, sharp):
    """A round focus on the side ``sign``; several lie further apart."""
    x, y = spot(rng, where, .13 if where.many else .05)
    d = np.sqrt((chest.u - x) ** 2 + (chest.y - y) ** 2) / radius
    return soft((1 - d + .06 * chest.low) * sharp) * half(chest, sign) * chest.cage


def mass(chest, rng, where):
    opacity = disc(chest, rng, where, where.sides[0], between(rng, .10, .17), 10)
    chest.image += between(rng, .12, .32) * opacity
    return opacity


def nodule(chest, rng, where):
    count = int(rng.integers(2, 4)) if where.many else 1
    opacity = np.zeros_like(chest.x)
    for k in range(count):
        sign = where.sides[k % len(where.sides)]
        opacity = np.maximum(opacity, disc(chest, rng, where, sign, between(rng, .045, .07), 5))
    chest.image += between(rng, .24, .42) * opacity
    return opacity


def edema(chest, rng, where):
    """Haze around the hila, thick vessels, short lines at the base."""
    strength = between(rng, .05, .9)
    r2 = ((chest.u - .24) / .25) ** 2 + ((chest.y - .02) / .34) ** 2
    opacity = np.exp(-r2 * between(rng, .6, 1.1)) * chest.lung
    lines = np.cos(TURN / .045 * chest.y).clip(0) ** 2 * soft((chest.u - chest.width + .14) / .02) * soft(
        (chest.y - .15) / .05) * chest.lung
    haze = .24 * opacity * (1 + .25 * chest.mid)
    chest.image += strength * (haze + .10 * lines + .12 * chest.vessels * chest.lung)
    return opacity


def fibrosis(chest, rng, where):
    """A net of fine lines."""
    step = between(rng, .07, .09)
    a = np.cos(TURN * ((chest.x + chest.y) / step + .35 * chest.mid))
    b = np.cos(TURN * ((chest.x - chest.y) / step + .35 * chest.low))
    net = np.maximum(a, b).clip(.55) - .55
    down = chest.y - between(rng, 0, .12) if where.zone == "lower" else -.15 - between(rng, 0, .12) - chest.y
    opacity = soft(down / .07) * chest.lung * (.55 + .45 * soft((chest.u - .35) / .05))
    chest.image += between(rng, .08, .60) * net * opacity
    return opacity


def pleural_thickening(chest, rng, where):
    """A bright seam inside the ribs, at the apex or along the side; its inner border is uneven."""
    thick = between(rng, .08, .14) * (1 + .25 * chest.low)
    seam = soft((chest.u - chest.width + thick) / chest.edge) * chest.cage
    if where.zone == "apical":
        extent = soft((-.30 - chest.y) / .05)
    else:
        extent = soft((chest.y + .3) / .05) * soft((.38 - chest.y) / .06)
    opacity = seam * extent * sum(half(chest, sign) for sign in where.sides)
    chest.image += between(rng, .28, .5) * opacity
    return opacity


def hernia(chest, rng, where):
    """Air over fluid behind the heart."""
    radius, x, y = between(rng, .11, .17), between(rng, 0, .14), between(rng, .28, .40)
    d = np.sqrt((chest.x - x) ** 2 + (chest.y - y) ** 2) / radius
    opacity = soft((1 - d) * 12)
    fluid = soft((chest.y - y - .02) / .012)
    chest.image += between(rng, .4, 1.6) * (opacity * (.08 * fluid - .26 * (1 - fluid)) + .12 * bump((d - .95) / .09))
    return opacity


def pneumothorax(chest, rng, where):
    """A rim of black, structureless air outside a thin line."""
    sign = where.sides[0]
    depth = between(rng, .05, .26, 1.5) * (.55 + .9 * soft((-.05 - chest.y) / .2))
    gap = chest.u - chest.width + depth
    opacity = soft(gap / chest.edge) * half(chest, sign) * chest.lung
    line = np.exp(-(gap / .014) ** 2) * half(chest, sign) * chest.lung
    air = chest.soft_tissue - chest.aeration - .03 + .06 * chest.ribs
    chest.image += between(rng, .5, 1) * opacity * (air - chest.image) + between(rng, .02, .2) * line
    return opacity


def effusion(chest, rng, where):
    """Fluid that rises towards the side wall."""
    opacity = np.zeros_like(chest.x)
    for sign in where.sides:
        level = between(rng, .26, .66) - 1.2 * (chest.u - .3).clip(0) ** 2
        fluid = soft((chest.y - level) / (1.5 * chest.edge)) * half(chest, sign)
        opacity = np.maximum(opacity, fluid)
    opacity = opacity * chest.inside * soft((.8 - chest.y) / .05)
    filled = np.maximum(chest.image, chest.soft_tissue + .10)
    chest.image += between(rng, .10, .72) * opacity * (filled - chest.image)
    return opacity * soft((chest.floor + .12 - chest.y) / chest.edge)


# in drawing order: air and fluid cover what lies in the lung
DRAW = {"Cardiomegaly": cardiomegaly, "Emphysema": emphysema, "Atelectasis": atelectasis,
        "Infiltration": infiltration, "Pneumonia": pneumonia, "Consolidation": consolidation, "Mass": mass,
        "Nodule": nodule, "Edema": edema, "Fibrosis": fibrosis, "Pleural thickening": pleural_thickening,
        "Hernia": hernia, "Pneumothorax": pneumothorax, "Effusion": effusion}
