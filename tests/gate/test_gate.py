"""Verdicts: what makes each, what they cost, what the strict gate says, what stands in the rows."""
import json

import numpy as np
import pandas as pd
import pytest

from mammi.errors import BadInput, MissingAsset
from mammi.evaluation.final_layer import FinalLayer
from mammi.gate import verdict as gating
from mammi.gate.gate import Gate, judge
from mammi.gate.sample import Sample, evenly
from mammi.method.mammi import Mammi
from mammi.method.tsi import Tsi
from mammi.report import read, table
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.task.annotate import annotate
from mammi.types import Check, Verdict
from tests.gate.worlds import QUICK, WORDS, Greys, Reader, ask, evidence
from tests.tiny import TinyConcepts, TinyDissector, TinySet, TinyTarget


def state(verdict, name):
    return next(check.state for check in verdict.checks if check.name == name)


def test_golden_and_ranking_make_verified(tmp_path):
    found = ask(tmp_path)
    assert found.name == "verified" and "golden embeddings" in found.says and "AUROC" in found.says
    assert [check.name for check in found.checks] == [
        "keys", "golden embeddings", "image norms", "image spread", "image anisotropy", "text norms", "text spread",
        "text anisotropy", "zero-shot", "retrieval", "hubness", "template", "laterality", "negation"]
    assert np.shape(found.golden["images"]) == (3, 16) and np.shape(found.golden["texts"]) == (2, 16)


def test_without_golden_it_is_plausible_at_most(tmp_path):
    assert ask(tmp_path, Reader(golden=False)).name == "plausible"


@pytest.mark.fault
def test_wrong_words_fail_with_and_without_golden(tmp_path):
    assert ask(tmp_path / "a", Reader(wrong=True, golden=False)).name == "failed"
    assert ask(tmp_path / "b", Reader(wrong=True)).name == "failed", "golden of the wrong one: the words decide"
    other = Reader(card={part: (-np.array(rows)).tolist() for part, rows in Reader().known.items()})
    found = ask(tmp_path / "c", other)
    assert found.name == "failed" and state(found, "zero-shot") == "pass", "the words fit, but these are other weights"


def test_without_labels_sentences_decide(tmp_path):
    images = Greys(labels=False, texts=True)
    found = ask(tmp_path / "a", Reader(), images)
    assert found.name == "verified" and state(found, "zero-shot") == "unknown" and state(found, "retrieval") == "pass"
    assert ask(tmp_path / "b", Reader(wrong=True), images).name == "failed"
    both = ask(tmp_path / "c", Reader(wrong=True), Greys(texts=True))
    assert not next(check for check in both.checks if check.name == "retrieval").decisive
    unlabelled = Greys(texts=True)
    unlabelled.labels = unlabelled.labels * np.nan
    assert ask(tmp_path / "d", Reader(wrong=True), unlabelled).name == "failed", "then sentences do"
    assert ask(tmp_path / "e", Reader(), unlabelled).name == "verified"


def test_without_labels_and_sentences_nothing_is_known(tmp_path):
    found = ask(tmp_path, Reader(), Greys(labels=False))
    assert found.name == "unverified" and "no labels" in found.says


def test_a_scorer_is_asked_for_scores(tmp_path):
    found = ask(tmp_path / "a", Reader(embeds=False))
    assert found.name == "verified" and state(found, "score spread") == "pass" and "scores" in found.golden
    assert ask(tmp_path / "b", Reader(embeds=False, wrong=True)).name == "failed"


def test_one_image_of_each_patient_is_seen_once_and_then_none(tmp_path):
    images, reader = Greys(), Reader()
    first = ask(tmp_path, reader, images)
    seen = [image for image in reader.images if image.startswith("image")]
    assert len(set(seen)) == 64 and len(seen) == 64 + 8, "a second pass over eight"
    assert all(int(image[5:]) % 2 == 0 for image in seen), "the first of each patient"
    reader.images.clear(), reader.texts.clear()
    assert ask(tmp_path, reader, images) == first
    assert not reader.images and not reader.texts, "the answers lie in the cache"
    evidence(tmp_path, reader, images).image_embeddings(np.arange(0, 20, 2))
    assert len(reader.images) < 10, "annotation embeds only what the gate did not"


def one_label(**options):
    images = Greys(**options)
    images.labels, images.label_names = images.labels[:, :1], images.label_names[:1]
    return images


def test_one_label_is_judged_by_other_words(tmp_path):
    others = tuple(f"word{chr(97 + i)}" for i in range(20))
    for i, (words, reader, name) in enumerate([
            (WORDS + others, Reader(), "verified"), (WORDS, Reader(), "unverified"),
            (WORDS + others, Reader(wrong=True), "failed")]):
        found = Gate(**QUICK | {"words": 40})(evidence(tmp_path / str(i), reader, one_label(), words))
        assert found.name == name, found.says


def test_foils_share_no_word_with_a_label(tmp_path):
    words = ("Edemas", "pulmonary oedema", "pleural line", "masses", "clavicle", "tubes")
    assert Sample(evidence(tmp_path, words=words), 64, 8).foils == ["clavicle", "tubes"]


def test_a_scorer_sees_few_sentences(tmp_path):
    reader, images = Reader(embeds=False), Greys(n=300, texts=True)
    images.texts = tuple((f"Sentence {i}.",) for i in range(300))
    ask(tmp_path, reader, images, images=150)
    assert len({text for text in reader.texts if text.startswith("Sentence")}) == 64


@pytest.mark.parametrize("embeds", [True, False])
def test_one_word_is_enough_to_ask(tmp_path, embeds):
    for wrong, name in ((False, "verified"), (True, "failed")):
        found = Gate(**QUICK)(evidence(tmp_path / name, Reader(wrong, embeds=embeds), words=("edema",)))
        assert found.name == name, found.says


def test_answers_belong_to_the_code_of_the_dissector_and_its_device(tmp_path, monkeypatch):
    gate, reader = Gate(**QUICK), Reader()

    def inputs():
        return gate._inputs(Sample(evidence(tmp_path, reader), 64, 8))

    first = inputs()
    assert inputs() == first
    reader.device = "cuda"
    assert inputs() != first
    del reader.device
    seen = []
    monkeypatch.setattr("mammi.gate.gate.code", lambda modules: seen.extend(modules) or {})
    inputs()
    assert {"mammi.gate.gate", "mammi.dissector.base", "tests.gate.worlds"} == set(seen)


def test_golden_and_direct_embeddings_are_without_tf32(tmp_path):
    import torch

    class Asking(Reader):
        def _rows(self, batch):
            self.tf32[batch.ids[0]] = self.tf32.get(batch.ids[0], ()) + (torch.backends.cudnn.allow_tf32,)
            return super()._rows(batch)

    Asking.tf32 = {}
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.enabled
    reader = Asking()
    Asking.tf32 = {}
    ask(tmp_path, reader)
    assert reader.tf32["ramp"] == (False,) and False in reader.tf32["image0"]
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.enabled) == before


@pytest.mark.parametrize("change", [{"permutations": 300}, {"p": .02}, {"seed": 1}, {"images": 50}, {"words": 6}])
def test_other_settings_are_other_questions(tmp_path, change):
    ask(tmp_path)
    before = len(list((tmp_path / "gate").iterdir()))
    ask(tmp_path, **change)
    assert len(list((tmp_path / "gate").iterdir())) == before + 1


def test_the_same_numbers_each_time(tmp_path):
    assert ask(tmp_path / "a") == ask(tmp_path / "b")


@pytest.mark.fault
def test_vectors_without_a_direction_fail(tmp_path):
    reader = Reader()
    reader.embed_images = lambda batch: np.zeros((len(batch), 16), np.float32)
    found = ask(tmp_path, reader)
    assert found.name == "failed" and "row 0 has norm 0.0" in found.says


@pytest.mark.fault
def test_strict_refuses_and_teaches(tmp_path):
    with pytest.raises(BadInput) as caught:
        ask(tmp_path / "a", Reader(wrong=True, golden=False), allow=["verified", "plausible"])
    said = str(caught.value)
    assert "the gate says of reader on greys: failed" in said and "zero-shot: label names rank" in said
    assert "sha256" in said and "gate=report" in said
    with pytest.raises(BadInput, match="not made for them, or the labels are not what the images show"):
        ask(tmp_path / "b", Reader(wrong=True), allow=["verified"])
    with pytest.raises(BadInput, match="unverified .*Next: give probing images with labels"):
        ask(tmp_path / "c", Reader(), Greys(labels=False), allow=["verified", "plausible"])
    assert ask(tmp_path / "d", Reader(golden=False), allow=["verified", "plausible"]).name == "plausible"


@pytest.mark.fault
@pytest.mark.parametrize("options, said", [({"allow": ["verifed"]}, "Did you mean verified"), ({"images": 5}, "images"),
                                           ({"permutations": 10}, "permutations"), ({"p": 2}, "gate.p"),
                                           ({"tolerance": "a"}, "gate.tolerance"), ({"words": 1}, "gate.words")])
def test_wrong_options_are_errors(options, said):
    with pytest.raises(BadInput, match=said):
        Gate(**options)


def test_golden_of_another_run(tmp_path):
    trusted = ask(tmp_path / "a", Reader(golden=False))
    (tmp_path / "golden.json").write_text(json.dumps(trusted.golden))
    assert ask(tmp_path / "b", Reader(golden=False), golden=tmp_path / "golden.json").name == "verified"
    assert ask(tmp_path / "c", Reader(golden=False, wrong=True), golden=tmp_path / "golden.json").name == "failed"
    with pytest.raises(MissingAsset, match="gate.golden"):
        Gate(golden=tmp_path / "absent.json")


@pytest.mark.parametrize("states, name", [
    (("pass", "pass", "unknown"), "verified"), (("unknown", "pass", "unknown"), "plausible"),
    (("pass", "unknown", "pass"), "verified"), (("pass", "unknown", "unknown"), "unverified"),
    (("fail", "pass", "pass"), "failed"), (("pass", "fail", "pass"), "failed"), (("pass", "pass", "fail"), "failed")])
def test_the_rule(states, name):
    names = ("golden embeddings", "zero-shot", "retrieval")
    assert judge([Check(one, answer, "", True) for one, answer in zip(names, states)]).name == name


def test_warnings_never_decide():
    warned = [Check(name, "fail", "") for name in ("hubness", "template", "laterality", "negation", "image anisotropy")]
    assert judge([Check("golden embeddings", "pass", "", True), Check("zero-shot", "pass", "", True), *warned]
                 ).name == "verified"


def test_evenly_over_the_set():
    assert evenly(5, 9).tolist() == [0, 1, 2, 3, 4] and evenly(101, 3).tolist() == [0, 50, 100]


def job(folder, method=None, gate=None, dissector=None):
    out = RunFolder(folder, "run", {"dissector": "tiny", "gate": "report"}, [], 0)
    return annotate(TinyTarget(), TinySet(), TinyConcepts(), dissector or TinyDissector(), TopK(2), method or Mammi(),
                    FinalLayer(bootstrap=20), evidence(folder / "cache").cache, 2, out, gate)


def test_the_verdict_stands_in_every_row(tmp_path, capsys):
    job(tmp_path, gate=Gate(**QUICK))
    printed = " ".join(capsys.readouterr().out.split())
    metrics, about = (json.loads((tmp_path / name).read_text()) for name in ("metrics.json", "run.json"))
    assert metrics["gate"] == about["gate"]["verdict"] == "unverified", "five images judge no label"
    assert "Gate: tiny_dissector is unverified" in printed and about["gate"]["says"]
    for name in ("neurons.csv", "annotations.csv", "contributions.csv"):
        assert set(pd.read_csv(tmp_path / name)["gate"]) == {"unverified"}
    rows = pd.read_csv(tmp_path / "gate.csv")
    assert rows["check"][0] == "keys" and set(rows["state"]) <= {"pass", "fail", "unknown"}
    assert np.shape(json.loads((tmp_path / "golden.json").read_text())["texts"]) == (2, 8)
    assert metrics["gate_template_rank_correlation"] is not None
    run, = read(tmp_path)[0]
    assert "gate" not in run.settings and table([run])["gate"].tolist() == ["unverified"]


def test_without_a_gate_every_row_says_so(tmp_path, capsys):
    job(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["gate"] == "not checked"
    assert not (tmp_path / "gate.csv").exists() and "is not checked" in capsys.readouterr().out


def test_a_method_that_asks_no_dissector_asks_no_gate(tmp_path):
    def never(evidence):
        raise AssertionError("the dissector must stay asleep")

    assert gating.question(never, Tsi(), None).name == "not asked"
    assert gating.question(None, Mammi(), None).name == "not checked"
    assert gating.numbers(Verdict("not asked", "")) == {"gate": "not asked"}


@pytest.mark.fault
def test_a_refused_run_leaves_no_words(tmp_path):
    with pytest.raises(BadInput, match="the gate says of tiny_dissector"):
        job(tmp_path, gate=Gate(**QUICK, allow="verified"))
    assert not (tmp_path / "annotations.csv").exists() and not (tmp_path / "metrics.json").exists()


def test_words_beyond_the_limit_are_spread(tmp_path):
    reader = Reader()
    ask(tmp_path, reader, words=3)
    assert {f"A picture of a {word}" for word in WORDS[5:7]}.isdisjoint(reader.texts)
