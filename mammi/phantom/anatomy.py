"""The chest without findings, and the grids on which findings are placed."""
import numpy as np

from mammi.phantom.shapes import around, between, bump, field, grid, soft

TURN = np.float32(2 * np.pi)
HILUM = .17       # distance of the hila from the midline


class Chest:
    """One chest. Coordinates are the body's: x in about [-1, 1] with the patient's left at x > 0, y downwards.

    x, y, u, side   (H, W): position, |x|, sign of x
    edge            width of one soft pixel edge
    width           (H, W) half width of the rib cage at a pixel's height and side
    floor           (H, W) height of the diaphragm
    cage, lung      (H, W) in [0, 1]: inside the ribs; aerated lung
    ribs, vessels   (H, W) >= 0: patterns that findings hide or thicken
    fine, mid, low  (H, W) noise of three scales, texture for findings
    image           (H, W) brightness, about 0 to 1; findings and devices draw on it

    An emphysema, a cardiomegaly and an atelectasis change the anatomy itself; ``findings`` says which there are.
    """

    def __init__(self, size, rng, findings):
        self.size, self.findings = size, findings
        self.edge = np.float32(2.2 / size)
        self._coordinates(rng)
        self._lungs(rng)
        self.fine, self.mid, self.low = (field(rng, knots, size) for knots in (size // 3, size // 8, 7))
        self.habitus = around(rng, 0, 1)
        self._tissue(rng)
        self._bones(rng)
        self._vessels(rng)
        self._mediastinum(rng)
        self._heart(rng)

    def _coordinates(self, rng):
        y, x = grid(self.size)
        angle, scale = around(rng, 0, .035), between(rng, .92, 1.08)
        x, y = x - around(rng, 0, .03), y - around(rng, 0, .03)
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        self.x, self.y = (x * cos + y * sin) * 1.06, (y * cos - x * sin) * .9
        self.u, self.side = np.abs(self.x), np.where(self.x < 0, np.float32(-1), np.float32(1))

    def per_side(self, right, left):
        """(H, W): one number on the patient's right, another on the left."""
        return np.where(self.x < 0, np.float32(right), np.float32(left))

    def _lungs(self, rng):
        y, u = self.y, self.u
        air = between(rng, .12, .95) if "Emphysema" in self.findings else np.float32(0)
        self.air = air
        half = around(rng, .73, .035)
        t = np.abs((y - around(rng, .13, .02)) / around(rng, .9, .03)).clip(max=.9999)
        root = np.sqrt(1 - t * t * np.sqrt(t))
        shape = between(rng, .2, .9)
        self.half = half + .02 * air
        self.width = self.half * (shape * root + (1 - shape) * np.sqrt(root)) * (
            1 - between(rng, .05, .16) * soft((-.2 - y) * 4)) * self.per_side(*(1 + rng.normal(0, .02, 2)))
        self.cage = soft((self.width - u) / self.edge) * (t < .999)
        raised = {sign: 0.0 for sign in (-1, 1)}
        if "Atelectasis" in self.findings:
            raised[self.findings["Atelectasis"].sides[0]] = between(rng, .02, .12)
        flat = air * between(rng, .5, .8)
        base = around(rng, .47, .04) + .09 * air
        dome = np.float32(1.5 * (1 - flat))
        self.floor = (base + self.per_side(-.05 - raised[-1] + rng.normal(0, .015), -raised[1] + rng.normal(0, .015))
                      + dome * (u - around(rng, .36, .03)) ** 2)
        self.inner = around(rng, .115, .012)
        self.inside = self.cage * (u > self.inner)
        self.lung = self.cage * soft((self.floor - y) / self.edge) * soft((u - self.inner) / self.edge)

    def _tissue(self, rng):
        y, u = self.y, self.u
        shoulders = .24 + (.83 + .04 * self.habitus) * soft((y + .86 - .3 * (u - .25)) * 12)
        self.body = soft((shoulders - u) / (2 * self.edge))
        self.soft_tissue = np.float32(.50 + .05 * self.habitus)
        self.aeration = around(rng, .36, .03) + .05 * self.air
        image = self.body * (self.soft_tissue + .03 * field(rng, 4, self.size))
        image -= self.aeration * self.lung * (1 - .12 * (1 - u / self.half).clip(0, 1))
        below = self.cage * soft((y - self.floor) / self.edge)
        image += .06 * below
        if rng.random() < .35:    # gas in the stomach
            bubble = 1 - ((self.x - around(rng, .42, .05)) / .15) ** 2 - ((y - around(rng, .66, .03)) / .07) ** 2
            image -= .16 * soft(bubble * 3) * below
        self.image = image + self.lung * (.012 * self.fine + .010 * self.mid)

    def _bones(self, rng):
        y, u = self.y, self.u
        spacing, phase = around(rng, .155, .008), between(rng, 0, 1)
        slope = between(rng, .06, .16)
        back = (np.cos(TURN * ((y - .48 * (u - .25) ** 2 - slope * u) / spacing + phase)) + .15).clip(0)
        front = np.cos(TURN * ((y - .55 * (.75 - u)) / (spacing * 1.12) + .7 * phase)).clip(0) ** 2
        inside = self.cage * (y < .75)
        self.ribs = back * inside * soft((u - .05) / .03)
        self.image += around(rng, .085, .014) * self.ribs
        self.image += around(rng, .055, .012) * front * inside * soft((u - .25) / .08)
        collar = -.60 - .10 * (u - .1) - .05 * np.sin((u - .1) * 5) + self.per_side(*rng.normal(0, .025, 2))
        extent = soft((u - .07) / .02) * soft((.8 - u) / .03) * self.body
        plate = ((y - collar) / .03) ** 2
        self.image += .13 * np.exp(-plate * plate) * extent
        blade = u - self.width * .93 - .25 * (y + .35) ** 2 + self.per_side(*rng.normal(0, .04, 2))
        self.image += around(rng, .035, .012) * bump(blade / .02) * soft((-.05 - y) / .05) * soft((y + .62) / .04)

    def _vessels(self, rng):
        """Branches that leave each hilum in a fan, bend, and thin out towards the pleura."""
        height = self.per_side(*(around(rng, 0, .03) + np.array([.02, -.02])))
        du, dy = self.u - HILUM, self.y - height
        r = np.sqrt(du * du + dy * dy) + np.float32(1e-4)
        theta = np.arctan2(dy, du)
        wave = np.sin(9 * r + self.per_side(*rng.uniform(0, 6, 2)))
        narrow = 1 / (.011 + .012 * (1 - r).clip(0))
        total = np.zeros_like(r)
        for start in np.linspace(-1.3, 1.35, 9):
            begin = self.per_side(*(start + rng.normal(0, .12, 2)))
            bend, curl = around(rng, 0, .5), around(rng, 0, .10)
            total += bump((theta - begin - bend * (r - .2) - curl * wave) * r * narrow)
        total *= np.exp(-r / between(rng, .26, .38)) * (1 - .85 * np.exp(-(r / .12) ** 2))
        self.vessels = total
        self.image += 1.2 * around(rng, .20, .035) * (1 - .4 * self.air) * total * self.lung
        self.image += between(rng, .05, .12) * np.exp(-((du / .07) ** 2 + (dy / .13) ** 2)) * self.lung

    def _mediastinum(self, rng):
        x, y, u = self.x, self.y, self.u
        aorta = .05 * np.exp(-((y + .25) / .15) ** 2) * (x > 0) * between(rng, .2, 1.1)
        self.midline = soft((.115 + aorta - u) / (1.5 * self.edge))
        self.image += .14 * self.midline * soft((y + .75) * 12) * self.body
        self.image += .05 * soft((.075 - u) / self.edge) * (1 + .5 * np.cos(TURN / .13 * y)) * self.body
        self.image -= .12 * soft((.04 - np.abs(x + .005)) / self.edge) * soft((-.12 - y) * 14) * self.body

    def _heart(self, rng):
        large = "Cardiomegaly" in self.findings
        ratio = between(rng, .48, .61) if large else around(rng, .45, .028) - .04 * self.air
        half = ratio * self.half * 1.04
        x, y = half * .38 + .02, around(rng, .27, .02) - .03 * large
        tall = .27 + .24 * (ratio - .45)
        q = ((self.x - x) / half) ** 2 + ((self.y - y - around(rng, .10, .03) * (self.x - x)) / tall) ** 2
        self.heart = soft((1 - q) * 7)
        shade = .33 * self.heart * soft((self.floor + .13 - self.y) * 20) * self.body
        self.image += shade * (1 - .55 * self.midline)
