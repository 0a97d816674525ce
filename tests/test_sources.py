"""A part's code is its module and what that imports of mammi; a change of any of them is another content."""
from mammi import sources


def test_code_follows_imports_and_nothing_else():
    found = sources.code(["mammi.evaluation.final_layer.FinalLayer", "torch.nn.Linear", "no.such.thing"])
    assert {"mammi.evaluation.final_layer", "mammi.evaluation.metrics", "mammi.lemma", "mammi.synonyms"} <= set(found)
    assert [name for name in found if not name.startswith("mammi.")] == ["torch.nn"]
    assert "mammi.method.mammi" not in found and found == sources.code(["torch.nn", "mammi.evaluation.final_layer"])
    assert found["mammi.synonyms"][1] and not found["mammi.lemma"][1], "the table of synonyms counts"
    assert "mammi.method.mammi" in sources.code(["mammi.method.mammi.Mammi"])


def test_a_change_of_an_imported_module_or_table_is_seen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_of_test.py").write_text("def f():\n    import mammi.lemma\n    from mammi.files import digest\n")
    first = sources.code(["mine_of_test.Method"])
    assert set(first) == {"mine_of_test", "mammi.lemma", "mammi.files"}, "lazy imports, too"
    (tmp_path / "mine_of_test.yaml").write_text("a: 1\n")
    second = sources.code(["mine_of_test.Method"])
    (tmp_path / "mine_of_test.py").write_text("import mammi.lemma\n")
    assert first["mine_of_test"][0] == second["mine_of_test"][0] != sources.code(["mine_of_test"])["mine_of_test"][0]
    assert first != second
