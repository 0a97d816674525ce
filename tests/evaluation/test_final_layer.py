"""Four neurons, six images, five words; every string has its own vector, and everything can be counted by hand."""
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammi.cache import Cache
from mammi.errors import MissingAsset
from mammi.evaluation import final_layer
from mammi.evaluation.final_layer import NOT_INDEPENDENT, FinalLayer
from mammi.evaluation.metrics import hits, wilson
from mammi.synonyms import load_synonyms
from mammi.types import Annotations, Concepts
from tests.tiny import evidence, vector

NAMES = ("Effusion", "Mass", "Nodule", "Pleural_Thickening")
TRUTHS = [["Effusion"], ["Mass"], ["Nodule"], ["Pleural thickening"]]
WORDS = ("Effusion", "masses", "tumor", "lung", "heart")
SAID = [["effusion", "lung"], ["Masses"], ["tumor"], []]
SELECTED = np.array([[1, 0, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
LABELS = np.array([[1, 0, np.nan, 1], [0, 0, 1, 0], [np.nan, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]],
                  np.float32)


class Encoder:
    """Every string its own vector; counts nothing, knows nothing."""

    def __init__(self, fingerprint="encoder-1", missing=None):
        self.name, self.fingerprint, self.missing, self.seen = "own vectors", fingerprint, missing, []

    def embed(self, texts):
        if self.missing:
            raise MissingAsset(self.missing)
        self.seen += texts
        return np.stack([vector(text) for text in texts])


def annotations(**other):
    about = dict(neurons=NAMES, concepts=SAID, scores=[[.5, .4], [.3], [.2], []], status=["ok", "ok", "ok", "empty"],
                 selected=SELECTED, vocabulary=WORDS)
    return Annotations(**{**about, **other})


def world(truths=TRUTHS, withheld=(), labels=LABELS, label_names=("effusion", "mass", "nodule", "hernia"), **dissector):
    layer = "final" if truths else "penultimate"
    return SimpleNamespace(
        target=SimpleNamespace(layer=layer, truths=lambda asked: truths if asked == layer else 1 / 0),
        concepts=Concepts("five", WORDS), images=SimpleNamespace(labels=labels, label_names=label_names),
        dissector=SimpleNamespace(name="fake", withheld=withheld, **dissector),
        embed_with=lambda encoder, texts: encoder.embed(texts))


@pytest.fixture(autouse=True)
def synonyms(monkeypatch):
    monkeypatch.setattr(final_layer, "load_synonyms", lambda: {"Nodule": frozenset({"tumors"})})


def test_words_are_matched_exactly_by_lemma_and_by_synonym():
    facts, neurons = FinalLayer(bootstrap=50)(annotations(), world())
    assert neurons["hit"].tolist() == [1, 0, 0, 0]
    assert neurons["hit_lemma"].tolist() == [1, 1, 0, 0]
    assert neurons["hit_synonym"].tolist() == [1, 1, 1, 0]
    assert [facts[f"hit{level}"] for level in ("", "_lemma", "_synonym")] == [.25, .5, .75]
    assert (facts["hit_low"], facts["hit_high"]) == wilson(1, 4)
    assert facts["hit_se"] == pytest.approx((.25 * .75 / 4) ** .5)
    assert (facts["precision"], facts["recall"], facts["f1"]) == pytest.approx((.125, .25, (2 / 3) / 4))
    assert facts["f1_lemma"] == pytest.approx((2 / 3 + 1) / 4)
    assert facts["f1_low"] <= facts["f1"] <= facts["f1_high"]
    assert neurons["f1"].tolist() == pytest.approx([2 / 3, 0, 0, 0])


def test_accepted_words_are_named_one_by_one():
    said = [["lung", "effusions"], ["heart"], ["tumor", "lung", "nodules"], []]
    scores = [[1.0] * len(words) for words in said]
    _, neurons = FinalLayer(bootstrap=50)(annotations(concepts=said, scores=scores), world())
    assert neurons["accepted"].tolist() == ["effusions", "", "tumor; nodules", ""]


def test_an_or_unit_is_pure_where_either_label_is_present():
    either = world(truths=[["Effusion", "Mass"], ["Mass"], ["Nodule"], ["Pleural thickening"]])
    _, neurons = FinalLayer(bootstrap=50)(annotations(), either)
    assert neurons["purity"][0] == 3 / 4  # images 0 and 3 by effusion, 2 by mass; its effusion is unknown


def test_ceilings_are_what_the_words_allow():
    facts, _ = FinalLayer(bootstrap=50)(annotations(), world())
    assert (facts["labels_in_set"], facts["hit_ceiling"], facts["hit_over_ceiling"]) == (1, .25, 1)
    assert (facts["labels_in_set_lemma"], facts["hit_lemma_ceiling"], facts["hit_lemma_over_ceiling"]) == (2, .5, 1)
    assert (facts["labels_in_set_synonym"], facts["hit_synonym_ceiling"]) == (3, .75)
    facts, _ = FinalLayer(bootstrap=50)(annotations(vocabulary=("heart",)), world())
    assert (facts["hit_ceiling"], facts["hit_over_ceiling"]) == (0, None)


def test_two_forms_of_a_word_are_one_answer_by_lemma_and_two_exactly():
    said = [["effusion", "effusions"], ["mass"], ["nodule"], ["pleural thickening"]]
    facts, neurons = FinalLayer(bootstrap=50)(annotations(concepts=said, scores=[[1, 1], [1], [1], [1]]), world())
    assert neurons["precision"].tolist() == [.5, 1, 1, 1]
    assert facts["f1_lemma"] == 1 > facts["f1"]


def test_withheld_names_are_reported_apart():
    facts, _ = FinalLayer(bootstrap=50)(annotations(), world(withheld=("mass", "Nodules")))
    assert (facts["n_seen"], facts["n_withheld"]) == (2, 2)
    assert (facts["hit_seen"], facts["hit_withheld"]) == (.5, 0)
    assert (facts["hit_lemma_seen"], facts["hit_lemma_withheld"]) == (.5, .5)
    assert (facts["hit_synonym_withheld_low"], facts["hit_synonym_withheld_high"]) == wilson(2, 2)
    facts, _ = FinalLayer(bootstrap=50)(annotations(), world())
    assert facts["n_withheld"] == 0 and "hit_withheld" not in facts


def test_cosine_is_the_mean_over_pairs_of_lower_case_words_and_none_for_nothing():
    encoder = Encoder()
    facts, neurons = FinalLayer({"own": encoder}, bootstrap=50)(annotations(), world())
    pairs = [[("effusion", "effusion"), ("lung", "effusion")], [("masses", "mass")], [("tumor", "nodule")],
             [("none", "pleural thickening")]]
    want = [np.mean([min(1, float(vector(a) @ vector(b))) for a, b in some]) for some in pairs]
    assert neurons["cos_own"].tolist() == pytest.approx(want, abs=1e-6)
    assert facts["cos_own"] == pytest.approx(np.mean(want), abs=1e-6)
    assert facts["cos_own_se"] == pytest.approx(np.std(want) / 2, abs=1e-6)
    assert "cos_own_note" not in facts and len(encoder.seen) == len(set(encoder.seen))


def test_a_missing_encoder_is_named_and_the_others_go_on():
    encoders = {"gone": Encoder(missing="no such folder; run make"), "own": Encoder()}
    facts, neurons = FinalLayer(encoders, bootstrap=50)(annotations(), world())
    assert facts["cos_gone"] is None and facts["cos_gone_note"] == "no such folder; run make"
    assert neurons["cos_gone"].isna().all() and isinstance(facts["cos_own"], float)


def test_the_dissectors_own_text_tower_is_no_independent_judge():
    facts, _ = FinalLayer({"own": Encoder("a"), "other": Encoder("b")}, bootstrap=50)(
        annotations(), world(text_encoder=Encoder("a")))
    assert facts["cos_own_note"] == NOT_INDEPENDENT and "cos_other_note" not in facts


def test_purity_is_the_share_of_selected_images_with_the_neurons_label():
    facts, neurons = FinalLayer(bootstrap=50)(annotations(), world())
    # Effusion: images 0-3 carry 1, 0, unknown, 1. Mass: image 2. Nodule: image 0 is unknown. The fourth has no label.
    assert neurons["purity"].tolist() == pytest.approx([2 / 3, 1, np.nan, np.nan], nan_ok=True)
    assert facts["purity"] == pytest.approx(5 / 6)
    dead = annotations(status=["dead", "ok", "ok", "empty"], concepts=[[], *SAID[1:]], scores=[[], [.3], [.2], []])
    assert FinalLayer(bootstrap=50)(dead, world())[0]["purity"] == 1
    named = world(label_names=("effusion", "mass", "nodule", "pleural thickening"))
    assert FinalLayer(bootstrap=50)(annotations(), named)[1]["purity"][3] == 1
    assert FinalLayer(bootstrap=50)(annotations(), world(labels=None))[1]["purity"].isna().all()


def test_images_and_words_are_counted():
    dead = annotations(status=["ok", "ok", "dead", "empty"], concepts=[SAID[0], ["lung"], [], []],
                       scores=[[.5, .4], [.3], [], []], why=[{"margin": .25, "runner_up": "heart"}, {"margin": .5},
                                                             {"margin": None}, {}])
    facts, neurons = FinalLayer(bootstrap=50)(dead, world())
    assert (facts["n_neurons"], facts["n_dead"], facts["n_empty"], facts["n_named"]) == (4, 1, 1, 4)
    assert (facts["unique_all"], facts["unique_top1"], facts["concepts_per_neuron"]) == (2, 2, 1)
    assert (facts["images_selected_median"], facts["images_selected_min"], facts["images_selected_max"]) == (1, 1, 4)
    assert facts["share_under_5_images"] == 1 and facts["margin"] == .375
    assert neurons["images_selected"].tolist() == [4, 1, 1, 1]
    assert neurons["concepts"].tolist() == ["effusion; lung", "lung", "", ""]
    assert neurons["top_concept"].tolist() == ["effusion", "lung", "", ""]
    assert neurons["runner_up"].tolist() == ["heart", "", "", ""], "what is not there is no text, not the word nan"
    assert neurons["margin"][1] == .5
    assert neurons["neuron"].tolist() == [0, 1, 2, 3] and neurons["name"].tolist() == list(NAMES)


def test_neurons_without_a_name_are_only_described():
    facts, neurons = FinalLayer({"own": Encoder()}, bootstrap=50)(annotations(selected=None), world(truths=None))
    assert facts["n_named"] == 0 and facts["unique_all"] == 4
    assert not [key for key in facts if key.startswith(("hit", "f1", "cos"))] and "hit" not in neurons
    assert facts["images_selected_median"] is None and neurons["images_selected"].isna().all()


def test_only_named_neurons_are_judged():
    facts, neurons = FinalLayer({"own": Encoder()}, bootstrap=50)(
        annotations(), world(truths=[["effusion"], [], ["nodule"], []]))
    assert (facts["n_named"], facts["hit"]) == (2, .5)
    for name in ("hit", "f1", "cos_own"):
        assert neurons[name].isna().tolist() == [False, True, False, True]
    assert not (neurons["hit"][1] == 1), "an unknown hit can be compared with 1, as the summary does"


def test_metrics_are_json_and_repeat_themselves():
    first, second = (FinalLayer({"own": Encoder()}, seed=3, bootstrap=50)(annotations(), world()) for _ in "ab")
    assert json.loads(json.dumps(first[0], allow_nan=False)) == second[0]
    pd.testing.assert_frame_equal(first[1], second[1])
    other = FinalLayer({"own": Encoder()}, seed=4, bootstrap=50)(annotations(), world())[0]
    assert other["f1"] == first[0]["f1"] and other["cos_own_low"] != first[0]["cos_own_low"]


def test_swapping_right_names_changes_the_score():
    swapped = world(truths=[TRUTHS[1], TRUTHS[0], *TRUTHS[2:]])
    assert FinalLayer(bootstrap=50)(annotations(), swapped)[0]["hit_lemma"] == 0
    assert not hits(SAID, [*TRUTHS[1::-1], *TRUTHS[2:]]).any()


def test_without_synonyms_the_table_is_not_read(monkeypatch):
    monkeypatch.setattr(final_layer, "load_synonyms", lambda: 1 / 0)
    facts, neurons = FinalLayer(synonyms=False, bootstrap=50)(annotations(), world())
    assert "hit_synonym" not in facts and "hit_synonym" not in neurons


def test_on_real_evidence_with_the_committed_synonyms(tmp_path, monkeypatch):
    monkeypatch.setattr(final_layer, "load_synonyms", load_synonyms)
    encoder = Encoder()
    seen = evidence(Cache(tmp_path), words=("infiltrates", "masses", "hydrothorax", "heart"))
    said = Annotations(seen.neurons, [["hydrothorax"], ["heart"], []], [[.2], [.1], []], ["ok", "ok", "dead"],
                       selected=seen.selected)
    facts, neurons = FinalLayer({"own": encoder}, bootstrap=50)(said, seen)
    assert (facts["hit_lemma"], facts["hit_synonym"]) == (0, pytest.approx(1 / 3))
    assert (facts["labels_in_set_lemma"], facts["labels_in_set_synonym"]) == (1, 2)
    assert facts["purity"] == pytest.approx(np.nanmean(neurons["purity"][:2]))
    FinalLayer({"own": encoder}, bootstrap=50)(said, seen)
    assert len(encoder.seen) == len(set(encoder.seen)), "words are embedded once, then read from the cache"
