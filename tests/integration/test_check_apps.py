"""What `sereno check` says of apps that this environment cannot serve."""

import sys
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
