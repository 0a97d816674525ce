"""The paper's own concept set: 1,361 nouns of MIMIC-CXR reports, from the authors' repository."""
import hashlib
import logging
from dataclasses import replace
from pathlib import Path

from mammi.concept_set.base import ConceptSet, clean, word_list
from mammi.download import download as fetch
from mammi.errors import BadInput, MissingAsset
from mammi.text_files import lines, read_text
from mammi.types import Concepts

log = logging.getLogger(__name__)
URL = ("https://raw.githubusercontent.com/ailab-kyunghee/MAMMI/658151209c3127f01cb3cc6e0787ce924f4680a5/"
       "dataset/concept_set/nouns.txt")
SHA256 = "f35b1f19b0ae5b813ef2be880371be8c25febebef0267914d241d80b0214d69e"  # of the words, joined by "\n": the file
PLACES = ("concepts/mimic_nouns.txt", "mimic_nouns.txt", "nouns.txt")
SOURCE = "nouns of MIMIC-CXR reports (github.com/ailab-kyunghee/MAMMI, MIT)"
LARGEST = 1_000_000  # bytes; the list has 12,041
WAYS = ("Next: set paths.data (or MAMMI_DATA) to a folder with concepts/mimic_nouns.txt; or concept_set.path=FILE; or "
        "concept_set.download=true with a network; or profile=phantom, which goes on with a stand-in named as such")


class MimicNouns(ConceptSet):
    """The list is looked for in this order: ``path``, below ``data``, an earlier download, a download.

    data       folder of your files (``paths.data``), or None; looks for ``PLACES`` below it, as below ``downloads``
    path       a file of yours; a list that is not the authors' is taken too, and its name says so
    download   fetch the list from the authors' repository
    downloads  folder that keeps it; the cache's when not given. Where it is given, a list that is nowhere is told when
               the set is made, together with whatever else a run lacks
    stand_in   concept set that takes its place where it cannot be had, with ``stand_ins=True``; the name of the
               result is then ``<stand-in> (stand-in for mimic_nouns)``
    sha256     of the words joined by line feeds, hexadecimal; so the last line may end in one or not. A download must
               be exactly that
    """

    name = "mimic_nouns"

    def __init__(self, data=None, path=None, download=False, downloads=None, stand_in=None, stand_ins=False, url=URL,
                 sha256=SHA256):
        self.data = Path(data).expanduser() if data else None
        self.path = path
        self.download, self.downloads = download, Path(downloads) if downloads else None
        self.url, self.sha256 = url, sha256
        self.stand_in = stand_in if stand_ins else None
        if self.downloads and not path:
            self._found(self.downloads)

    def load(self, cache):
        if self.path:
            words, dropped = word_list(self.path)
            if self._hash(words) == self.sha256:
                return Concepts(self.name, words, (), SOURCE, dropped)
            log.warning("%s is not the authors' list (sha256 of its %d words differs): taken as it is", self.path,
                        len(words))
            return Concepts(f"mimic_nouns (own list {Path(self.path).name})", words, (), f"file {self.path}", dropped)
        downloads = self.downloads or cache.root / "downloads"
        path = self._found(downloads)
        if path is None and self.download:
            path = self._fetch(downloads / PLACES[0])
        if path is None:
            concepts = self.stand_in.load(cache)
            name = f"{concepts.name} (stand-in for {self.name})"
            log.warning("the MIMIC nouns are not here: going on with %s", name)
            return replace(concepts, name=name)
        words, dropped = clean(lines(read_text(path)), path)
        if self._hash(words) != self.sha256:
            raise BadInput(f"{path} is not the authors' list of MIMIC nouns: {len(words):,} words with sha256 "
                           f"{self._hash(words)[:12]}..., expected {self.sha256[:12]}... Next: delete it and get the "
                           f"list again, or take it as it is with concept_set.path={path}")
        return Concepts(self.name, words, (), SOURCE, dropped)

    def _found(self, downloads):
        """The file, or None where a download or a stand-in may take its place; else :class:`MissingAsset`."""
        if self.data and not self.data.is_dir():  # a slip, not a reason for a stand-in
            raise MissingAsset(f"paths.data={self.data} is no folder. {WAYS}")
        for folder in filter(None, (self.data, downloads)):
            for place in PLACES:
                if (path := folder / place).is_file():
                    return path
        if self.download or self.stand_in is not None:
            return None
        looked = f"looked for {', '.join(PLACES)} below {self.data}" if self.data else "paths.data is not set"
        raise MissingAsset(f"the MIMIC nouns are not here ({looked}). {WAYS}")

    def _fetch(self, path):
        try:
            fetch(self.url, path, self.sha256, largest=LARGEST)
        except (MissingAsset, BadInput) as error:
            reason = str(error).partition(" Next: ")[0].rstrip(".")
            raise type(error)(f"the download of the MIMIC nouns failed: {reason}. {WAYS}") from error
        log.info("downloaded the MIMIC nouns to %s", path)
        return path

    @staticmethod
    def _hash(words):
        return hashlib.sha256("\n".join(words).encode()).hexdigest()
