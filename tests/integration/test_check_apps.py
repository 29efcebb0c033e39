"""What `sereno check` says of apps that this environment cannot serve."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sereno import App, hookimpl
from sereno.cli import main
from sereno.cli.invocation import Invocation
from sereno.plugins import load_plugins
from sereno.settings import Settings


class Console:
    @staticmethod
    @hookimpl
    def sereno_register_apps() -> dict[str, App]:
        return {"/console": App("The console", lambda client: None)}


def check(dsn: str, *args: str, **plugins: Any) -> Result:
    invocation = Invocation()
    given = plugins.items()
    invocation.plugins = load_plugins(Settings(), extra=given, entry_points=False)
    words = ["--database-url", dsn, *args]
    return CliRunner().invoke(main, words, obj=invocation, env={"COLUMNS": "200"})


SENTENCE = (
    "the apps at /console cannot be served: serving apps needs uvicorn, which is not installed: "
    "pip install 'sereno[apps]'"
)


@pytest.fixture
def without_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)  # as where it is not installed


@pytest.mark.usefixtures("without_uvicorn")
def test_check_says_that_uvicorn_is_missing_where_a_plugin_brings_an_app(database: str) -> None:
    told = check(database, "check", console=Console)
    assert told.exit_code == 0
    assert SENTENCE in told.stderr


@pytest.mark.usefixtures("without_uvicorn")
def test_the_command_that_serves_apps_ends_with_the_same_sentence(database: str) -> None:
    told = check(database, "apps", console=Console)
    assert told.exit_code == 2
    assert "serving apps needs uvicorn, which is not installed" in told.stderr


@pytest.mark.usefixtures("without_uvicorn")
def test_check_says_nothing_of_uvicorn_where_no_plugin_brings_an_app(database: str) -> None:
    assert "uvicorn" not in check(database, "check").output


def test_check_says_nothing_of_uvicorn_where_it_is_installed(database: str) -> None:
    assert "uvicorn" not in check(database, "check", console=Console).output


DYING = """
import os
from sereno import App, hookimpl

@hookimpl
def sereno_register_apps():
    return {"/dying": App("It dies", FACTORY)}
"""


@pytest.mark.parametrize(
    ("factory", "code", "sentence"),
    [
        ("lambda client: os._exit(3)", 1, "it exited with code 3"),
        ("lambda client: os.abort()", 1, "it was ended by SIGABRT"),
        ("lambda client: 1 / 0", 0, None),  # it answers 503, and says why
    ],
)
def test_check_tells_of_an_app_that_dies_at_once(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    factory: str,
    code: int,
    sentence: str | None,
) -> None:
    name = f"dying_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(DYING.replace("FACTORY", factory))
    monkeypatch.syspath_prepend(str(tmp_path))
    told = check(database, "check", dying=importlib.import_module(name))
    assert told.exit_code == code, told.stderr
    found = f"the process of the apps at /dying cannot be kept: {sentence}"
    assert (found in told.stderr) == (sentence is not None)
