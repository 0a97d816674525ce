"""The files around the code say the same as the code."""
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_environment_yml_is_the_same_list_as_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(d["pip"] for d in environment if isinstance(d, dict))
    assert sorted(pip) == sorted(project["dependencies"] + project["optional-dependencies"]["dev"])
    assert f"python{project['requires-python']}" in environment


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.M))
    described = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", makefile, re.M))
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    assert targets == described == phony


def test_every_make_command_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z0-9-]+)`", (ROOT / "README.md").read_text())) <= targets


def test_no_file_is_large():
    import subprocess

    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    sizes = {f: (ROOT / f).stat().st_size for f in files if f and (ROOT / f).exists()}
    weights = sum(size for f, size in sizes.items() if f.endswith(".safetensors"))
    assert weights < 10e6 and all(size < 5e6 for size in sizes.values())
