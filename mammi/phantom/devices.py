"""Devices: bright hardware that is no finding. Each draws on ``chest.image`` and returns its opacity (H, W)."""
import numpy as np

from mammi.phantom.anatomy import TURN
from mammi.phantom.shapes import around, between, bump, soft


def pacemaker(chest, rng):
    side = 1 if rng.random() < .85 else -1
    x, y = chest.x * side, chest.y
    cx, cy = around(rng, .53, .03), around(rng, -.42, .03)
    box = soft((1 - ((x - cx) / .10) ** 4 - ((y - cy) / .075) ** 4) * 6)
    path = cx - (cx - .05) * soft((y - around(rng, 0, .05)) * 6)
    lead = bump((x - path) / .0085) * soft((y - cy) / .02) * soft((.35 - y) / .02)
    chest.image += .5 * box + .3 * lead
    return np.maximum(box, lead)


def sternotomy(chest, rng):
    wires = bump((chest.u - .035) / .0085) * (np.cos(TURN * (chest.y / around(rng, .13, .01) + rng.random())) > .3)
    wires = wires * soft((chest.y + .4) / .02) * soft((.35 - chest.y) / .02)
    chest.image += .3 * wires
    return wires


def catheter(chest, rng):
    side = -1 if rng.random() < .75 else 1
    path = around(rng, .10, .01) + around(rng, .25, .03) * soft((-.5 - chest.y) * 12)
    line = bump((chest.x * side - path) / .008) * soft((between(rng, -.1, .12) - chest.y) / .02)
    line = line * soft((chest.y + .85) / .02)
    chest.image += .26 * line
    return line


def tube(chest, rng):
    line = bump((chest.u - .018) / .006) * soft((around(rng, -.22, .04) - chest.y) / .02)
    chest.image += .24 * line
    return line


DRAW = {"Pacemaker": pacemaker, "Sternotomy": sternotomy, "Catheter": catheter, "Tube": tube}
