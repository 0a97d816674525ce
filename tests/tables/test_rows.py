"""The paper's numbers as they are in the repository, and rows that the experiments really run."""
from itertools import product
from pathlib import Path

import pytest
import yaml

from mammi.tables.rows import METRICS, PROFILES, tables

CONF = Path(__file__).parents[2] / "conf"
TABLES = tables()


def test_the_row_that_all_tables_share():
    for table, label in (("table1", "MIMIC nouns"), ("table4", "MAMMI"), ("table5", "MAMMI")):
        published = TABLES[table].rows[label].published
        assert {key: str(of) for key, of in published.items()} == {
            "hit": "0.2857 ± 0.121", "f1": "0.2619 ± 0.113", "cos_clip": "0.8599 ± 0.024",
            "cos_mpnet": "0.5290 ± 0.084"}
    for table, label in (("table2", "adaptive"), ("table3", "MedCLIP")):
        published = TABLES[table].rows[label].published
        assert [published[key].value for key in ("cos_clip", "cos_mpnet")] == ["0.8599", "0.5290"]


def test_every_row_has_published_numbers_of_known_metrics():
    count = 0
    for table in TABLES.values():
        for row in table.rows.values():
            assert row.published and set(row.published) <= set(METRICS), row
            assert all(0 <= float(of.value) <= 1 or metric.startswith("unique") for metric, of in row.published.items())
            count += len(row.published)
    lines = (Path(CONF.parent) / "mammi/tables/published.csv").read_text().splitlines()
    assert len(lines) == count + 1, "a line of published.csv is of no row"
    assert TABLES["table2"].rows["adaptive, penultimate"].published["unique_all"].value == "96"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", TABLES)
def test_the_experiment_sweeps_over_these_rows(name, profile):
    content = yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text())
    swept = {key: options.replace("${rows.${profile.name}}", content.get("rows", {}).get(profile, "")).split(",")
             for key, options in content["hydra"]["sweeper"]["params"].items() if key != "seed"}
    jobs = [dict(zip(swept, options)) for options in product(*swept.values())]
    rows = [row.options(profile) for row in TABLES[name].rows.values()]
    assert content["name"] == name and sorted(map(sorted_items, jobs)) == sorted(map(sorted_items, rows))


def sorted_items(settings):
    return sorted(settings.items())


def test_a_row_says_how_it_is_made():
    assert TABLES["table3"].rows["MedCLIP"].command("paper") == \
        "python run.py experiment=table3 profile=paper dissector=medclip"
    assert TABLES["table4"].rows["TSI"].command("phantom") == "python run.py experiment=table4 method=tsi"
