"""Words with categories: every format gives the same set; what is there twice or nowhere is told."""
import json

import pytest
import yaml
from openpyxl import Workbook

from mammi.concept_set.categories import TWICE
from mammi.concept_set.mammo763 import CATEGORIES, WORDS, Mammo763
from mammi.concept_set.text_file import TextFile, packaged
from mammi.errors import BadInput, MissingAsset
from mammi.types import STEPS

NESTED = {"breast": {"finding": ["mass", "cyst"], "action": ["biopsy"]}, "nature": {"animal": ["dog"]}}
STEP = {"finding": "characterise", "action": "act", "nature": "control"}
TABLE = "concept,category,broad_category,step\nmass,finding,breast,\ncyst,finding,breast,\nbiopsy,action,breast,\n" \
        "dog,animal,nature,\n"


def book(path, sheets):
    """{sheet: {column: words}} as a workbook."""
    made = Workbook()
    made.remove(made.active)
    for title, columns in sheets.items():
        sheet = made.create_sheet(title)
        for x, (category, words) in enumerate(columns.items(), 1):
            for y, word in enumerate([category, *words], 1):
                sheet.cell(y, x, word)
    made.save(path)
    return path


def files(folder):
    (folder / "words.csv").write_text(TABLE)
    (folder / "words.json").write_text(json.dumps(NESTED))
    (folder / "words.yaml").write_text(yaml.safe_dump(NESTED, sort_keys=False))
    (folder / "list.yml").write_text(yaml.safe_dump([
        {"concept": word, "category": category, "broad_category": broad}
        for broad, groups in NESTED.items() for category, words in groups.items() for word in words]))
    # blanks before a sheet's name, behind a word, in a column's name: as in the authors' file
    book(folder / "words.xlsx", {" breast": {"finding ": ["mass ", "cyst"], "action": ["biopsy"]},
                                 "nature": {"animal": ["dog"]}})
    return [folder / name for name in ("words.csv", "words.json", "words.yaml", "list.yml", "words.xlsx")]


def test_all_formats_give_the_same_concepts(tmp_path):
    for path in files(tmp_path):
        found = TextFile(path, steps=STEP).load()
        assert found.words == ("mass", "cyst", "biopsy", "dog"), path
        assert found.categories == ("finding", "finding", "action", "animal")
        assert found.broad_categories == ("breast", "breast", "breast", "nature")
        assert found.steps == ("characterise", "characterise", "act", "control") and found.dropped == {}


def test_a_json_of_categories_alone(tmp_path):
    (tmp_path / "flat.json").write_text(json.dumps({"finding": ["mass"], "animal": ["dog", "dog"]}))
    found = TextFile(tmp_path / "flat.json").load()
    assert found.categories == ("finding", "animal") and found.broad_categories == found.steps == ()
    assert found.dropped == {"duplicate": 1}


def test_a_word_in_two_categories_is_refused_or_named(tmp_path):
    path = book(tmp_path / "twice.xlsx", {"one": {"a": ["membrane", "mass"]}, "two": {"b": ["membrane", "cyst"]}})
    with pytest.raises(BadInput, match="sheet 'two', row 2: concept 'membrane' is in .* 'one / a' and 'two / b'"):
        TextFile(path).load()
    found = TextFile(path, on_duplicate="first").load()
    assert found.words == ("membrane", "mass", "cyst") and found.categories == ("a", "a", "b")
    assert found.dropped == {f"{TWICE}: membrane": 1}


def test_a_list_and_its_categories(tmp_path):
    (tmp_path / "words.txt").write_text("dog\nmass\ndog\n")
    found = TextFile(tmp_path / "words.txt", categories=files(tmp_path)[0]).load()
    assert found.words == ("dog", "mass") and found.categories == ("animal", "finding")
    assert found.dropped == {"duplicate": 1, "in the category file alone: cyst, biopsy": 2}


@pytest.mark.fault
def test_a_category_file_that_misses_concepts(tmp_path):
    (tmp_path / "words.txt").write_text("dog\nhorse\nmass\ncow\n")
    with pytest.raises(BadInput, match=r"2 of 4 words of .* are in no category of .*words.json: horse, cow. Add them"):
        TextFile(tmp_path / "words.txt", categories=files(tmp_path)[1]).load()


@pytest.mark.fault
@pytest.mark.parametrize("name, text, said", [
    ("w.json", '{"a": ["x"], "a": ["y"]}', "category 'a' is there twice"),
    ("w.json", "{", "is no JSON"),
    ("w.json", '{"a": "x"}', "category 'a' holds no list of words"),
    ("w.json", '{"a": {"b": {"c": ["x"]}}}', "category 'b' holds no list of words"),
    ("w.yaml", "a: [", "is no YAML"),
    ("w.yaml", "just words", "expected categories with their words"),
    ("w.csv", "concept,category,step\nx,a,look\n", "line 2: step 'look': There are: locate"),
    ("w.xlsx", "no workbook", "is no .xlsx workbook")])
def test_broken_files(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=said):
        TextFile(tmp_path / name).load()


@pytest.mark.fault
def test_options_that_do_not_fit(tmp_path):
    path = files(tmp_path)[0]
    with pytest.raises(BadInput, match="no category is called 'findin'. Did you mean finding"):
        TextFile(path, steps={"findin": "act"}).load()
    with pytest.raises(BadInput, match="concept_set.steps.finding=look: There are: locate"):
        TextFile(path, steps={"finding": "look"}).load()
    with pytest.raises(BadInput, match="on_duplicate=last"):
        TextFile(path, on_duplicate="last").load()
    with pytest.raises(BadInput, match="says categories itself"):
        TextFile(path, categories=path).load()
    with pytest.raises(BadInput, match="expected a .csv, .json"):
        TextFile(path, categories=tmp_path / "words.txt")
    with pytest.raises(MissingAsset, match="no file"):
        TextFile(tmp_path / "none.xlsx").load()
    unnamed = book(tmp_path / "unnamed.xlsx", {"s": {"": ["x"]}})
    with pytest.raises(BadInput, match="column 1 has words but no name in its first row"):
        TextFile(unnamed).load()


def authors(folder, words, sheets):
    folder.mkdir()
    (folder / WORDS).write_text("\n".join(words))
    book(folder / CATEGORIES, sheets)
    return folder


def test_the_authors_files_by_their_names_and_shapes(tmp_path):
    """A stand-in with every broad category of theirs, a blank before a sheet's name and behind a word, a repeat."""
    sheets = {"Breast_anatomy_or_structure": {"Breast Implants": ["capsule", "membrane"]},
              "Breast_locations": {"Breast Views and Laterality": ["left breast"]},
              " Findings and characterizations": {"Mass": ["questionable mass ", "oval mass"], "Skin": ["oval mass"]},
              "Interpretations": {"Benign Calcifications": ["benign"]}, "Action or follow up": {"Action": ["biopsy"]},
              "Environmental_and_Natural": {"Materials": ["membrane", "wood"]}}
    words = ["benign", "biopsy", "capsule", "left breast", "membrane", "oval mass", "questionable mass", "wood"]
    repository = tmp_path / "repository"
    repository.mkdir()
    authors(repository / "concepts", words, sheets)
    found = Mammo763(repository).load(None)
    assert found.name == "mammo763" and found.words == tuple(words) and "CC BY-NC" in found.source
    assert dict(zip(found.words, found.steps)) == {
        "benign": "interpret", "biopsy": "act", "capsule": "locate", "left breast": "locate", "membrane": "locate",
        "oval mass": "characterise", "questionable mass": "characterise", "wood": "control"}
    assert found.broad_categories[words.index("oval mass")] == "Findings and characterizations"
    assert found.dropped == {f"{TWICE}: oval mass, membrane": 2}
    with pytest.raises(BadInput, match="1 of 9 words .* zebra"):
        Mammo763(authors(tmp_path / "more", [*words, "zebra"], sheets)).load(None)


@pytest.mark.fault
def test_where_the_authors_files_are_not(tmp_path):
    with pytest.raises(MissingAsset, match="paths.mammo763 is not set.*git clone.*mammography_terms"):
        Mammo763(None)
    (tmp_path / WORDS).write_text("mass")
    with pytest.raises(MissingAsset, match=f"without {CATEGORIES}"):
        Mammo763(tmp_path)


@pytest.mark.parametrize("name, low, high", [("mammography_terms", 250, 360), ("chest_terms", 120, 250),
                                             ("skin_terms", 250, 360), ("phantom_terms", 40, 60)])
def test_our_lists_say_all_three(name, low, high):
    found = packaged(f"{name}.csv", name, "").load()
    assert low <= len(found) <= high and not found.dropped and set(found.steps) <= set(STEPS)
    assert len(found.categories) == len(found.broad_categories) == len(found.steps) == len(found)
    assert {broad for broad, step in zip(found.broad_categories, found.steps) if step == "control"} == {
        "environmental and natural"} and .1 < sum(step == "control" for step in found.steps) / len(found) < .7
    if name in ("mammography_terms", "chest_terms"):
        assert set(found.steps) == set(STEPS), "every step of reading has words"
        assert {"breast": "mammography_terms", "lung": "chest_terms"}[
            "breast" if "breast" in found.words else "lung"] == name
