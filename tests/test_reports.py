"""Reports of every kind of source are the same reports; what cannot be read is refused with the next step."""
import io
import json
import os
import random
import re
import string
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammi import openi
from mammi.errors import BadInput, MissingAsset
from mammi.reports import STOP_WORDS, Report, captions, content, plain, read_reports, sentences
from tests import report_files as made

TEXTS = [made.whole(*report) for report in made.REPORTS]


@pytest.fixture
def sources(tmp_path):
    return made.every_source(tmp_path)


def test_every_source_gives_the_same_reports(sources):
    assert len(sources) == 14
    for what, path in sources.items():
        reports = read_reports(path)
        assert [report.text.split() for report in reports] == [text.split() for text in TEXTS], what
        assert [sentences(report.text) for report in reports] == [sentences(text) for text in TEXTS], what


def test_ids_patients_and_splits(sources):
    expected = [("train", "s50000000", "p10000000"), ("test", "s50000004", "p10000002")]
    for what in ("csv", "mimic folder", "mimic zip", "r2gen"):
        reports = read_reports(sources[what])
        for report, (split, study, patient) in zip((reports[0], reports[-1]), expected):
            bare = what == "r2gen"  # numbers without the letter
            assert report.id == study[bare:] and report.patient == patient[bare:]
            assert report.split == ("" if "mimic" in what else split)
    assert [report.id for report in read_reports(sources["openi tgz"])] == list("01234")
    assert [report.id for report in read_reports(sources["lines"])] == list("12345")


def test_images_of_one_study_count_once(sources):
    assert len(json.loads(sources["r2gen"].read_text())["train"]) == 4
    assert [report.split for report in read_reports(sources["r2gen"])] == list(made.SPLITS)


def test_splits(sources):
    for what in ("r2gen", "csv", "tsv"):
        assert [r.text for r in read_reports(sources[what], splits=["test"])] == TEXTS[3:]
        assert [r.text for r in read_reports(sources[what], splits="val")] == TEXTS[2:3]
        assert len(read_reports(sources[what], splits=["val", "train"])) == 3
    with pytest.raises(BadInput, match=r"no split 'tset'. Did you mean test\?"):
        read_reports(sources["r2gen"], splits=["tset"])
    with pytest.raises(BadInput, match=r"name no split.*concept_set\.columns\.split"):
        read_reports(sources["openi zip"], splits=["test"])


def test_sections(sources):
    for what in ("openi folder", "mimic tgz"):
        assert [r.text for r in read_reports(sources[what], sections=["impression"])] == [i for _, i in made.REPORTS]
    assert "Lupus" in read_reports(sources["openi zip"], sections="INDICATION")[0].text


def test_ids_in_natural_order_and_whole_where_names_repeat(tmp_path):
    made.files(tmp_path / "a", {"10.txt": "ten", "9.txt": "nine", ".hidden.txt": "x", "__MACOSX/9.txt": "x"})
    assert [report.id for report in read_reports(tmp_path / "a")] == ["9", "10"]
    made.files(tmp_path / "b", {"x/1.txt": "one", "y/1.txt": "other"})
    assert [report.id for report in read_reports(tmp_path / "b")] == ["x/1", "y/1"]


def test_order_of_an_archive_and_of_a_json_object_does_not_matter(tmp_path):
    named, expected = list(made.named("mimic").items()), None
    for seed in range(4):
        random.Random(seed).shuffle(named)
        reports = read_reports(made.tar(tmp_path / f"{seed}.tar", dict(named), "w"))
        assert reports == (expected or reports)
        expected = reports
    (tmp_path / "a.json").write_text(json.dumps(dict(reversed(made.annotation().items()))))
    assert [report.text for report in read_reports(tmp_path / "a.json")] == TEXTS


def test_mimic_headings_and_the_last_paragraph(tmp_path):
    texts = {"s50000000": " FINDINGS AND IMPRESSION:  Clear\n lungs.\n\n NOTIFICATION: by phone.",
             "s50000001": " FINAL REPORT\n HISTORY: Cough.\n\n AP view.\n\n Lungs are clear: no\n effusion.",
             "s50000002": " IMPRESSION:\n\n COMPARISON: None.  Stable\n nodule."}
    made.files(tmp_path / "files" / "p10", {f"p10000000/{study}.txt": text for study, text in texts.items()})
    (tmp_path / "README.txt").write_text("about")  # not of the layout, so no report
    assert [report.text for report in read_reports(tmp_path)] == [
        "Clear lungs.", "Lungs are clear: no effusion.", "None. Stable nodule."]
    made.files(tmp_path / "flat", {"one.txt": texts["s50000000"]})
    assert read_reports(tmp_path / "flat", kind="mimic")[0][:2] == ("one", "Clear lungs.")
    assert read_reports(tmp_path / "flat")[0].text.startswith("FINDINGS AND")


def test_kind_is_forced(tmp_path):
    path = tmp_path / "notes.report"
    path.write_text("One.\nTwo.")
    with pytest.raises(BadInput, match=r"notes\.report does not say.*concept_set\.kind="):
        read_reports(path)
    assert len(read_reports(path, kind="lines")) == 2
    assert read_reports(path, kind="text") == (Report("notes", "One.\nTwo."),)
    with pytest.raises(BadInput, match=r"kind=line is no kind.*Did you mean lines"):
        read_reports(path, kind="line")
    with pytest.raises(BadInput, match="is a folder or archive, and concept_set.kind=csv is a .csv"):
        read_reports(tmp_path, kind="csv")


def test_columns_by_name(tmp_path):
    path = made.table(tmp_path / "a.csv", ("key", "Befund", "fold", "text"),
                      [("k1", "Effusion, small.", "A", "no"), ("k2", 'Two\nlines "quoted".', "B", "no")])
    assert [r.text for r in read_reports(path)] == ["no", "no"]
    assert read_reports(path, columns={"text": "Befund", "id": "key", "split": "fold"}) == (
        Report("k1", "Effusion, small.", "", "A"), Report("k2", 'Two\nlines "quoted".', "", "B"))
    both = read_reports(path, columns={"text": ["text", "Befund"], "id": None})
    assert both[0] == Report("1", "no\nEffusion, small.")
    with pytest.raises(BadInput, match=r"columns\.subject: there are columns\.text"):
        read_reports(path, columns={"subject": "key"})


def test_content_knows_bytes_and_names_but_not_the_folder_s(tmp_path):
    made.files(tmp_path / "a", made.named("text"))
    before = content(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b" / "picture.png").write_bytes(b"x")
    assert content(tmp_path / "b") == before
    (tmp_path / "b" / "deep" / "0.txt").write_text("Other.")
    assert content(tmp_path / "b") != before


def test_content_differs_where_the_same_bytes_are_read_otherwise(tmp_path):
    """A cache key that forgot the names would give a table the words of the plain list it was copied from."""
    lines, table = tmp_path / "r.txt", tmp_path / "r.csv"
    for path in (lines, table):
        path.write_text("text\nEffusion.\n")
    assert [r.text for r in read_reports(lines)] != [r.text for r in read_reports(table)]
    assert content(lines) != content(table) == content(table.rename(tmp_path / "other.csv"))
    plain_text = made.files(tmp_path / "a", {"1.txt": made.mimic(*made.REPORTS[0])})
    same = made.files(tmp_path / "b", {"s50000001.txt": made.mimic(*made.REPORTS[0])})
    assert read_reports(plain_text)[0].text != read_reports(same)[0].text and content(plain_text) != content(same)


def fault_latin(folder):
    made.files(folder / "r", made.named("text"))
    (folder / "r" / "deep" / "2.txt").write_bytes(b"\xc9panchement")
    return folder / "r"


def fault_half_tgz(folder):
    rng = random.Random(0)  # text that does not shrink to nothing
    long = {f"{i}.txt": "".join(rng.choices(string.ascii_letters, k=4000)) for i in range(20)}
    data = made.tar(folder / "a.tgz", long).read_bytes()
    (folder / "a.tgz").write_bytes(data[:len(data) // 2])
    return folder / "a.tgz"


def fault_half_zip(folder):
    data = made.zipped(folder / "a.zip", made.named("mimic")).read_bytes()
    (folder / "a.zip").write_bytes(data[:len(data) // 2])
    return folder / "a.zip"


def fault_other_keys(folder):
    (folder / "a.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "x"}], "annotations": []}))
    return folder / "a.json"


def fault_no_splits(folder):
    (folder / "a.json").write_text(json.dumps({"info": {}, "data": []}))
    return folder / "a.json"


def fault_half_json(folder):
    text = json.dumps(made.annotation())
    (folder / "a.json").write_text(text[:len(text) // 2])
    return folder / "a.json"


def fault_columns(folder):
    return made.table(folder / "a.csv", ("Nr", "Befund"), [("1", "Clear.")])


def fault_commas(folder):
    (folder / "a.csv").write_text("id,report\n1,Clear lungs, no effusion.\n")
    return folder / "a.csv"


def fault_short_row(folder):
    (folder / "a.csv").write_text("id,report\n1\n")
    return folder / "a.csv"


def fault_semicolons(folder):
    (folder / "a.csv").write_text("id;text\n1;Effusion, small.\n")
    return folder / "a.csv"


def fault_no_header(folder):
    (folder / "a.csv").write_text("")
    return folder / "a.csv"


def fault_password(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("1.txt", "Effusion.")
    data = bytearray((folder / "a.zip").read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the bit that says "encrypted", in both headers
        data[data.index(mark) + flags] |= 1
    (folder / "a.zip").write_bytes(data)
    return folder / "a.zip"


def fault_only_pictures(folder):
    made.files(folder / "r", {"a.png": "x", "annotation.json": "{}"})
    return folder / "r"


def fault_empty(folder):
    (folder / "r").mkdir()
    return folder / "r"


def fault_mixed(folder):
    return made.files(folder / "r", {"1.xml": made.xml("Clear."), "README.txt": "about"})


def fault_cut_xml(folder):
    return made.files(folder / "r", {"1.xml": made.xml("Clear.")[:-3]})


@pytest.mark.fault
@pytest.mark.parametrize("fault, message", [
    (fault_latin, r"deep/2\.txt: byte 0 .*is not UTF-8. Next: .*iconv"),
    (fault_half_tgz, r"a\.tgz is not a whole archive.*fetch it again"),
    (fault_half_zip, r"a\.zip is not a whole archive.*fetch it again"),
    (fault_other_keys, r'images number 1: the keys id, file_name; expected \{"train"'),
    (fault_no_splits, r'holds the keys info, data; expected \{"train"'),
    (fault_half_json, r"is not JSON, or not all of it.*fetch it again"),
    (fault_columns, r"which column holds the text\? Its columns: Nr, Befund. Next: concept_set\.columns\.text=COLUMN"),
    (fault_commas, r"line 2: more fields than the 2 columns.*quotation marks"),
    (fault_short_row, r"line 2: fewer fields than the 2 columns"),
    (fault_semicolons, r"separated by semicolons. Next: save it with commas"),
    (fault_no_header, r"a\.csv is empty; expected a first line with the names"),
    (fault_password, r"cannot be unpacked: .*password.*unpack it yourself"),
    (fault_only_pictures, r"holds 0 reports: .*There is a\.png, annotation\.json.*or the \.csv or \.json file itself"),
    (fault_empty, r"holds 0 reports: .*There is nothing"),
    (fault_mixed, r"1 \.txt and 1 \.xml files.*concept_set\.kind=text or concept_set\.kind=openi"),
    (fault_cut_xml, r"report 1\.xml is not XML.*correct it or take it out"),
], ids=lambda value: value.__name__.removeprefix("fault_") if callable(value) else "")
def test_what_cannot_be_read_is_refused(tmp_path, fault, message):
    with pytest.raises(BadInput, match=message):
        read_reports(fault(tmp_path))


@pytest.mark.fault
@pytest.mark.fault
@pytest.mark.parametrize("what", ["openi tgz", "mimic folder"])
def test_a_section_that_no_report_has_is_refused(sources, what):
    with pytest.raises(BadInput, match=r"has a section IMPRESION\. Did you mean IMPRESSION"):
        read_reports(sources[what], sections=["FINDINGS", "IMPRESION"])
    assert all("Lupus?" in report.text for report in read_reports(sources[what], sections=["indication"]))


@pytest.mark.fault
def test_options_that_would_do_nothing_are_refused(tmp_path):
    (tmp_path / "r.txt").write_text("Effusion.")
    with pytest.raises(BadInput, match=r"columns\.text is for tables.*r\.txt.*leave it out, or concept_set\.kind=csv"):
        read_reports(tmp_path / "r.txt", columns={"id": None, "text": "Befund"})
    with pytest.raises(BadInput, match=r"columns\.id is for tables.*leave it out$"):
        read_reports(made.files(tmp_path / "f", {"1.txt": "Effusion."}), columns={"id": "Nr"})
    with pytest.raises(BadInput, match=r"splits=\[\]: no split is named"):
        read_reports(tmp_path / "r.txt", splits=[])


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(BadInput, match=r"no column 'befund' \(concept_set\.columns\.text\). Did you mean Befund\? Its "
                                       "columns: Nr, Befund"):
        read_reports(fault_columns(tmp_path), columns={"text": "befund"})


@pytest.mark.fault
def test_no_such_path_tells_what_can_be_read(tmp_path):
    with pytest.raises(MissingAsset, match=r"no reports at .*none\. Next: concept_set\.path=PATH.*annotation\.json"):
        read_reports(tmp_path / "none")


def test_captions_are_distinct_sentences():
    reports = [Report("1", "1. Clear lungs.  2. No   effusion.\n3 mm nodule. OK."), Report("2", ""),
               Report("3", "No effusion. Seen by Dr. XXXX today. At ___ o'clock.\nClear lungs.")]
    # "2." is a sentence without a word; "Dr." ends one, and XXXX today lacks a name
    assert captions(reports) == ("Clear lungs.", "No effusion.", "3 mm nodule.", "Seen by Dr.")
    assert captions(()) == ()


def cleaned(text, stop_words):
    """Protocol A.9 word by word: the plain form of :func:`plain`."""
    letters = "".join(c if c in string.ascii_lowercase + string.digits else "" if c in "'’" else " "
                      for c in text.lower())
    letters = " ".join("" if word[:3] == "fig" and word[3:].isdigit() else word for word in letters.split(" "))
    while "  " in letters:
        letters = letters.replace("  ", " ")
    words = letters.split(" ")  # the first, the last is "" where the text begins, ends with a blank
    kept, i = [], 0
    while i < len(words):
        # a single character between two blanks goes, and with it the blank that the next one would have needed
        if 0 < i < len(words) - 1 and len(words[i]) == 1:
            kept.append(words[i + 1])
            i += 2
        else:
            kept.append(words[i])
            i += 1
    return " ".join(word for word in kept if word and word not in stop_words)


@pytest.mark.parametrize("text, expected", [
    ("The heart's size, as in fig3, is NORMAL.", "the hearts size as in is normal"),
    ("x a b c y", "x b y"),
    ("A left-sided effusion", "a sided effusion"),
    ("New small opacity; 3 mm", "opacity mm"),
    ("", ""),
])
def test_plain_by_example(text, expected):
    assert plain(text) == expected == cleaned(text, STOP_WORDS)


@given(st.lists(st.sampled_from(["a", "b", "3", "fig12", "fig", "left", "lung's", "T", "x-ray", "4.5", "é", "ab"]),
                max_size=9), st.sampled_from([" ", ", ", "  "]))
def test_plain_like_a_plain_loop(words, joint):
    text = joint.join(words)
    assert plain(text) == cleaned(text, STOP_WORDS)
    assert re.fullmatch("[a-z0-9 ]*", plain(text))


def test_packaged_reports():
    reports = read_reports(openi.archive())
    assert len(reports) == 3955 and sum(not report.text for report in reports) == 28
    assert [report.id for report in reports[:2]] == ["1", "2"]
    assert {report.id: " ".join(report.text.split()) for report in reports} == openi.reports()
    lines = captions(reports)
    assert len(lines) == 6539 == len(set(lines)) and not any("XXXX" in line.upper() for line in lines)


def test_the_copy_among_the_data_is_the_packaged_one():
    path = Path(os.environ.get("MAMMI_DATA") or "none") / "openi_reports" / "NLMCXR_reports.tgz"
    if not path.is_file():
        pytest.skip("no $MAMMI_DATA/openi_reports/NLMCXR_reports.tgz")
    assert content(path) == content(openi.archive()) or read_reports(path) == read_reports(openi.archive())


def test_a_member_that_is_no_file_is_left_out(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        member = tarfile.TarInfo("1.txt")
        member.size = 6
        archive.addfile(member, io.BytesIO(b"Clear."))
    assert [report.text for report in read_reports(tmp_path / "a.tar")] == ["Clear."]
