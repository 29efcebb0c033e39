"""The embedded PostgreSQL: one server for all who enter, stopped by the last, whatever happens."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sereno.embedded import EmbeddedPostgres, SystemAccount, memory_directory
from sereno.embedded.directory import temporary_directories
from sereno.model.errors import EmbeddedError

from ..servers.waiting import wait_until
from .embedded_scene import User, directory, is_running, postmaster, started_at

__all__ = ["directory"]

pytestmark = pytest.mark.xdist_group("embedded")  # they share a cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """Give a cluster that was created once, and never used, to save each test the time of it."""
    with tempfile.TemporaryDirectory(prefix="sereno-test-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        with EmbeddedPostgres(Path(place), durable=False):
            pass
        yield Path(place) / "postgresql-18"


@pytest.fixture
def existing(directory: Path, cluster: Path) -> Path:
    """Give a directory in which the cluster exists."""
    subprocess.run(["cp", "-a", cluster, directory], check=True)
    return directory


@pytest.fixture
def user(directory: Path) -> Iterator[Callable[[], User]]:
    """Give a maker of users of one server; none of them, and no server, outlives the test."""
    users: list[User] = []

    def make() -> User:
        users.append(User(directory))
        return users[-1]

    yield make
    for each in users:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.communicate()
    with EmbeddedPostgres(directory, durable=False):
        pass


def log(directory: Path) -> str:
    return (directory / "postgresql-18/server.log").read_text()


def test_three_that_start_at_once_share_one_server_and_the_last_stops_it(
    directory: Path, user: Callable[[], User]
) -> None:
    users = [user() for _ in range(3)]
    addresses = [each.enter() for each in users]
    assert len({started_at(dsn) for dsn in addresses}) == 1
    users[0].leave()
    users[1].leave()
    assert is_running(directory)
    users[2].leave()
    assert not is_running(directory)
    assert "database system is shut down" in log(directory)


def test_a_killed_user_does_not_keep_the_server_running_for_ever(
    existing: Path, user: Callable[[], User]
) -> None:
    killed = user()
    before = started_at(killed.enter())
    assert killed.signal(signal.SIGKILL) == -signal.SIGKILL
    following = user()
    assert started_at(following.enter()) == before
    following.leave()
    assert not is_running(existing)


def test_a_killed_user_leaves_the_server_to_those_who_are_still_inside(
    existing: Path, user: Callable[[], User]
) -> None:
    killed, other = user(), user()
    killed.enter()
    dsn = other.enter()
    killed.signal(signal.SIGKILL)
    started_at(dsn)
    other.leave()
    assert not is_running(existing)


def test_a_killed_server_starts_again_at_once_with_what_was_committed(
    existing: Path, user: Callable[[], User]
) -> None:
    inside = user()
    dsn = inside.enter()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
    os.kill(postmaster(existing), signal.SIGKILL)
    with EmbeddedPostgres(existing, durable=False) as server, psycopg.connect(server.dsn) as again:
        assert again.execute("SELECT value FROM kept").fetchone() == (1,)
    inside.leave()
    assert not is_running(existing)


def test_who_is_inside_can_start_a_killed_server_again(existing: Path) -> None:
    with EmbeddedPostgres(existing, durable=False) as server:
        before = started_at(server.dsn)
        server.ensure_running()
        assert started_at(server.dsn) == before
        os.kill(postmaster(existing), signal.SIGKILL)
        wait_until(lambda: not server.is_running(), "the socket to close")
        server.ensure_running()
        assert started_at(server.dsn) != before
    assert not is_running(existing)


def test_a_stranger_that_got_the_process_id_of_a_dead_server_is_not_taken_for_it(
    existing: Path,
) -> None:
    account = SystemAccount.to_serve(existing / "postgresql-18")
    with EmbeddedPostgres(existing, durable=False) as server:
        pidfile = existing / "postgresql-18/data/postmaster.pid"
        os.kill(postmaster(existing), signal.SIGKILL)
        wait_until(lambda: not server.is_running(), "the socket to close")
        with subprocess.Popen(["sleep", "600"], user=account.uid if account else None) as stranger:
            rest = pidfile.read_text().partition("\n")[2]
            pidfile.write_text(f"{stranger.pid}\n{rest}")
            server.ensure_running()
            assert stranger.poll() is None
            stranger.kill()
        assert server.is_running()


def test_ctrl_c_reaches_the_user_and_not_the_server_which_then_stops_cleanly(
    existing: Path, user: Callable[[], User]
) -> None:
    first, second = user(), user()
    first.enter()
    dsn = second.enter()
    assert first.signal(signal.SIGINT) == -signal.SIGINT
    started_at(dsn)
    assert second.signal(signal.SIGINT) == -signal.SIGINT
    assert not is_running(existing)
    assert "database system is shut down" in log(existing)
    with EmbeddedPostgres(existing, durable=False):
        assert "not properly shut down" not in log(existing)


def test_ctrl_c_while_the_cluster_is_created_leaves_nothing_half_done(
    directory: Path, user: Callable[[], User]
) -> None:
    starting = user()
    fresh = "postgresql-18/data.new-*/PG_VERSION"
    wait_until(lambda: list(directory.glob(fresh)), "initdb to begin")
    assert starting.signal(signal.SIGINT) == -signal.SIGINT
    assert not is_running(directory)
    with EmbeddedPostgres(directory, durable=False) as server:
        started_at(server.dsn)


def test_a_user_killed_while_the_cluster_is_created_leaves_nothing_half_done(
    directory: Path, user: Callable[[], User]
) -> None:
    starting = user()
    fresh = "postgresql-18/data.new-*/PG_VERSION"
    wait_until(lambda: list(directory.glob(fresh)), "initdb to begin")
    starting.signal(signal.SIGKILL)
    with EmbeddedPostgres(directory, durable=False) as server:
        started_at(server.dsn)
    assert not is_running(directory)


@pytest.mark.parametrize("name", ["a b'c'&+%é#?", "with,comma"])
def test_a_directory_with_an_odd_name_is_reached(directory: Path, cluster: Path, name: str) -> None:
    (directory / name).mkdir()
    subprocess.run(["cp", "-a", cluster, directory / name], check=True)
    with EmbeddedPostgres(directory / name, durable=False) as server:
        started_at(server.dsn)


def test_nobody_else_on_the_machine_reaches_the_server(existing: Path) -> None:
    with EmbeddedPostgres(existing, durable=False) as server, psycopg.connect(server.dsn) as ours:
        shown = ours.execute("SELECT current_setting('listen_addresses')").fetchone()
        assert shown == ("",)
        assert server.log.parent.stat().st_mode & 0o077 == 0


def test_a_server_that_cannot_start_says_why(existing: Path) -> None:
    with EmbeddedPostgres(existing, durable=False):
        pass
    configuration = existing / "postgresql-18/data/postgresql.conf"
    configuration.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        EmbeddedPostgres(existing).__enter__()


@pytest.fixture
def _own_temporary_files(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep to ourselves: whoever else makes a temporary server removes what it finds abandoned."""
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def _nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)


def _memory(monkeypatch: pytest.MonkeyPatch, free: int, flags: int = 0) -> Path | None:
    """Return the file system in memory as the kernel takes it where so much is free."""
    state = os.statvfs("/")
    told = (*state[:2], state.f_blocks, free, free, *state[5:8], flags, *state[9:])
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(told))
    return memory_directory(1000 * state.f_frsize)


def test_memory_is_used_where_it_has_room_and_runs_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _memory(monkeypatch, 1001) == Path("/dev/shm")
    assert _memory(monkeypatch, 999) is None
    assert _memory(monkeypatch, 1001, os.ST_NOEXEC) is None


@pytest.mark.usefixtures("_nobody_chose")
def test_a_temporary_server_is_in_memory_or_else_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Path(tempfile.gettempdir())
    places = temporary_directories()
    assert places[-1] == disk
    if len(places) > 1:  # this machine has room
        assert places[0] == Path("/dev/shm")
        with EmbeddedPostgres.temporary() as server:
            assert server.log.is_relative_to("/dev/shm")
    _memory(monkeypatch, 0)
    assert temporary_directories() == [disk]


@pytest.mark.usefixtures("_own_temporary_files")
def test_a_temporary_server_is_where_the_environment_says(directory: Path) -> None:
    assert temporary_directories() == [directory]
    with EmbeddedPostgres.temporary() as server:
        assert server.log.is_relative_to(directory)


@pytest.mark.usefixtures("_own_temporary_files")
def test_a_temporary_server_leaves_nothing() -> None:
    with EmbeddedPostgres.temporary() as server:
        started_at(server.dsn)
        place = server.log.parent.parent
    assert not place.exists()


@pytest.mark.usefixtures("_own_temporary_files")
def test_a_temporary_server_of_a_killed_process_goes_with_the_next() -> None:
    enter = "from sereno.embedded import EmbeddedPostgres as E\nwith E.temporary() as server:\n"
    say = " print(server.log.parent.parent, flush=True)\n input()"
    with subprocess.Popen(
        [sys.executable, "-c", enter + say], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().decode().strip())
        with EmbeddedPostgres.temporary():
            assert is_running(left)  # it has a user
        killed.kill()
    assert is_running(left)
    with EmbeddedPostgres.temporary():
        assert not left.exists()
