"""Who imports whom: the data flow points one way, options never know each other, Hydra stays in run.py."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Low modules: values, files, words, generators. Each may import what stands before it.
LOW = ("errors", "offline", "types", "layout", "files", "text_files", "progress", "tagging", "download", "prefetch",
       "overlap", "reports", "openi", "lemma", "synonyms", "selection", "matching", "image_text", "clip_model",
       "text_encoder", "precision", "phantom", "backbone", "efficientnet", "mammogram", "shards", "cache", "sources")
OPTIONS = ("probing_set", "target", "concept_set", "dissector", "method", "evaluation", "explainer")
STORY = ("evidence", "notebook", "picture", "summary", "run_folder", "report", "fetch_mpnet", "devices", "outputs",
         "sweep")
MAY_IMPORT = {
    **{unit: set(LOW[:i]) for i, unit in enumerate(LOW)},
    **{unit: set(LOW) for unit in (*OPTIONS, *STORY)},
    "finished": {*LOW, "report"},
    "done": {*LOW, "report", "finished"},
    "diff": {"finished", "report"},
    "importance": {"errors"},
    "gate": {*LOW, "evidence", "evaluation"},
    "compare": {*LOW, "evaluation", "report", "finished", "figures"},
    "micn": {*LOW, "evaluation"},
    "tracking": {"errors", "offline", "files", "types", "report"},
    "manifest": {"errors", "text_files"},
    "assets": {"manifest", "download", "files", "errors"},
    "assets_view": {"errors"},
    "tables": {"errors", "types", "files", "report", "finished", "manifest", "evaluation"},
    "figures": {"errors", "files", "lemma", "report", "evaluation"},
    "diff_view": {"diff", "finished", "report"},
    "task": {*LOW, *OPTIONS, *STORY, "done", "gate", "compare", "micn", "finished", "importance", "figures"},
    "__main__": {*LOW, *STORY, "finished", "diff", "diff_view", "manifest", "assets", "assets_view", "tracking",
                 "tables", "figures"},
    "__init__": {"notebook"},
}
FILES = sorted((ROOT / "mammi").rglob("*.py"))


def unit_of(file):
    return file.relative_to(ROOT / "mammi").with_suffix("").parts[0]


def imported(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module if node.module != "mammi" else f"mammi.{node.names[0].name}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_one_way(file):
    unit = unit_of(file)
    assert unit in MAY_IMPORT, f"mammi/{unit} is new: say in this test what it may import"
    for name in imported(file):
        assert name.split(".")[0] not in ("hydra", "omegaconf"), f"{file}: the library does not know Hydra"
        if name.startswith("mammi."):
            other = name.split(".")[1]
            assert other in MAY_IMPORT[unit] | {unit}, f"{unit} must not import mammi.{other}"
            if unit in OPTIONS and other == unit:
                assert not _is_option(unit, name), f"{file}: options of one group never import each other"


def _is_option(unit, name):
    """Whether a yaml of the group points into the module ``name``."""
    return name != f"mammi.{unit}" and any(f"_target_: {name}." in yaml.read_text()
                                           for yaml in (ROOT / "conf" / unit).glob("*.yaml"))


def test_importing_the_package_is_light():
    heavy = "('torch', 'transformers', 'sentence_transformers', 'spacy', 'pandas', 'matplotlib', 'scipy', 'hydra')"
    code = f"import sys, mammi, mammi.__main__; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "[]\n"


def test_composing_imports_nothing_heavy():
    code = ("import sys, runpy; sys.argv = ['run.py', '--cfg', 'job'];\n"
            "try: runpy.run_path('run.py', run_name='__main__')\n"
            "except SystemExit: pass\n"
            "print('HEAVY', [m for m in ('torch', 'transformers', 'pandas', 'matplotlib') if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "HEAVY []" in out.stdout, out.stdout + out.stderr


def test_no_dangerous_calls():
    for file in [*FILES, ROOT / "run.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "os.chdir", "pickle.load", "pickle.loads"), f"{file}: {called}"
            if called == "torch.load":
                assert "weights_only=True" in ast.unparse(node), file
            if called == "np.load":
                assert not any(k.arg == "allow_pickle" for k in node.keywords), file


def test_only_the_downloader_reaches_for_the_network():
    """Else ``offline=true``, resuming and checksums would not hold for all. The hub is asked where a name was given."""
    network = ("urllib.request", "urllib.error", "http", "requests", "httpx", "aiohttp", "ftplib", "wget", "gdown")
    for file in [*FILES, ROOT / "run.py"]:
        for name in imported(file):
            if any(name == part or name.startswith(f"{part}.") for part in network):
                assert file.name == "download.py", f"{file} imports {name}: use mammi.download"
            if name.split(".")[0] == "huggingface_hub":
                assert file.name == "text_encoder.py", f"{file}: models are given by their local path"


def test_no_model_is_fetched_or_run_as_code():
    """Constructors of libraries build networks from their code alone; weights are read by us."""
    for file in [*FILES, ROOT / "run.py"]:
        text = file.read_text(encoding="utf-8")
        for word in ("trust_remote_code", "torch.hub", "load_state_dict_from_url", "load_url", ".extractall("):
            assert word not in text, f"{file}: {word}"
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert options.get("pretrained", "False") in ("False", "str(path)"), f"{file}: {ast.unparse(node)}"
            if called.endswith("timm.create_model"):
                assert options["pretrained"] == "False", f"{file}: {ast.unparse(node)}"
            if called.endswith((".get_model", "models.densenet121", "models.resnet50")):
                assert options["weights"] == "None", f"{file}: {ast.unparse(node)}"
            if called.endswith(".from_pretrained"):
                assert ast.unparse(node.args[0]) == "None", f"{file}: {ast.unparse(node)}"
            if called.endswith("SentenceTransformer"):
                assert options["local_files_only"] == "True", f"{file}: {ast.unparse(node)}"
