"""The embedded PostgreSQL's users, each a process of its own, and its directory."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sereno.embedded import EmbeddedPostgres

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


def postmaster(directory: Path) -> int:
    return int((directory / "postgresql-18/data/postmaster.pid").read_text().split()[0])


def is_running(directory: Path) -> bool:
    return EmbeddedPostgres(directory).is_running()


def started_at(dsn: str) -> object:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT pg_postmaster_start_time()").fetchone()
