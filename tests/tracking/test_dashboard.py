"""The dashboard without a server: every name on it is one that runs have."""
import json

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from mammi.__main__ import main
from mammi.cache import Cache
from mammi.errors import MissingAsset
from mammi.evaluation.final_layer import FinalLayer
from mammi.method.mammi import Mammi
from mammi.run_folder import RunFolder
from mammi.selection import TopK
from mammi.task.annotate import annotate
from mammi.tracking.config import sendable
from mammi.tracking.record import PICTURES, records
from tests.test_conf import CONF
from tests.tiny import TinyConcepts, TinyDissector, TinySet, TinyTarget

wr = pytest.importorskip("wandb_workspaces.reports.v2", reason="pip install wandb-workspaces")


class TinyEncoder:
    fingerprint = "tiny-encoder-1"

    def embed(self, texts):
        return TinyDissector().embed_texts(texts)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    annotate(TinyTarget(), TinySet(), TinyConcepts(), TinyDissector(), TopK(2), Mammi(),
             FinalLayer(bootstrap=20, text_encoders={"minilm": TinyEncoder()}), Cache(folder / "cache"), 2,
             RunFolder(folder / "run", choices={"task": "annotate"}))
    return records(folder)[0]


@pytest.fixture(scope="module")
def panels():
    from mammi.tracking.dashboard import workspace

    return [panel for section in workspace("someone", "mammi").sections for panel in section.panels]


def named(panels):
    """(summary metrics, config keys) that the panels refer to."""
    found = []
    for panel in panels:
        if isinstance(panel, wr.BarPlot):
            found += [wr.SummaryMetric(name) for name in panel.metrics]
            found += [panel.groupby] if isinstance(panel.groupby, wr.Config) else []
        elif isinstance(panel, wr.ScatterPlot):
            found += [panel.x, panel.y]
        elif isinstance(panel, wr.ParallelCoordinatesPlot):
            found += [column.metric for column in panel.columns]
    return [{one.name for one in found if isinstance(one, kind)} for kind in (wr.SummaryMetric, wr.Config)]


def test_every_metric_is_one_of_a_run(run, panels):
    metrics, _ = named(panels)
    assert metrics <= set(run.summary) and {"hit", "f1", "cos_minilm", "hit_low"} <= metrics


def test_every_config_key_is_one_of_a_run(panels):
    sent = set()
    for overrides in ([], ["target=planted"]):
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", overrides=overrides, return_hydra_config=True)
        sent |= {f"choice.{group}" for group in cfg.hydra.runtime.choices}
        with_hydra = OmegaConf.to_container(cfg, resolve=False)
        sent |= set(sendable({key: value for key, value in with_hydra.items() if key != "hydra"}))
    _, keys = named(panels)
    assert keys <= sent and {"selection.alpha", "target.noise", "choice.method"} <= keys


def test_tables_and_pictures_are_those_of_the_mirror(run, panels):
    assert [panel.table_name for panel in panels if isinstance(panel, wr.WeavePanelSummaryTable)] == ["neurons"]
    assert run.table
    keys = [key for panel in panels if isinstance(panel, wr.MediaBrowser) for key in panel.media_keys]
    assert keys and all(f"{key.removeprefix('pictures/')}.png" in PICTURES for key in keys)


def test_a_dry_run_writes_the_specification(tmp_path, capsys):
    main(["dashboard", "--entity", "someone", "--project", "mammi", "--dry-run", str(tmp_path / "board.json")])
    made = json.loads((tmp_path / "board.json").read_text())
    assert made["entity"] == "someone" and made["project"] == "mammi" and "nothing sent" in capsys.readouterr().out
    sections = made["spec"]["section"]["panelBankConfig"]["sections"]
    kinds = {panel["viewType"] for section in sections for panel in section["panels"]}
    assert {"Bar Chart", "Scatter Plot", "Parallel Coordinates Plot", "Weave"} <= kinds


@pytest.mark.fault
def test_without_a_key_the_dry_run_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(SystemExit, match="--dry-run"):
        main(["dashboard", "--entity", "someone"])


@pytest.mark.fault
def test_without_the_package_the_command_says_what_to_install(monkeypatch):
    from mammi.tracking.dashboard import workspace

    monkeypatch.setitem(__import__("sys").modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(MissingAsset, match="pip install wandb-workspaces"):
        workspace("someone", "mammi")
