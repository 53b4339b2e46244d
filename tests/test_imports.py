"""The project holds its own order of imports; the rules themselves are tested in tests/scripts."""

from scripts.check_imports import ROOT, broken_rules, heavy_at_start, imports


def test_imports_go_one_way():
    found = list(imports(ROOT))
    assert len(found) > 300
    assert broken_rules(found) == []


def test_base_and_the_command_line_start_without_anything_heavy():
    assert heavy_at_start(ROOT) == []
