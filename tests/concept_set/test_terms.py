"""The two word lists written for mammi: whole, in categories, with an everyday control, and with the class names."""
from collections import Counter
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

ROOT = Path(__file__).parents[2]
LISTS = {"skin_terms": "real_mini_skin", "mammography_terms": "real_mini_mammo"}  # and the experiment that uses it


def config(*overrides):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def loaded(name):
    return instantiate(config(f"concept_set={name}").concept_set).load(None)


@pytest.mark.parametrize("name", LISTS)
def test_words_are_distinct_and_clean(name):
    concepts = loaded(name)
    assert concepts.name == name and not concepts.dropped and concepts.source == "written for mammi"
    assert 250 <= len(concepts) <= 360
    assert len({word.lower() for word in concepts.words}) == len(concepts)
    assert all(word == word.strip() and word.replace("'", "").isascii() for word in concepts.words)


@pytest.mark.parametrize("name", LISTS)
def test_categories_are_lower_case_and_not_empty(name):
    counts = Counter(loaded(name).categories)
    assert all(category == category.lower() for category in counts) and min(counts.values()) >= 4
    assert 90 <= counts["control"] <= 110 and len(counts) >= 8


def test_both_lists_have_the_same_control():
    controls = [{word for word, kind in zip(concepts.words, concepts.categories) if kind == "control"}
                for concepts in map(loaded, LISTS)]
    assert controls[0] == controls[1]


@pytest.mark.parametrize("name, experiment", LISTS.items())
def test_a_perfect_answer_is_in_the_list(name, experiment):
    cfg = config(f"experiment={experiment}")
    assert cfg.concept_set.name == name
    words = {word.lower() for word in loaded(name).words}
    assert {label.lower() for label in cfg.target.classes} <= words  # so the ceiling of the hit rate is 1


@pytest.mark.parametrize("experiment", LISTS.values())
def test_the_parts_of_an_experiment_agree(experiment):
    cfg = config(f"experiment={experiment}")
    assert list(cfg.target.classes) == list(cfg.task.twin.classes) == list(cfg.probing_set.label_names)
    for part in (cfg.task.train, cfg.task.val):
        assert (part.name, part.split_shares, part.split_seed) == (
            cfg.probing_set.name, cfg.probing_set.split_shares, cfg.probing_set.split_seed)
        assert list(part.label_names) == list(cfg.target.classes)
    assert cfg.task.train.split == "train" and "train" not in cfg.probing_set.split
    said = cfg.task.train.label_sentences
    assert set(said.phrases) == set(cfg.target.classes) and said.openi == 0
    unsaid = [name for name in said.phrases if any(stem in name for stem in said.withhold)]
    assert len(unsaid) == 2
