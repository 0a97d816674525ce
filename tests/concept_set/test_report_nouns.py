import io
import os
import tarfile
from pathlib import Path

import pytest

from mammi.cache import Cache
from mammi.concept_set import report_nouns
from mammi.concept_set.mimic_nouns import MimicNouns
from mammi.concept_set.report_nouns import ReportNouns
from mammi.errors import BadInput, MissingAsset

# Twenty made-up reports; "effusion" in 10 of them, "effusions" in 5, "goiter" in one
REPORTS = (["There is a small left pleural effusion. The heart is normal in size."] * 10
           + ["Bilateral effusions are seen. A 3 mm nodule in the right lung."] * 5
           + ["No pneumothorax. The nodule was seen by Dr. XXXX in XXXXpm."] * 4
           + ["A goiter displaces the trachea. No pneumothorax."])


@pytest.fixture
def reports(tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    for i, text in enumerate(REPORTS):
        (folder / f"{i:02}.txt").write_text(text)
    return folder


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def xml(findings="", impression="", indication=""):
    parts = {"FINDINGS": findings, "IMPRESSION": impression, "INDICATION": indication}
    return "<r>" + "".join(f'<AbstractText Label="{k}">{v}</AbstractText>' for k, v in parts.items()) + "</r>"


def test_nouns_sorted_and_counted(reports, cache):
    concepts = ReportNouns(reports).load(cache)
    assert concepts.words == tuple(sorted(concepts.words))
    assert {"effusion", "effusions", "heart", "lung", "nodule", "pneumothorax", "size"} <= set(concepts.words)
    # adjectives and verbs; marks, units and sides; a word of one report
    for word in ("small", "seen", "normal", "xxxx", "xxxxpm", "mm", "left", "right", "goiter", "trachea"):
        assert word not in concepts.words
    assert concepts.dropped["noun in under 2 reports"] == 2
    assert concepts.dropped["de-identification mark"] >= 1
    assert concepts.name == "reports_nouns"


def test_options(reports, cache):
    assert "goiter" in ReportNouns(reports, min_count=1).load(cache).words
    few = ReportNouns(reports, min_count=10).load(cache).words
    assert "effusion" in few and "effusions" not in few and "goiter" not in few
    singular = ReportNouns(reports, min_count=15, lemma=True).load(cache).words
    assert "effusion" in singular and "effusions" not in singular  # 10 + 5 reports
    assert min(map(len, ReportNouns(reports, min_length=6).load(cache).words)) >= 6


def test_share_of_uses_that_are_a_noun(monkeypatch, reports, cache):
    tags = {sentence: (("mild", i == 0), ("edema", True)) for i, sentence in enumerate(
        sorted({s for text in REPORTS for s in report_nouns._sentences(text)}))}
    monkeypatch.setattr(report_nouns, "_tag", lambda sentences: {s: tags[s] for s in sentences})
    # the first sentence of the sorted ones is used 5 times of 40
    assert ReportNouns(reports, min_share=0.1).load(cache).words == ("edema", "mild")
    assert ReportNouns(reports, min_share=0.2).load(cache).words == ("edema",)


def test_same_words_from_folder_archive_lines_and_xml(tmp_path, reports, cache):
    expected = ReportNouns(reports).load(cache).words
    with tarfile.open(tmp_path / "some.tgz", "w:gz") as tar:
        for i, text in reversed(list(enumerate(REPORTS))):
            data = xml(*text.split(". ", 1), indication="Lupus. Lupus.").encode()
            member = tarfile.TarInfo(f"deep/{i}.xml")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (tmp_path / "lines.txt").write_text("\n".join(REPORTS))
    assert ReportNouns(tmp_path / "lines.txt").load(cache).words == expected
    from_xml = ReportNouns(tmp_path / "some.tgz").load(cache)
    assert from_xml.name == "some_nouns" and from_xml.words == expected  # and "lupus" was not read


def test_cache_is_used_and_knows_content_and_parameters(monkeypatch, reports, cache):
    made = []

    def tag(sentences):
        made.append(len(sentences))
        return {sentence: (("mass", True),) for sentence in sentences}

    monkeypatch.setattr(report_nouns, "_tag", tag)
    ReportNouns(reports).load(cache)
    ReportNouns(reports, name="other name").load(cache)
    renamed = reports.rename(reports.with_name("moved"))
    assert ReportNouns(renamed).load(cache).words == ("mass",)
    assert len(made) == 1
    ReportNouns(renamed, min_count=3).load(cache)
    assert len(made) == 2
    (renamed / "00.txt").write_text("Other.")
    ReportNouns(renamed).load(cache)
    assert len(made) == 3


def test_bad_reports(tmp_path, cache):
    with pytest.raises(MissingAsset, match=r"none.*Next: concept_set\.path"):
        ReportNouns(tmp_path / "none").load(cache)
    with pytest.raises(BadInput, match="0 reports"):
        ReportNouns(tmp_path).load(cache)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.xml").write_text("<r>")
    with pytest.raises(BadInput, match=r"a\.xml is not XML"):
        ReportNouns(tmp_path / "x").load(cache)
    (tmp_path / "x" / "a.xml").write_text(xml(indication="Cough. Fever."))
    with pytest.raises(BadInput, match="1 reports and no sentence.*FINDINGS"):
        ReportNouns(tmp_path / "x").load(cache)
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    with pytest.raises(BadInput, match=r"a\.tgz is not a whole tar archive"):
        ReportNouns(tmp_path / "a.tgz").load(cache)
    (tmp_path / "latin.txt").write_bytes(b"ed\xe8me")
    with pytest.raises(BadInput, match=r"latin\.txt: byte 2"):
        ReportNouns(tmp_path / "latin.txt").load(cache)
    with pytest.raises(BadInput, match="min_share"):
        ReportNouns(min_share=2)


def test_nothing_left_says_what_was_dropped(tmp_path, cache):
    (tmp_path / "a.txt").write_text("The heart is big.")
    with pytest.raises(BadInput, match="none of 1 nouns is left.*noun in under 2 reports.*Lower min_count"):
        ReportNouns(tmp_path / "a.txt").load(cache)


@pytest.mark.slow
def test_openi(cache):
    every = ReportNouns(min_count=1, min_length=1, min_share=0).load(cache)
    assert abs(len(every) / 1086 - 1) < .05  # ecosystem.md, counted by another program
    concepts = ReportNouns().load(cache)
    assert concepts.name == "openi_nouns"
    assert set(concepts.words) < set(every.words)
    assert abs(len(concepts) / 663 - 1) < .05
    assert {"effusion", "pneumothorax", "atelectasis", "cardiomegaly", "thickening"} <= set(concepts.words)
    assert not any("xx" in word for word in every.words)
    assert not {"left", "right", "mm", "infiltration"} & set(every.words)


@pytest.mark.slow
def test_openi_against_the_mimic_nouns(cache):
    path = Path(os.environ.get("MAMMI_DATA", "none")) / "concepts" / "mimic_nouns.txt"
    if not path.is_file():
        pytest.skip("no $MAMMI_DATA/concepts/mimic_nouns.txt")
    mimic = MimicNouns(data=os.environ["MAMMI_DATA"]).load(cache)  # its checksum is the default one
    assert len(mimic) == 1361 and mimic.name == "mimic_nouns"
    every = ReportNouns(min_count=1, min_length=1, min_share=0).load(cache)
    assert abs(len(set(every.words) & set(mimic.words)) / 662 - 1) < .05
