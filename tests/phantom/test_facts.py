import numpy as np
import pytest

from mammi.phantom.facts import plan
from mammi.phantom.names import DEVICES, FINDINGS
from mammi.phantom.render import facts_of

ZONES = {"Atelectasis": {"lower"}, "Cardiomegaly": {"cardiac"}, "Effusion": {"basal"}, "Pneumothorax": {"apical"},
         "Edema": {"perihilar"}, "Emphysema": {"diffuse"}, "Fibrosis": {"upper", "lower"}, "Hernia": {"retrocardiac"},
         "Pleural thickening": {"apical", "lateral"}}


def all_facts(n=400):
    return [plan(np.ones(14, bool), np.random.default_rng(i)) for i in range(n)]


@pytest.mark.parametrize("name", FINDINGS)
def test_every_place_that_is_documented_occurs_and_no_other(name):
    seen = [facts.findings[name] for facts in all_facts()]
    assert {f.zone for f in seen} == ZONES.get(name, {"upper", "mid", "lower"})
    assert {f.many for f in seen} == ({True, False} if name in ("Nodule", "Atelectasis") else {False})
    assert {f.side for f in seen} <= {"right", "left", "bilateral", "midline"}


def test_findings_are_the_positive_labels_in_order():
    row = np.zeros(14, bool)
    row[[2, 13]] = True
    assert list(facts_of(row, 0, 5).findings) == ["Effusion", "Hernia"]


def test_a_finding_more_leaves_the_others_where_they_are():
    one, two = np.eye(14, dtype=bool)[2], np.eye(14, dtype=bool)[[2, 4]].any(0)
    for index in range(20):
        a, b = facts_of(one, 0, index), facts_of(two, 0, index)
        assert a.findings["Effusion"] == b.findings["Effusion"] and a.devices == b.devices


def test_devices_occur_whatever_the_labels():
    facts = [plan(np.zeros(14, bool), np.random.default_rng(i)) for i in range(1000)]
    for name in DEVICES:
        assert .02 < np.mean([name in f.devices for f in facts]) < .12
    assert not any(f.findings for f in facts)
