"""What a server runs for each change, and git before a commit, are targets of the Makefile."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+): .*## ", MAKEFILE, re.MULTILINE))
ELSE = ("git diff --exit-code", "apt-get ", "docker ")


def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())
    return found["jobs"]


def target(command: str) -> str:
    assert command.startswith("make "), command
    return command.split()[1]


def test_a_workflow_runs_targets_and_little_else() -> None:
    commands = [s["run"] for job in workflow().values() for s in job["steps"] if "run" in s]
    called = [target(c) for c in commands if not c.startswith(ELSE)]
    assert set(called) <= TARGETS
    assert {"check", "test", "test-versions", "release-check", "docs"} <= set(called)


def test_it_runs_on_every_python_that_the_distribution_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    for job in ("check", "test"):
        assert workflow()[job]["strategy"]["matrix"]["python"] == named


@pytest.mark.parametrize("variable", workflow()["test"]["env"])
def test_each_of_its_variables_is_read_by_a_test(variable: str) -> None:
    assert any(variable in file.read_text() for file in (ROOT / "tests").rglob("*.py"))


def test_git_calls_the_same_targets() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    called = [target(hook["entry"]) for repo in config["repos"] for hook in repo["hooks"]]
    assert called == ["check", "test"]
