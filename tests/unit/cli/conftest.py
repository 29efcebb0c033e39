import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sereno.cli import main
from sereno.cli.invocation import Invocation
from sereno.plugins import load_plugins
from sereno.settings import Settings

Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's settings out: an empty directory, no variable of ours."""
    for name in [name for name in os.environ if name.startswith("SERENO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call() -> Call:
    """Call ``sereno`` with `plugins`: objects with hooks, by name."""

    def run(*args: str, plugins: dict[str, Any] | None = None) -> Result:
        invocation = Invocation()
        given = {name: SimpleNamespace(**hooks) for name, hooks in (plugins or {}).items()}
        invocation.plugins = load_plugins(Settings(), extra=given.items(), entry_points=False)
        return CliRunner().invoke(main, args, obj=invocation)

    return run
