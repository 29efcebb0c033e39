"""The page on systems of first users names an example that is there, and tests that are there."""

import ast
import re
from pathlib import Path

import pytest
from tools.reference import lines

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/systems.md").read_text()
ROWS = [line for line in PAGE.splitlines() if "::test_" in line]


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`([\w/]+\.py)::", PAGE))))
def test_the_tests_that_show_a_demand_are_there(place: str) -> None:
    tree = ast.parse((ROOT / "tests" / place).read_text())
    known = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    named = set(re.findall(rf"`{re.escape(place)}::(\w+)`", PAGE))
    assert named <= known, named - known


def test_each_demand_names_what_shows_it() -> None:
    assert len(ROWS) > 60
    assert all(row.count(" | ") == 2 for row in ROWS)
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "shown by" not in line]
    systems = rows[[row.startswith("| ETL") for row in rows].index(True) :]
    assert systems == ROWS


def test_every_example_is_on_the_page_with_readmes_in_both_languages() -> None:
    for place in sorted((ROOT / "examples").glob("*/start.py")):
        name = place.parent.name
        assert f"](../examples/{name}/README.md)" in PAGE, name
        readme = (place.parent / "README.md").read_text()
        spanish = place.parent / "README.es.md"
        assert spanish.exists() or "## English" in readme, name
        assert f"`tests/examples/test_{name}.py`" in readme or spanish.exists(), name


def test_lines_are_counted_without_what_says_nothing(tmp_path: Path) -> None:
    program = tmp_path / "a.py"
    program.write_text(
        '"""Doc."""\n\n# -- one\nx = 1\n\n# no\ny = 2\n# -- two\ndef f():\n    """D."""\n'
    )
    assert lines.counted(program) == {"one": 2, "two": 1}
    program.write_text("x = 1\n")
    with pytest.raises(ValueError, match="before the first section"):
        lines.counted(program)


def test_each_program_has_the_same_sections() -> None:
    programs = [lines.counted(lines.LINES / f"{name}.py") for name in lines.PROGRAMS.values()]
    assert [list(one) for one in programs] == [list(programs[0])] * 3
