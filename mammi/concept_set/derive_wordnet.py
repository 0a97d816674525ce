"""Write the list of WordNet nouns that ships with mammi.

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wn
    python -m mammi.concept_set.derive_wordnet wn/usr/share/wordnet/data.noun mammi/concept_set/wordnet_nouns.txt.gz
"""
import gzip
import sys
from pathlib import Path

from mammi.concept_set.base import clean
from mammi.files import replacing
from mammi.text_files import decode, lines


def nouns(text):
    """First lemma of every synset of a ``data.noun`` file, in its order, "_" as a blank; repeats included.

    A line is ``offset file type count lemma ...`` (man page wndb); lines of the licence start with a blank.
    """
    return [line.split(" ", 5)[4].replace("_", " ") for line in lines(text) if line and line[0] != " "]


def main(source, out):
    synsets = nouns(decode(Path(source).read_bytes(), source))
    words, dropped = clean(synsets, source)
    with replacing(out) as part:
        # no file name, no time: the same words give the same bytes
        part.write_bytes(gzip.compress("\n".join(words).encode() + b"\n", 9, mtime=0))
    print(f"{out}: {len(words):,} words of {len(synsets):,} noun synsets; dropped {dropped}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m mammi.concept_set.derive_wordnet DATA_NOUN OUT.txt.gz")
    main(*sys.argv[1:])
