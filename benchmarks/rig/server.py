"""The one PostgreSQL of a bench, at default durability; a fresh database for each run."""

import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psycopg

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.servers.postgres import PostgresServer, installed_programs

from benchmarks.rig.process import family_cpu_seconds

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
}
"""The defaults of PostgreSQL, but for max_connections: one peer has a pool of its own per part."""


class BenchServer:
    """A throw-away server of the distribution where one is installed, else the embedded one."""

    def __init__(self, major: int | None = None, options: dict[str, str] | None = None) -> None:
        found = installed_programs()
        own = [n for n, p in found.items() if "site-packages" not in str(p.bin)]
        self.major = major or (own or list(found))[0]
        self.options = {**DURABLE, **(options or {})}
        self._server = PostgresServer(found[self.major], self.options)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.remove()

    @property
    def log(self) -> Path:
        """The server's log."""
        return self._server.log

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Give the address of a new, empty database."""
        name = f"bench_{next(self._numbers)}"
        self._server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        self._server.execute("CHECKPOINT")
        try:
            yield self._server.dsn(name)
        finally:
            self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def cpu_seconds(self) -> float:
        """Return the processor seconds of the server and all its sessions so far."""
        return family_cpu_seconds(self._server.pid)

    def said(self) -> str:
        """Return the version and what is set, in a sentence."""
        with psycopg.connect(self._server.dsn()) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
        settings = ", ".join(f"{k} = {v}" for k, v in self.options.items())
        return f"PostgreSQL {row[0]} ({settings})"


def execute(dsn: str, statement: str, *values: Any, options: str = "") -> list[tuple[Any, ...]]:
    """Run one statement and return its rows, if it has any. `options`: of the session."""
    with psycopg.connect(dsn, autocommit=True, options=options) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []
