"""The servers of the tests themselves: they go with the process that started them."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import wait_until

ROOT = Path(__file__).parents[2]
STARTER = """
import sys
from tests.servers.mariadb import MariaDb
from tests.servers.postgres import PostgresServer, installed_programs
if sys.argv[1] == "mariadb":
    server = MariaDb.start()
else:
    server = PostgresServer.started(next(iter(installed_programs().values())))
print(server.log.parent, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("postgres", signal.SIGKILL),
        ("postgres", signal.SIGTERM),
        ("postgres", signal.SIGINT),
        ("mariadb", signal.SIGKILL),
    ],
)
def test_a_server_goes_with_its_starter(
    kind: str, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERENO_TEST_MARIADB_URL", raising=False)
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, kind],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as starter:
        assert starter.stdout is not None
        assert starter.stderr is not None
        place = Path(starter.stdout.readline().strip() or starter.stderr.read())
        assert place.is_dir()
        os.killpg(starter.pid, how)
    wait_until(lambda: not place.exists(), f"{place} to be removed")
    wait_until(lambda: str(place) not in command_lines(), "the supervisor to end")


def command_lines() -> str:
    """Return what every process was started with; a slim container has no `ps`."""
    if not Path("/proc/self").exists():
        return subprocess.run(
            ["ps", "-eo", "args"], check=True, capture_output=True
        ).stdout.decode()
    found = ""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += file.read_bytes().decode(errors="replace")
    return found


@pytest.mark.every_postgres
def test_a_private_server_can_be_stopped_killed_and_started_again(
    private_postgres: PostgresServer,
) -> None:
    with psycopg.connect(private_postgres.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
    for end in (private_postgres.stop, private_postgres.kill):
        end()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(private_postgres.dsn())
        private_postgres.start()
        with psycopg.connect(private_postgres.dsn()) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (1,)


def test_each_test_has_a_database_of_its_own(
    postgres_server: PostgresServer, database: str, empty_database: str
) -> None:
    assert len({database, empty_database, postgres_server.dsn()}) == 3
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM sereno.migration").fetchone() == (True,)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regnamespace('sereno')").fetchone() == (None,)
