"""Texts cut into sentences, captions and plain words."""
import re

MARK = re.compile(r"x{3,}|_{2,}", re.IGNORECASE)  # what de-identification leaves
# Of the word list for web captions that FALCON drops, the members that are known here: it has more.
STOP_WORDS = frozenset("left right small new view full old close open".split())


def sentences(text):
    """Sentences of a text: a full stop, question or exclamation mark before a blank, or a line's end, ends one."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|[\r\n]+", text) if part.strip()]


def captions(reports):
    """Distinct sentences of ``reports`` in first-seen order: FALCON's captions, one a line of its file.

    Runs of blanks become one and a list's numbers fall away. Left out: what has no word of three letters, and sentences
    with a mark of de-identification (XXXX, ___), which lack a word.
    """
    found = {}
    for report in reports:
        for sentence in sentences(report.text):
            sentence = re.sub(r"^\d{1,2}[.)]\s*(?=\D)", "", " ".join(sentence.split()))
            if re.search(r"[^\W\d_]{3}", sentence) and not MARK.search(sentence):
                found.setdefault(sentence)
    return tuple(found)


def plain(text, stop_words=STOP_WORDS):
    """``text`` as FALCON and MAMMI clean a line (protocol A.9): lower-case words of ASCII letters and digits.

    Apostrophes vanish, other signs become a blank, and so do "fig" with a number and single characters between blanks:
    in one pass, so that of a run of them every other one stays. Then the ``stop_words`` go.
    """
    text = text.lower().replace("'", "").replace("’", "")
    text = re.sub(r"[^a-z0-9]+", " ", text)
    text = re.sub(r"\bfig\d+\b", " ", text)
    text = re.sub(r"\s+[a-z0-9]\s+", " ", text)
    return " ".join(word for word in text.split() if word not in stop_words)
