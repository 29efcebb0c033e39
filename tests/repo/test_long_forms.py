"""What `make test` leaves to `make test-long` is shown by another test there, in short."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def marks_of(file: Path) -> list[str]:
    """Return the short form that each mark `long` in the file names."""
    text = file.read_text()
    if "mark.long" not in text:
        return []
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [ast.literal_eval(call.args[0]) for call in calls if is_long(call.func)]


def is_long(mark: ast.expr) -> bool:
    return ast.unparse(mark) == "pytest.mark.long"


def found() -> list[tuple[str, str]]:
    files = [
        f for f in sorted((ROOT / "tests").rglob("test_*.py")) if f.name != Path(__file__).name
    ]
    return [(str(f.relative_to(ROOT)), short) for f in files for short in marks_of(f)]


@pytest.mark.parametrize(("file", "short"), found())
def test_a_long_test_names_a_short_one_that_is_there(file: str, short: str) -> None:
    place, _, name = short.partition("::")
    tree = ast.parse((ROOT / place).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    test = next((n for n in tree.body if isinstance(n, functions) and n.name == name), None)
    assert test is not None, f"{file}: there is no {short}"
    assert not any("long" in ast.unparse(d).lower().split("(")[0] for d in test.decorator_list)


def test_both_are_run_before_a_change_lands() -> None:
    commands = (ROOT / ".ci/run").read_text().splitlines()
    assert {"make test", "make test-long"} <= set(commands)
    makefile = (ROOT / "Makefile").read_text()
    assert '-m "not long"' in makefile
    assert "-m long" in makefile
