"""The 763 concepts of Mammo-CLIP Dissect, out of the authors' files (CC BY-NC 4.0), which do not come with mammi."""
from pathlib import Path

from mammi.concept_set.word_file import WordFile
from mammi.errors import MissingAsset

WORDS, CATEGORIES = "Specific_concepts_sorted.txt", "Extended_Breast_text_categories.xlsx"
STEPS = {"Breast_anatomy_or_structure": "locate", "Breast_locations": "locate",
         "Findings and characterizations": "characterise", "Interpretations": "interpret",
         "Action or follow up": "act", "Environmental_and_Natural": "control"}


class Mammo763(WordFile):
    """763 concepts in 26 categories and 6 broad ones; the workbook repeats some in two categories: the first counts and
    ``dropped`` names them (the authors' scripts take the last, without a word).

    folder  the authors' repository, or any folder with the two files in it, at whatever depth

    Raises :class:`MissingAsset` that names what is not there.
    """

    def __init__(self, folder, name="mammo763"):
        paths = [_find(folder, file) for file in (WORDS, CATEGORIES)]
        if None in paths:
            state = "is not set" if folder is None else f"is {folder}, without " + " and ".join(
                file for file, path in zip((WORDS, CATEGORIES), paths) if path is None)
            raise MissingAsset(f"concept_set=mammo763: paths.mammo763 {state}. It must be a folder with {WORDS} and "
                               f"{CATEGORIES} of github.com/Suaiba/Mammo-CLIP-Dissect (CC BY-NC 4.0). Next: git clone "
                               "it, then paths.mammo763=FOLDER; concept_set=mammography_terms is a list of our own")
        super().__init__(paths[0], name, "authors' list of Mammo-CLIP Dissect, CC BY-NC 4.0", paths[1], STEPS, "first")


def _find(folder, file):
    if folder is None or not Path(folder).expanduser().is_dir():
        return None
    return next(iter(sorted(Path(folder).expanduser().rglob(file))), None)
