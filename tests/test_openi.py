"""The Open-i reader: sentence splitting and label matching, on a made-up archive and on the packaged one."""
import io
import tarfile

import pytest

from mammi import openi
from mammi.errors import BadInput, MissingAsset

REPORTS = {
    "1": ("Heart size is normal. There is a small right pleural effusion. No pneumothorax.",
          "1. Small effusion. 2. Hernia XXXX seen."),
    "2": ("Large left pneumothorax with atelectasis. The thoracic spine shows spurs.", "Pacemaker leads are in place."),
    "10": ("Mediastinum is without a mass. The thoracic spine shows spurs.", "The lungs are clear."),
}


@pytest.fixture
def tgz(tmp_path):
    path = tmp_path / "reports.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for key in ("10", "2", "1"):
            findings, impression = REPORTS[key]
            xml = (f'<e><AbstractText Label="INDICATION">Cough with effusion.</AbstractText>'
                   f'<AbstractText Label="FINDINGS">{findings}</AbstractText>'
                   f'<AbstractText Label="IMPRESSION">{impression}</AbstractText></e>').encode()
            info = tarfile.TarInfo(f"r/{key}.xml")
            info.size = len(xml)
            tar.addfile(info, io.BytesIO(xml))
    return path


def test_sentences_are_unique_in_report_order_without_enumeration(tgz):
    assert list(openi.reports(tgz)) == ["1", "2", "10"]
    assert openi.sentences(tgz) == (
        "Heart size is normal.", "There is a small right pleural effusion.", "No pneumothorax.", "Small effusion.",
        "Hernia XXXX seen.", "Large left pneumothorax with atelectasis.", "The thoracic spine shows spurs.",
        "Pacemaker leads are in place.", "Mediastinum is without a mass.", "The lungs are clear.")


def test_sentences_group_by_what_they_assert(tgz):
    assert openi.by_findings(tgz) == {
        frozenset(["No Finding"]): ("Heart size is normal.", "The lungs are clear."),
        frozenset(["Effusion"]): ("There is a small right pleural effusion.", "Small effusion."),
        frozenset(["Pneumothorax", "Atelectasis"]): ("Large left pneumothorax with atelectasis.",),
        frozenset(["Pacemaker"]): ("Pacemaker leads are in place.",),
        frozenset(): ("The thoracic spine shows spurs.",)}
    single, neutral = openi.by_label(tgz)
    assert single["Effusion"] == ("There is a small right pleural effusion.", "Small effusion.")
    assert single["Pneumothorax"] == () and neutral == ("The thoracic spine shows spurs.",)


@pytest.mark.parametrize("sentence, labels", [
    ("Small pericardial effusion.", set()),
    ("Subcutaneous emphysema on the left.", set()),
    ("The heart is mildly enlarged.", {"Cardiomegaly"}),
    ("Enlarged cardiac silhouette.", {"Cardiomegaly"}),
    ("Thickening of the left apical pleura.", {"Pleural thickening"}),
    ("Patchy infiltrates or bronchopneumonia.", {"Infiltration", "Pneumonia"}),
    ("Pneumonitis.", set()),
    ("Massive heart.", set()),
    ("Hiatal hernia and a nasogastric tube.", {"Hernia", "Tube"}),
    ("Median sternotomy wires, PICC line.", {"Sternotomy", "Catheter"}),
])
def test_findings(sentence, labels):
    assert openi.findings(sentence) == labels


def test_missing_and_damaged_archives_are_named(tmp_path):
    with pytest.raises(MissingAsset, match="nowhere.tgz"):
        openi.reports(tmp_path / "nowhere.tgz")
    (tmp_path / "cut.tgz").write_bytes(openi.archive().read_bytes()[:2000])
    with pytest.raises(BadInput, match="cut.tgz"):
        openi.reports(tmp_path / "cut.tgz")


def test_packaged_reports():
    assert len(openi.reports()) == 3955
    single, neutral = openi.by_label()
    assert all(len(single[label]) >= 10 for label in single) and len(neutral) > 1000
    assert not any(openi.NEGATION.search(s) for label, group in single.items() if label != "No Finding" for s in group)
    assert set(single) == {*openi.KEYWORDS, "No Finding"}
