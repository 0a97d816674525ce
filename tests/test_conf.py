"""Every shipped yaml composes, and builds or names what it lacks."""
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf

from mammi.errors import BadInput, MammiError, MissingAsset
from mammi.types import VERDICTS
from run import behind, build, build_all, teach

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
BUILT = ("target", "probing_set", "concept_set", "dissector", "selection", "method", "evaluation", "explainer")
OPTIONS = [(group, file.stem) for group in BUILT for file in sorted((CONF / group).glob("*.yaml"))]
OTHERS = [(folder.name, file.stem) for folder in sorted(CONF.iterdir()) if folder.is_dir() and folder.name not in BUILT
          for file in sorted(folder.glob("*.yaml"))]
# What an option lacks on a machine without data: a word of the error that names it.
LACKS = {("probing_set", "image_folder"): "probing_set.root", ("concept_set", "text_file"): "concept_set.path",
         ("dissector", "lit"): "dissector.weights", ("target", "densenet121_nih14"): "target_weights",
         ("target", "resnet50_nih14"): "target_weights", ("target", "torchxrayvision"): "target_weights",
         ("target", "torchvision"): "target.model", ("target", "timm"): "target.model",
         ("target", "own"): "target.module",
         **{("target", name): "target_weights" for name in ("resnet50_imagenet", "vgg19_imagenet",
                                                            "densenet169_imagenet", "dinov2_small")},
         ("dissector", "medclip"): "paths.medclip", ("dissector", "medclip_package"): "paths.medclip",
         ("dissector", "open_clip"): "paths.clip",
         ("dissector", "cxr_repair"): "paths.cxr_repair",
         ("dissector", "medklip"): "paths.medklip", ("dissector", "biomedclip"): "paths.biomedclip",
         ("dissector", "mammo_clip"): "paths.mammo_clip", ("concept_set", "mammo763"): "paths.mammo763",
         ("target", "mammo_clip_tower"): "paths.mammo_clip"}


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("MAMMI_DATA", raising=False)


def config(*overrides):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


@pytest.mark.parametrize("group, option", OPTIONS)
def test_every_option_builds_or_names_what_it_lacks(group, option):
    cfg = config(f"{group}={option}")
    assert cfg[group]._target_.startswith(f"mammi.{group}."), "a group's options live in the package of its name"
    try:
        built = build(cfg, group)
    except Exception as error:
        message = teach(error)
        assert "MissingAsset" in message or "BadInput" in message
        lacks = LACKS.get((group, option), "paths.data")
        assert lacks in message, f"the error must name {lacks}: {message}"
    else:
        assert (group, option) not in LACKS or group == "concept_set"
        assert built is not None


@pytest.mark.parametrize("option, refuses", [("report", ()), ("strict", ("unverified", "failed"))])
def test_the_gate_is_built_and_says_whom_it_refuses(option, refuses):
    gate = build(config(f"gate={option}"), "gate")
    assert set(VERDICTS) - set(gate.allow) == set(refuses)
    assert not build(config("gate=none"), "gate")


@pytest.mark.parametrize("group, option", OTHERS)
def test_every_other_yaml_composes(group, option):
    cfg = config(f"{group}={option}")
    if group == "task":
        assert callable(get_method(cfg.task._target_))
    OmegaConf.to_container(cfg, resolve=False)


def test_every_group_has_a_place_in_the_defaults_list():
    text = (CONF / "config.yaml").read_text()
    for folder in CONF.iterdir():
        assert not folder.is_dir() or f"- {folder.name}: " in text, f"{folder.name} is not in the defaults list"


@pytest.mark.parametrize("override", ["concept_set=openi_noun", "experiment=tabel1", "selection.alfa=0.9", "sead=1"])
def test_a_typo_is_an_error(override):
    with pytest.raises(ConfigCompositionException):
        config(override)


@pytest.mark.parametrize("key", ["selection.alpha", "method.beta", "target.layer", "target.activation",
                                 "probing_set.limit", "dissector.seed", "paths.data", "seed", "device", "batch_size"])
def test_names_people_type(key):
    assert OmegaConf.select(config(), key, default="absent") != "absent"


@pytest.mark.parametrize("key, overrides", [("selection.k", ["selection=top_k"]),
                                            ("probing_set.root", ["probing_set=image_folder"]),
                                            ("concept_set.path", ["concept_set=text_file"])])
def test_names_people_type_with_an_option(key, overrides):
    cfg = config(*overrides)
    assert key.split(".")[1] in cfg[key.split(".")[0]]


@pytest.mark.parametrize("override, words", [("selection.alpha=93", "0.93"), ("method.beta=95", "0.95"),
                                             ("method.beta=high", "method.beta"),
                                             ("method.on_nonpositive_max=none", "top1"),
                                             ("gate.allow=[verifed]", "Did you mean verified"),
                                             ("gate.images=3", "gate.images")])
def test_bad_values_teach(override, words):
    group = override.split(".")[0]
    with pytest.raises(Exception) as caught:
        instantiate(config(override)[group])
    assert words in teach(caught.value)


def test_teach_finds_our_error_and_lets_others_through():
    try:
        raise RuntimeError("outer") from MissingAsset("give it a path")
    except RuntimeError as error:
        assert teach(error) == "\nMissingAsset: give it a path"
    with pytest.raises(ZeroDivisionError):
        teach(ZeroDivisionError())
    assert issubclass(MissingAsset, MammiError)


def raised(*overrides, name="target"):
    with pytest.raises(Exception) as error:  # noqa: PT011
        build(config(*overrides), name)
    return error.value


def test_an_unknown_key_is_told_in_one_line():
    message = teach(raised("+target.foo=1"))
    assert "unexpected keyword argument 'foo'" in message and message.strip().count("\n") == 0


def test_a_bug_in_what_is_built_is_not_taken_for_an_unknown_key(monkeypatch):
    def broken(self, **options):
        len(3)

    monkeypatch.setattr("mammi.selection.Adaptive.__init__", broken)
    error = raised(name="selection")
    assert behind(error) is None
    with pytest.raises(type(error)):
        teach(error)


def test_a_bug_while_handling_bad_input_is_not_hidden():
    def handled(told):
        try:
            try:
                raise MissingAsset("no file")
            except MissingAsset as error:
                if told:
                    raise RuntimeError("told") from error
                raise RuntimeError("bug")  # noqa: B904
        except RuntimeError as error:
            return error

    assert isinstance(behind(handled(told=True)), MissingAsset)
    assert isinstance(handled(told=False).__context__, MissingAsset) and behind(handled(told=False)) is None


def test_what_two_options_lack_is_told_once(monkeypatch):
    def lacking(cfg, name):
        raise MissingAsset("the same file")

    monkeypatch.setattr("run.build", lacking)
    with pytest.raises(MissingAsset) as error:
        build_all(None, ("target", "probing_set"))
    assert str(error.value).startswith("the same file\n\n") and str(error.value).count("the same file") == 1
    assert "python -m mammi assets" in str(error.value)


def test_a_cache_folder_that_cannot_be_used_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "cache", tmp_path / "file"):
        error = raised(f"paths.cache={folder}", name="cache")
        assert isinstance(error, BadInput) and f"paths.cache={folder} cannot be used" in str(error)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "not writable" in str(raised(f"paths.cache={tmp_path}", name="cache"))
