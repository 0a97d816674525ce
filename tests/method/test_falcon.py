"""FALCON as a whole against a plain version, and what it says where there is little to say."""
import math

import numpy as np
import pytest

from mammi.cache import Cache
from mammi.errors import BadInput, MissingAsset
from mammi.method.falcon import Falcon
from mammi.method.falcon_captions import Captions
from mammi.method.falcon_words import read_captions
from tests import tiny

CAPTIONS = ("Large pleural effusion.", "There is a mass in the left lung.", "Normal heart.", "No nodule.",
            "Bilateral edema and effusion.", "It is as it was.", "Calcified granuloma of the apex.", "Rib fracture.")
RNG = np.random.default_rng(3)
MANY = RNG.standard_normal((30, 4)) * 3 - 2  # logits of classes that are rarely there
SIGMA = {"mode": "sigma", "value": .25}


class Texts:
    def __init__(self, texts=CAPTIONS):
        self.texts = texts

    def load(self):
        return self.texts, "captions are made up"


def world(folder, activations=MANY, **parts):
    parts = {"target": tiny.TinyTarget(activations), "images": tiny.TinySet(len(activations)), **parts}
    return tiny.evidence(Cache(folder), **parts)


def run(folder, activations=MANY, texts=CAPTIONS, threshold=SIGMA, **options):
    return Falcon(Texts(texts), threshold, **options)(world(folder, activations))


def plainly(folder, a, least=.3, k=5, largest=.1, most=None, min_cosine=None):
    """[([(word, score), ...], images, low images)] of each neuron, in loops."""
    said = read_captions(CAPTIONS, Cache(folder))
    r = [[v / math.sqrt(sum(w * w for w in row)) for v in row] for row in a]
    every = [v for row in r for v in row]
    mean = sum(every) / len(every)
    high = mean + .25 * math.sqrt(sum((v - mean)**2 for v in every) / len(every))

    def heard(image):
        cosines = [float(tiny.vector(f"image{image}") @ tiny.vector(text)) for text in CAPTIONS]
        total, found = sum(math.exp(100 * c) for c in cosines), {}
        for i in sorted(range(len(CAPTIONS)), key=lambda i: -cosines[i])[:k]:
            for word in said[i][0]:
                found[word] = max(found.get(word, 0), math.exp(100 * cosines[i]) / total)
        return found

    def mean_scores(images):
        words = {word for image in images for word in heard(image)}
        return {word: sum(heard(image).get(word, 0) for image in images) / len(images) for word in words}

    out = []
    for j in range(len(a[0])):
        group = sorted((p for p in range(len(a)) if r[p][j] >= high), key=lambda p: -r[p][j])
        others = [i for i in range(len(a[0])) if i != j]
        centre = {i: sum(r[p][i] for p in group) / len(group) for i in others}
        alike = {p: sum(r[p][i] * centre[i] for i in others) for p in range(len(a)) if r[p][j] < mean}
        low = sorted((p for p in alike if alike[p] >= least), key=lambda p: -alike[p])[:10]
        mine, theirs = mean_scores(group[:most]), mean_scores(low)
        left = {word: s for word, s in mine.items() if theirs.get(word, 0) < largest}
        out.append((sorted(left.items(), key=lambda pair: (-pair[1], pair[0]))[:8], group, low))
    return out


@pytest.mark.parametrize("most", [None, 3])
def test_against_a_plain_version(most, tmp_path):
    found, plain = run(tmp_path, max_images=most), plainly(tmp_path, MANY, most=most)
    assert found.status == ["ok"] * 4
    for j, (words, group, low) in enumerate(plain):
        assert found.concepts[j] == [word for word, _ in words]
        assert found.scores[j] == pytest.approx([score for _, score in words], rel=1e-4)
        assert np.flatnonzero(found.selected[:, j]).tolist() == sorted(group[:most])
        assert (found.why[j]["n_images"], found.why[j]["n_low"]) == (len(group), len(low))
        assert found.contributions[j][0][1] == max(part for _, part in found.contributions[j])
        assert np.mean([part for _, part in found.contributions[j]]) == pytest.approx(found.scores[j][0])
        assert {image for image, _ in found.contributions[j]} == set(group[:most])
    assert sum(len(low) > 0 for _, _, low in plain) > 1


def test_whole_images_and_crops_without_maps_are_the_same(tmp_path):
    with_maps, without = run(tmp_path), run(tmp_path, crop=None)
    assert with_maps.scores == without.scores and with_maps.concepts == without.concepts
    assert "no map tells where final fires: whole images were captioned" in with_maps.notes
    assert not any("no map" in note for note in without.notes)


def test_what_it_says_of_itself(tmp_path):
    found = run(tmp_path)
    assert found.notes[0] == "captions are made up"
    r = MANY / np.linalg.norm(MANY, axis=1, keepdims=True)
    by = [int((r >= t).any(0).sum()) for t in (r.mean() + .25 * r.std(), .25)]
    assert found.notes[1].endswith(f"{by[0]} of 4 (sigma), {by[1]} of 4 (absolute)")
    assert {"granuloma", "effusion", "left"} <= set(found.vocabulary)
    assert set(found.vocabulary) >= {word for words in found.concepts for word in words}
    assert all(set(fact) == {"n_images", "n_cropped", "n_low", "covered_sigma", "covered_absolute", "phrases"}
               for fact in found.why)
    assert any("pleural effusion" in fact["phrases"] for fact in found.why)


def test_either_reading_of_the_threshold_is_counted_whichever_is_chosen(tmp_path):
    a = np.array([[5.0, -1, -1], [5, -1.1, -1], [4, .9, -1], [4, -1, -1.2]])  # unit 1 reaches .22, unit 2 nothing
    by_sigma, absolute = (run(tmp_path, a, threshold={"mode": mode, "value": .05}) for mode in ("sigma", "absolute"))
    for found in (by_sigma, absolute):
        assert [fact["covered_absolute"] for fact in found.why] == [True, True, False]
        assert [fact["covered_sigma"] for fact in found.why] == [True, False, False]
    assert by_sigma.status[1:] == ["empty", "empty"] and absolute.status == ["ok", "ok", "empty"]


def test_exact_sets(tmp_path):
    a = np.array([[5.0, 5, 0], [5, 0, 0], [0, 5, 0], [5, 5, 0.1]])
    found = run(tmp_path, a, threshold={"mode": "absolute", "value": .25}, group_by="exact_set")
    assert found.selected.T.astype(int).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert found.status[2] == "empty" and found.concepts[2] == []


def test_a_dead_neuron_gets_no_word(tmp_path):
    a = np.c_[MANY, np.full(30, 50.0)]  # by far the largest value of every image
    found = run(tmp_path, a, threshold={"mode": "absolute", "value": .01})
    assert found.status[4] == "dead" and found.concepts[4] == [] and not found.selected[:, 4].any()
    assert found.why[4]["covered_absolute"] is False and found.contributions[4] == []


def test_one_neuron(tmp_path):
    a = np.array([[2.0], [-1], [3], [-2], [.5]])
    found = run(tmp_path, a, max_images=2)
    assert np.flatnonzero(found.selected[:, 0]).tolist() == [0, 2] and found.why[0]["n_images"] == 3
    assert found.why[0]["n_low"] == 0 and found.status == ["ok"] and len(found.concepts[0]) <= 8


def test_small_groups_and_unlike_crops_get_no_words(tmp_path):
    sizes = [fact["n_images"] for fact in run(tmp_path).why]
    found = run(tmp_path, min_images=max(sizes))
    assert [status == "ok" for status in found.status] == [n == max(sizes) for n in sizes]
    rows = [[tiny.vector(f"image{p}") for p in np.flatnonzero(mine)] for mine in run(tmp_path).selected.T]
    mean = [np.mean([[u @ v for u in own] for v in own]) for own in rows]
    cut = float(np.sort(mean)[1]) + 1e-6
    found = run(tmp_path, min_cosine=cut)
    assert [status == "ok" for status in found.status] == [m > cut for m in mean] and "empty" in found.status


def test_a_contrast_above_one_removes_nothing(tmp_path):
    one, other = run(tmp_path, words=50), run(tmp_path, words=50, contrast=1.01)
    assert all(set(a) <= set(b) for a, b in zip(one.concepts, other.concepts))
    assert sum(map(len, one.concepts)) < sum(map(len, other.concepts))
    assert max(map(len, run(tmp_path, words=2).concepts)) == 2


def test_a_second_run_embeds_nothing(tmp_path):
    run(tmp_path)
    again = world(tmp_path)
    Falcon(Texts(), SIGMA)(again)
    assert again.dissector.images == [] and again.dissector.texts == [] and again.target.passes == 0
    assert again.images.loaded == []


def test_captions_of_a_file(tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text("1. Large effusion.\n\nNo mass. Large effusion.\n12 mm\nXXXX nodule seen.\nNormal heart\n")
    assert Captions(file).load() == (("Large effusion.", "No mass.", "Normal heart"),
                                     "captions are 3 of the 3 sentences of captions.txt")
    assert Captions(file, limit=2).load()[0] == ("Large effusion.", "Normal heart")
    assert Captions(file, limit=9).load()[0] == Captions(file).load()[0]


def test_captions_of_a_table(tmp_path):
    file = tmp_path / "reports.csv"
    file.write_text("said,split\nLarge effusion.,train\nNormal heart.,test\n")
    assert Captions(file, columns={"text": "said"}, splits=["test"]).load()[0] == ("Normal heart.",)


def test_open_i_sentences_by_default():
    texts, note = Captions(limit=100).load()
    assert len(set(texts)) == 100 and "100 of the 6," in note and "stand-in for MIMIC-CXR" in note


@pytest.mark.fault
@pytest.mark.parametrize("text, told", [("", "none of its 0"), ("12 mm\n1.\n", "none of its 2"), ("a,b\n", None)])
def test_captions_without_a_word(text, told, tmp_path):
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises(BadInput, match="method.captions.path=") as error:
        Captions(tmp_path / "c.txt").load()
    assert told is None or told in str(error.value)


@pytest.mark.fault
def test_reports_that_are_not_there_are_asked_for_by_falcons_key(tmp_path):
    with pytest.raises(MissingAsset, match="method.captions.path=PATH") as error:
        Captions(tmp_path / "none.txt").load()
    assert "concept_set" not in str(error.value)
    (tmp_path / "t.csv").write_text("said\nx\n")
    with pytest.raises(BadInput, match="method.captions.columns.text"):
        Captions(tmp_path / "t.csv").load()


@pytest.mark.fault
def test_captions_of_stop_words_alone(tmp_path):
    with pytest.raises(BadInput, match="none of the 2 captions has a noun"):
        run(tmp_path, texts=("It is as it was.", "There is none."))


@pytest.mark.fault
def test_wordless_captions_leave_a_neuron_empty(tmp_path):
    nearest = max(range(5), key=lambda p: tiny.vector(f"image{p}") @ tiny.vector("It is as it was."))
    a = np.full((5, 2), -1.0)
    a[nearest, 0], a[(nearest + 1) % 5, 1] = 9, 9
    found = run(tmp_path, a, texts=("It is as it was.", "Rib fracture."), captions_per_image=1, low_images=0,
                threshold={"mode": "absolute", "value": .9})
    wordless = tiny.vector(f"image{nearest}") @ (tiny.vector("It is as it was.") - tiny.vector("Rib fracture.")) > 0
    assert wordless and found.status[0] == "empty"


@pytest.mark.fault
def test_a_dissector_that_only_scores_is_refused(tmp_path):
    with pytest.raises(BadInput, match="tiny_scorer only scores"):
        Falcon(Texts(), SIGMA)(world(tmp_path, dissector=tiny.TinyScorer()))


@pytest.mark.fault
def test_a_threshold_that_nothing_reaches(tmp_path):
    with pytest.raises(BadInput, match=r"method.threshold.value=1.5: .*none of 4 living neurons"):
        run(tmp_path, threshold={"mode": "absolute", "value": 1.5})
    with pytest.raises(BadInput, match="none of 0 living neurons"):
        run(tmp_path, np.ones((4, 2)))


@pytest.mark.fault
@pytest.mark.parametrize("options, told", [
    ({"threshold": {"mode": "sigmas", "value": .25}}, "method.threshold.mode=sigmas: Did you mean sigma"),
    ({"threshold": {"mode": "sigma", "value": "high"}}, "method.threshold.value=high"),
    ({"group_by": "set"}, "method.group_by=set"), ({"min_images": 0}, "method.min_images=0"),
    ({"max_images": 0}, "method.max_images=0"), ({"min_cosine": 2}, "method.min_cosine=2"),
    ({"crop": 60}, "method.crop=60"), ({"captions_per_image": 0}, "method.captions_per_image=0"),
    ({"low_images": -1}, "method.low_images=-1"), ({"low_similarity": 3}, "method.low_similarity=3"),
    ({"contrast": -1}, "method.contrast=-1"), ({"words": 0}, "method.words=0")])
def test_bad_options(options, told):
    with pytest.raises(BadInput) as error:
        Falcon(Texts(), **({"threshold": SIGMA} | options))
    assert told in str(error.value)


@pytest.mark.fault
def test_without_stand_ins_the_papers_captions_are_asked_for(tmp_path):
    with pytest.raises(MissingAsset, match="MIMIC-CXR.*method.captions.path="):
        Captions(stand_ins=False)
    (tmp_path / "own.txt").write_text("Large effusion.")
    assert Captions(tmp_path / "own.txt", stand_ins=False).load()[0] == ("Large effusion.",)


@pytest.mark.fault
def test_a_bad_limit():
    with pytest.raises(BadInput, match="method.captions.limit=0"):
        Captions(limit=0)
