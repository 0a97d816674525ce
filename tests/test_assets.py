"""The manifest against the configs, and what `python -m mammi assets` says about files that are and are not there."""
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from mammi import fetch_mpnet
from mammi.__main__ import main
from mammi.assets import STATES, Shelf
from mammi.concept_set import mimic_nouns
from mammi.errors import BadInput, MissingAsset
from mammi.manifest import CREDENTIALS, MANIFEST, Manifest

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
FILES = {"weights.bin": b"weights", "list.txt": b"words", "part.bin": b"part"}
SHA256 = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}


@pytest.fixture(scope="module")
def shipped():
    return Manifest()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working folder of its own, without data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAMMI_DATA", raising=False)
    return tmp_path


@pytest.fixture
def own(tmp_path):
    """A small manifest whose downloads are files of this machine."""
    there = tmp_path / "there"
    there.mkdir()
    for name, data in FILES.items():
        (there / name).write_bytes(data)
    with zipfile.ZipFile(there / "model.zip", "w") as archive:
        archive.writestr("model/inside.bin", b"inside")
    common = {"what": "a thing", "source": "https://example.org", "licence": "MIT", "credentials": "none"}

    def download(key, **files):
        return {**common, "got": "download", "key": key, "files": [
            {"file": name, "url": (there / name).as_uri(), **more} for name, more in files.items()]}

    zipped = download("paths.zipped", **{"model.zip": {}})
    zipped["files"][0] |= {"file": "inside.bin", "member": "inside.bin"}
    content = {
        "settings": {"paths.data": "$MAMMI_DATA", "paths.outputs": "outputs", "paths.cache": None, "paths.one": None,
                     "paths.zipped": None, "paths.made": None, "paths.mine": None},
        "assets": {
            "one": download("paths.one", **{"weights.bin": {"sha256": SHA256["weights.bin"], "size": 7}})
            | {"place": "file"},
            "zipped": zipped,
            "lists": download("paths.data", **{"list.txt": {"sha256": SHA256["list.txt"]}, "part.bin": {}})
            | {"place": "folder"},
            "kept": download("paths.data", **{"list.txt": {}}) | {"also": "paths.cache/downloads"},
            "made": {**common, "got": "make thing", "key": "paths.made", "files": ["a.json", "b.json"]},
            "mine": {**common, "got": "by hand", "key": "paths.mine", "credentials": "agreement",
                     "next": "sign at SOURCE, then paths.mine=FOLDER", "files": ["images/*.png", ["a.csv", "b.csv"]]}},
        "options": {"target": {"plain": [], "one": ["one"], "any": [["mine", "zipped", "one"]], "hand": ["mine"],
                               "both": ["target/one", "mine"]},
                    "evaluation": {"some": {"optional": ["made"], "without": "less"}}}}
    path = tmp_path / "assets.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def shelf(path, *words, **environ):
    return Shelf(Manifest(path), words, environ)


# --- the shipped manifest --------------------------------------------------------------------------------------------

def test_every_option_of_every_group_is_listed_and_no_other(shipped):
    there = {folder.name: {file.stem for file in folder.glob("*.yaml")} for folder in CONF.iterdir() if folder.is_dir()}
    assert {group: set(options) for group, options in shipped.options.items()} == there


def test_paths_are_those_of_the_config(shipped):
    """The library does not read conf/, so the defaults stand twice."""
    paths = yaml.safe_load((CONF / "paths" / "default.yaml").read_text())
    ours = {key.removeprefix("paths."): value for key, value in shipped.settings.items() if key.startswith("paths.")}
    assert paths == ours | {"data": "${oc.env:MAMMI_DATA,null}", "cache": "${.outputs}/cache"}
    assert ours["data"] == "$MAMMI_DATA"
    assert Shelf(shipped, ["paths.outputs=x"], {"MAMMI_DATA": "/d"}).values == {
        **shipped.settings, "paths.data": "/d", "paths.outputs": "x", "paths.cache": "x/cache"}


@pytest.mark.parametrize("key", yaml.safe_load(MANIFEST.read_text())["settings"])
def test_settings_are_keys_of_the_config(key):
    group, *names = key.split(".")
    configs = [yaml.safe_load(file.read_text()) for file in (CONF / group).glob("*.yaml")]
    for name in names:
        configs = [config[name] for config in configs if isinstance(config, dict) and name in config]
    assert configs


@pytest.mark.parametrize("name", yaml.safe_load(MANIFEST.read_text())["assets"])
def test_every_asset_can_be_acted_upon(name, shipped):
    asset = shipped.assets[name]
    used = {n for group, options in shipped.options.items() for option, entry in options.items()
            for any_of in (*shipped.needs(group, option), entry.optional) for n in any_of}
    assert name in used, "an asset that no option needs"
    assert asset.credentials in CREDENTIALS and asset.what and asset.licence
    assert asset.source == "you" or re.match("https?://", asset.source)
    assert set(asset.keys) <= set(shipped.settings)
    if asset.got == "by hand":
        assert any(f"{key}=" in asset.next for key in (*asset.keys, "probing_set")), "the next step names the setting"
    for file in asset.files:
        assert file.url is None or file.url.startswith("https://")
    if asset.got.startswith("make "):
        assert f"\n{asset.got.removeprefix('make ')}:" in (ROOT / "Makefile").read_text()


def test_what_stands_twice_is_the_same(shipped):
    nouns = shipped.assets["mimic_nouns"].files[0]
    assert (nouns.url, nouns.sha256, nouns.names) == (mimic_nouns.URL, mimic_nouns.SHA256, mimic_nouns.PLACES)
    model = shipped.assets["all-mpnet-base-v2"]
    assert model.files[1].sha256 == fetch_mpnet.SHA256
    assert f"outputs/models/{model.name}" in (ROOT / "Makefile").read_text()
    said = (ROOT / "mammi" / "dissector" / "medclip_checkpoint.py").read_text()
    assert shipped.assets["medclip"].source.removeprefix("https://") in said
    assert shipped.assets["medclip"].files[0].url.rsplit("/")[-1] in said


def test_torchxrayvision_files_are_the_package_s(shipped):
    text = Path(find_spec("torchxrayvision").origin).with_name("models.py").read_text()
    urls = [file.url for name, asset in shipped.assets.items() if name.startswith("torchxrayvision_")
            for file in asset.files]
    assert len(urls) == 7 and all(f"'{url}'" in text for url in urls)


def test_layouts_are_those_of_the_loaders(shipped):
    """Each probing set of the data folder: its files begin with the folder that its yaml names."""
    for option in shipped.options["probing_set"]:
        config = yaml.safe_load((CONF / "probing_set" / f"{option}.yaml").read_text())
        if config.get("root") != "${paths.data}":
            continue
        names = [name for any_of in shipped.needs("probing_set", option) for one in any_of
                 for file in shipped.assets[one].files for name in file.names]
        assert names and all(name.startswith(f"{config['folder']}/") for name in names), option
        tables = config["csv"] if isinstance(config.get("csv"), list) else [config.get("csv")]
        for table in filter(None, tables):
            assert f"{config['folder']}/{table}" in names, f"{option}: {table}"


def test_the_shared_test_data_is_found(shipped):
    if not os.environ.get("MAMMI_DATA"):
        pytest.skip("no MAMMI_DATA")
    here = Shelf(shipped)
    ready = {name for name in shipped.assets if here.state(name) == "ready"}
    assert {"nih14", "covid_cxr", "mini_mias", "ham10000", "mimic_nouns", "chestx_det_annotations"} <= ready
    checked = {(name, path.name): found == published for name, path, found, published in here.verify() if published}
    assert checked and all(checked.values())


# --- the command -----------------------------------------------------------------------------------------------------

def test_the_table_is_quiet_about_what_is_ready_and_says_the_next_step(home, capsys, shipped):
    main(["assets"])
    said = capsys.readouterr().out
    lines = said.splitlines()
    for group, options in shipped.options.items():
        for option in options:
            state = Shelf(shipped, environ={}).option(group, option)
            row = [line for line in lines if line.startswith(f"{group}={option} ")]
            if state[1] or state[2]:
                assert len(row) == 1 and (state[0] in row[0])
            else:
                assert sum(f" {option} " in line.replace("=", " ") + " " for line in lines
                           if line.startswith(f"ready: {group}=")) == 1
    assert "python -m mammi assets --get medclip" in said and "make mpnet" in said
    assert "licence: PhysioNet" in said and "needs a signed agreement" in said
    assert not list(home.iterdir()), "looking makes nothing"


def test_json_says_the_same(home, capsys, shipped):
    main(["assets", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert len(said["options"]) == sum(map(len, shipped.options.values()))
    assert {option["state"] for option in said["options"]} <= set(STATES)
    assert set(said["assets"]) == set(shipped.assets)
    assert all(asset["next"] or asset["state"] == "ready" for asset in said["assets"].values())


def test_only_what_was_asked_for(home, capsys):
    main(["assets", "profile=paper", f"paths.data={home}"])
    said = capsys.readouterr().out
    assert "profile=paper" in said and "medical_mae_densenet121" in said and "vindr" not in said


def test_it_imports_nothing_heavy():
    heavy = "('torch', 'hydra', 'omegaconf', 'transformers', 'pandas', 'PIL')"
    code = ("import sys; from mammi.__main__ import main; main(['assets']); main(['assets', '--json'])\n"
            f"print('HEAVY', [m for m in {heavy} if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("HEAVY []\n"), done.stderr


def test_states(own, tmp_path):
    here = shelf(own)
    assert [here.option("target", option)[0] for option in ("plain", "one", "any", "hand", "both")] == [
        "ready", "downloadable", "downloadable", "missing", "missing"]
    assert here.option("target", "both")[1] == ["one", "mine"] and here.option("target", "any")[1] == ["zipped"]
    assert here.option("evaluation", "some") == ("ready", [], ["made"])
    assert here.next("mine") == "sign at https://example.org, then paths.mine=FOLDER"
    assert here.next("made") == "make thing, then paths.made=outputs/models/made"
    assert here.next("lists") == "python -m mammi assets --get lists paths.data=FOLDER"
    assert shelf(own, MAMMI_DATA="d").next("lists").endswith("python -m mammi assets --get lists")
    assert here.next("kept") == "python -m mammi assets --get kept"


def test_presence_by_patterns_and_alternatives(own, tmp_path):
    (tmp_path / "m" / "images").mkdir(parents=True)
    here = shelf(own, f"paths.mine={tmp_path / 'm'}")
    assert here.next("mine").startswith(f"paths.mine={tmp_path / 'm'} has no images/*.png, a.csv or b.csv; sign at")
    (tmp_path / "m" / "images" / "1.png").touch()
    (tmp_path / "m" / "b.csv").touch()
    assert here.state("mine") == "ready" and here.next("mine") == "" and here.option("target", "hand")[0] == "ready"
    assert here.option("target", "any") == ("ready", [], [])


def test_what_make_made_but_nobody_names(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "models" / "made"
    folder.mkdir(parents=True)
    for name in ("a.json", "b.json"):
        (folder / name).touch()
    assert shelf(own).state("made") == "missing"
    assert shelf(own).next("made") == "it is here, say so: paths.made=outputs/models/made"
    assert shelf(own, f"paths.made={folder}").state("made") == "ready"


def test_get(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "use it: paths.one=outputs/models/one/weights.bin" in shelf(own).get("one")
    assert Path("outputs/models/one/weights.bin").read_bytes() == b"weights"
    named = shelf(own, "paths.one=outputs/models/one/weights.bin")
    assert named.state("one") == "ready" and "already here" in named.get("one")
    with pytest.raises(MissingAsset, match="it is here, say so"):
        shelf(own).get("one")
    assert shelf(own, "paths.one=outputs/models/one").next("one").startswith("paths.one=outputs/models/one is no file")

    shelf(own, "paths.zipped=z").get("zipped")
    assert [p.name for p in Path("z").iterdir()] == ["inside.bin"], "the archive goes"
    assert Path("z/inside.bin").read_bytes() == b"inside"
    shelf(own, "paths.zipped=y/renamed.bin").get("zipped")
    assert Path("y/renamed.bin").read_bytes() == b"inside"

    assert "use it" not in shelf(own, "paths.data=data").get("lists")
    assert sorted(p.name for p in Path("data").iterdir()) == ["list.txt", "part.bin"]
    shelf(own).get("kept")
    assert Path("outputs/cache/downloads/list.txt").read_bytes() == b"words" and shelf(own).state("kept") == "ready"


def test_verify(own, tmp_path, capsys):
    from mammi.assets_view import verify

    data = tmp_path / "data"
    shelf(own, f"paths.data={data}").get("lists")
    verify(shelf(own, f"paths.data={data}"))
    said = capsys.readouterr().out
    assert "list.txt: sha256 " + SHA256["list.txt"] + ": as published" in said
    assert "part.bin: sha256 " + SHA256["part.bin"] + ": no checksum is published" in said


def test_verify_without_a_file_says_so(home, capsys):
    main(["assets", "--verify"])
    assert "no file of the manifest is here. Next: name your folder, paths.data=FOLDER" in capsys.readouterr().out


def test_a_setting_emptied_is_not_told_again(own):
    assert shelf(own, "paths.data=").next("lists").endswith("--get lists paths.data=FOLDER")


# --- faults ----------------------------------------------------------------------------------------------------------

@pytest.mark.fault
def test_a_changed_file_is_told_by_verify(own, tmp_path, capsys):
    from mammi.assets_view import verify

    data = tmp_path / "data"
    shelf(own, f"paths.data={data}").get("lists")
    (data / "list.txt").write_bytes(b"word")
    with pytest.raises(BadInput, match=f"list.txt .expected {SHA256['list.txt']}.*delete"):
        verify(shelf(own, f"paths.data={data}"))
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.fault
def test_a_page_instead_of_a_known_file_is_not_kept(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there" / "weights.bin").write_bytes(b"<html>")
    with pytest.raises(BadInput, match="6 bytes where 7 are expected"):
        shelf(own).get("one")
    (tmp_path / "there" / "weights.bin").write_bytes(b"<html>!")
    with pytest.raises(BadInput, match="sha256"):
        shelf(own).get("one")
    assert not [p for p in (tmp_path / "outputs").rglob("*") if p.is_file()]


@pytest.mark.fault
def test_a_download_that_fails_says_where_the_file_belongs(own, tmp_path):
    (tmp_path / "there" / "weights.bin").unlink()
    with pytest.raises(MissingAsset, match=r"cannot be had: .*Next: try again .*put it at .*one/weights\.bin$"):
        shelf(own, f"paths.one={tmp_path / 'one'}").get("one")
    (tmp_path / "there" / "model.zip").unlink()
    with pytest.raises(MissingAsset, match=r"take inside\.bin out of it and put it at .*z/inside\.bin$"):
        shelf(own, f"paths.zipped={tmp_path / 'z'}").get("zipped")


@pytest.mark.fault
def test_one_thing_at_a_time(home, capsys):
    with pytest.raises(SystemExit):
        main(["assets", "--verify", "--json"])
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.fault
@pytest.mark.parametrize("name, words", [("onee", "Did you mean one"), ("mine", "sign at"), ("made", "make thing"),
                                         ("lists", "belongs into a folder of yours.*paths.data=FOLDER")])
def test_what_get_cannot_get(own, tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((BadInput, MissingAsset), match=words):
        shelf(own).get(name)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.fault
@pytest.mark.parametrize("word, says", [("paths.dat=x", "paths.data"), ("paths.data", "KEY=VALUE"),
                                        ("x=1", "KEY=VALUE"), ("target=oen", "Did you mean one")])
def test_settings_that_are_none(own, word, says):
    with pytest.raises(BadInput, match=says):
        shelf(own, word)


@pytest.mark.fault
@pytest.mark.parametrize("change, says", [
    (lambda c: c["assets"]["one"].update(licens="x"), "assets.one: unknown key licens. Did you mean licence"),
    (lambda c: c["assets"]["one"]["files"][0].update(sha265="x"), "unknown key sha265. Did you mean sha256"),
    (lambda c: c["assets"]["one"]["files"][0].update(sha256="ABC"), "no sha256"),
    (lambda c: c["assets"]["one"].pop("licence"), "assets.one: .*licence"),
    (lambda c: c["assets"]["one"].update(credentials="yes"), "credentials are none, account, agreement"),
    (lambda c: c["assets"]["one"].update(got="somehow"), "got is download"),
    (lambda c: c["assets"]["made"].update(got="download"), "have a url"),
    (lambda c: c["assets"]["one"].update(got="by hand"), "have a url"),
    (lambda c: c["assets"]["made"].update(place="file"), "a file is one"),
    (lambda c: c["assets"]["one"].update(key="paths.on"), "assets.one: paths.on is none of the settings"),
    (lambda c: c["options"]["target"].update(x=["ones"]), "there is no asset ones. Did you mean one"),
    (lambda c: c["options"]["target"].update(x=["target/on"]), "refers to target/on"),
    (lambda c: c["options"]["target"].update(x={"need": []}), "unknown key need. Did you mean needs"),
    (lambda c: c["options"]["target"].update(x={"optional": ["mad"]}), "there is no asset mad. Did you mean made"),
    (lambda c: c.pop("options"), "settings, assets and options")])
def test_manifest_faults(own, change, says):
    content = yaml.safe_load(own.read_text())
    change(content)
    own.write_text(yaml.safe_dump(content))
    with pytest.raises(BadInput, match=says):
        Manifest(own)


@pytest.mark.fault
def test_the_command_tells_errors_in_one_line(home):
    done = subprocess.run([sys.executable, "-m", "mammi", "assets", "--get", "medclipp"], cwd=home, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1 and done.stderr.startswith("BadInput: there is no asset medclipp. Did you mean medclip")
