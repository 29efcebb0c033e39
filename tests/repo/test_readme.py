"""What the README promises has a test, its jobs are jobs, and its commands are commands."""

import re
import shlex
from pathlib import Path

import pytest

from sereno import Job
from sereno.cli import main

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.es.md")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def section(name: str, anchor: str) -> str:
    return text(name).partition(f"\n## {anchor}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("name", "anchor"), [*zip(READMES, ("Guarantees", "Garantías"), strict=True)]
)
def test_every_guarantee_names_a_test_that_is_there(name: str, anchor: str) -> None:
    rows = re.findall(
        r"^\| .* \| \[(test_\w+)\]\(([^)]+)\) \|$", section(name, anchor), re.MULTILINE
    )
    assert len(rows) >= 12
    for test, file in rows:
        assert re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), (
            test
        )
    assert len(re.findall(r"^\| ", section(name, anchor), re.MULTILINE)) == len(rows) + 1


def test_every_row_of_the_comparison_has_a_cell_for_each() -> None:
    rows = re.findall(r"^\|.*\|$", section("README.md", "Beside others"), re.MULTILINE)
    assert len(rows) > 15
    assert {row.count("|") for row in rows} == {11}


@pytest.mark.parametrize("name", READMES)
def test_its_job_is_one(name: str) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", text(name), re.DOTALL | re.MULTILINE)
    made: dict[str, object] = {}
    exec(compile(example, name, "exec"), made)
    (declared,) = (value for value in made.values() if isinstance(value, Job))
    declared.check()


@pytest.mark.parametrize("name", READMES)
def test_its_commands_are_there(name: str) -> None:
    lines = re.findall(r"^    sereno (.*?)(?:\s+#.*)?$", text(name), re.MULTILINE)
    assert len(lines) > 4
    for line in lines:
        command, *words = shlex.split(line)
        found = main.get_command(None, command)  # type: ignore[arg-type]
        assert found is not None, line
        options = {name for p in found.params for name in (*p.opts, *p.secondary_opts)}
        assert [w for w in words if w.startswith("--") and w not in options] == [], line
    targets = re.findall(r"^    make (\w+)", text(name), re.MULTILINE)
    assert {"run", "test"} <= set(targets)
    for target in targets:
        assert f"\n{target}: " in text("Makefile")
