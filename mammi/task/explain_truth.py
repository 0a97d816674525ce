"""Where a read-out should be seen: masks or boxes of its concept, in the frame that the network sees."""
import numpy as np

from mammi.image_text import spoken
from mammi.method.concept_masks import drawn
from mammi.method.dissection import nearest, resample
from mammi.synonyms import load_synonyms


class Truth:
    """Masks and boxes of a set, found by the words that name them.

    images  a probing set
    more    {word: [names]}: which masks or boxes are its truth, beside the committed synonyms
    """

    UNKNOWN, EMPTY, OUTSIDE, NONE = ("not outlined", "none drawn here", "outside of what the network sees",
                                     "no masks or boxes")

    def __init__(self, images, more=None):
        self.images = images
        self._same = [{spoken(word) for word in (name, *words)} for name, words in load_synonyms().items()]
        self._more = {spoken(word): {spoken(name) for name in names} for word, names in (more or {}).items()}

    def names(self, word):
        """All names, lower case, whose masks are the truth of ``word``."""
        word = spoken(word)
        return {word, *self._more.get(word, ())}.union(*(same for same in self._same if word in same))

    def outlined(self, positions):
        """Those of ``positions`` on which somebody drew what there is."""
        known = self.images.outlined
        return [int(i) for i in positions if known is None or known[i]]

    def drawn_on(self, positions, block=64):
        """{position: names, lower case, of what is drawn there}; loads the images."""
        out = {}
        for start in range(0, len(positions), block):
            some = positions[start:start + block]
            masks = self.of(self.load(some)) or [{}] * len(some)
            out |= {int(i): {name for name, mask in own.items() if mask.any()} for i, own in zip(some, masks)}
        return out

    def load(self, positions):
        """The images at ``positions`` with what is drawn on them."""
        return self.images.load(list(positions), masks=bool(self.images.mask_names))

    def of(self, batch):
        """B dicts {name in lower case, as spoken: (H, W) bool} of the images' own sizes, or None for a set without."""
        if batch.masks is None and batch.boxes is None:
            return None
        return [{spoken(name): mask for name, mask in own.items()} for own in drawn(batch)]

    def mask(self, row, masks, size, field, frame):
        """((H, W) bool or None, why not) of one row.

        masks  the image's dict of :meth:`of`, or None
        size   (width, height) of the image, ``field`` what of it the network sees, ``frame`` (H, W) of that
        """
        if masks is None:
            return None, self.NONE
        if field is None:
            return None, "nobody says where the network's pixels lie"
        if not self.outlined([row.image]):
            return None, self.UNKNOWN
        mine = [mask for name, mask in masks.items() if name in self.names(row.concept)]
        if not any(mask.any() for mask in mine):
            return None, self.EMPTY
        left, top, right, bottom = field
        rows, columns = nearest(top, bottom, size[1], frame[0]), nearest(left, right, size[0], frame[1])
        seen = resample(np.any(mine, 0).astype(np.float32), rows, columns) > .5
        return (seen, "") if seen.any() else (None, self.OUTSIDE)
