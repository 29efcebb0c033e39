"""Short questions to a database, from a test that is not async."""

import threading
from typing import Any

import psycopg

from ..servers.waiting import wait_until

Connection = psycopg.Connection[Any]

_kept: dict[str, Connection] = {}
"""A connection to each database, as a test may ask a hundred times a second; see `let_go`."""


def value(dsn: str, query: str, *parameters: object) -> Any:
    """Return the first value of a query."""
    row = _connection(dsn).execute(query.encode(), parameters or None).fetchone()
    return None if row is None else row[0]


def do(dsn: str, statement: str) -> None:
    """Run a statement."""
    _connection(dsn).execute(statement.encode())


def let_go() -> None:
    """Close the connections that questions have left open."""
    while _kept:
        _kept.popitem()[1].close()


def _connection(dsn: str) -> Connection:
    """Return a connection that answers: the last one, or a new one once that is cut."""
    kept = _kept.pop(dsn, None)
    if kept is None or not _answers(kept):
        # Nothing is prepared: behind a pooler, each statement may go to another backend.
        kept = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
    _kept[dsn] = kept
    return kept


def _answers(connection: Connection) -> bool:
    try:
        connection.execute(b"SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True


def enqueue(dsn: str, job: str, params: str = "{}") -> int:
    """Queue a run, as any program would, once a leader has made the job known."""
    known = "SELECT count(*) FROM sereno.job WHERE name = %s"
    wait_until(lambda: value(dsn, known, job), f"the job {job}")
    return int(value(dsn, "SELECT sereno.enqueue(%s, %s::text::jsonb)", job, params))


def state(dsn: str, run: int) -> str:
    """Return the state of a run."""
    return str(value(dsn, "SELECT state FROM sereno.run WHERE id = %s", run))


def for_seconds(seconds: float) -> None:
    """Let time pass in which something must not happen."""
    threading.Event().wait(seconds)
