"""verify: the published numbers pass, one hit more fails, and other runs are refused."""
import pytest

from mammi.__main__ import main as command
from mammi.errors import BadInput
from mammi.report import read_run
from mammi.tables.verify import checks, main
from tests.tables.folders import PHANTOM, concept_sets, run, the_paper_s


def passed(folder, **options):
    return {check.metric: check.passed for check in checks(read_run(folder, "run"), **options)}


def test_the_published_numbers_pass(tmp_path, capsys):
    assert main(the_paper_s(tmp_path / "run", name="run"))
    out = capsys.readouterr().out
    assert "4 of 14 neurons hit. All numbers pass." in out and out.count("pass") == 5 and "0.2619" in out


@pytest.mark.parametrize("metric, value, fine", [("cos_clip", .8647, True), ("cos_clip", .8651, False),
                                                 ("cos_mpnet", .5241, True), ("cos_mpnet", .5239, False)])
def test_cosines_have_a_tolerance(tmp_path, metric, value, fine):
    folder = the_paper_s(tmp_path / "run", metrics={metric: value})
    assert passed(folder)[metric] is fine
    assert passed(folder, cosine_tolerance=.02)[metric] and not passed(folder, cosine_tolerance=.0001)[metric]


@pytest.mark.parametrize("hits, f1, fine", [([1] * 5 + [0] * 9, None, False), ([1] * 3 + [0] * 11, None, False),
                                            ([1] * 4 + [0] * 10, [1, 1, 2 / 3, 2 / 3] + [0] * 10, True)])
def test_hits_and_f1_are_exact(tmp_path, hits, f1, fine):
    found = passed(the_paper_s(tmp_path / "run", hits=hits, f1=f1 or hits))
    assert found["hit"] is fine and not found["f1"]


def test_a_fail_is_exit_code_one(tmp_path, capsys):
    with pytest.raises(SystemExit) as code:
        command(["verify", str(the_paper_s(tmp_path / "run", hits=[1] * 5 + [0] * 9))])
    assert code.value.code == 1 and "NOT the published numbers" in capsys.readouterr().out
    with pytest.raises(SystemExit) as code:
        command(["verify", str(the_paper_s(tmp_path / "other"))])
    assert code.value.code == 0


def test_a_number_that_was_not_computed_does_not_pass(tmp_path, capsys):
    assert not main(the_paper_s(tmp_path / "run", metrics={"cos_clip": None}))
    assert "cosine, CLIP: no weights" in capsys.readouterr().out


@pytest.mark.fault
@pytest.mark.parametrize("fault, words", [
    ({"synthetic": True}, "its images are synthetic"), ({"profile": PHANTOM}, "profile=phantom"),
    ({"choices": {"concept_set": "wordnet"}}, "the paper's is concept_set=mimic_nouns"),
    ({"choices": {"method": "random"}}, "the paper's is method=mammi"),
    ({"names": {"concept_set": "openi_nouns (stand-in for mimic_nouns)"}}, "is a stand-in"),
    ({"names": {"concept_set": "mimic_nouns (own list x)"}}, "own list x"),
    ({"names": {"layer": "penultimate"}}, "layer penultimate"), ({"names": {"activation": "prob"}}, "as prob"),
    ({"overrides": ["selection.alpha=0.9"]}, "selection.alpha=0.9 is no setting"),
    ({"overrides": ["probing_set.split=test"]}, "probing_set.split=test is no setting"),
    ({"metrics": {"n_named": 13}}, "13 named neurons, the paper's 14"), ({"metrics": {"hit": None}}, "no hit rate")],
    ids=lambda x: x.replace(" ", "_") if isinstance(x, str) else "")
def test_other_runs_are_refused(tmp_path, fault, words):
    with pytest.raises(BadInput, match=words) as error:
        main(the_paper_s(tmp_path / "run", **fault))
    assert "Next: python run.py experiment=table1" in str(error.value)


@pytest.mark.fault
def test_a_folder_that_is_no_run_is_told(tmp_path):
    (the_paper_s(tmp_path / "sweep" / "0") / "metrics.json").write_text("{")
    with pytest.raises(BadInput, match="metrics.json is damaged"):
        main(tmp_path / "sweep" / "0")
    with pytest.raises(BadInput, match="is not one annotation but holds 1"):
        main(tmp_path / "sweep")
    with pytest.raises(BadInput, match="there is no folder"):
        main(tmp_path / "nothing")
    with pytest.raises(BadInput, match="--cosine-tolerance=-1"):
        main(tmp_path / "sweep", cosine_tolerance=-1)


def test_without_a_run_the_newest_of_the_paper_is_taken(tmp_path, capsys):
    with pytest.raises(BadInput, match="no finished run of the paper's configuration"):
        main(outputs=tmp_path)
    with pytest.raises(BadInput, match="no finished run"):
        main(outputs=tmp_path / "nowhere")
    concept_sets(tmp_path)
    the_paper_s(tmp_path / "old", at=1000, hits=[1] * 14, f1=[1] * 14)
    the_paper_s(tmp_path / "new", at=2000)
    the_paper_s(tmp_path / "other", at=3000, choices={"method": "random"})
    (run(tmp_path / "damaged", at=4000) / "metrics.json").write_text("[]")
    assert main(outputs=tmp_path) and "new" in capsys.readouterr().out
