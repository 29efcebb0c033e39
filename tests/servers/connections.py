"""Connections that a test's short questions share: one to each database."""

import threading
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

_kept: dict[str, Connection] = {}
_lock = threading.Lock()


def kept(dsn: str) -> Connection:
    """Return a connection that answers: the last one, or a new one once that is cut.

    It is in autocommit. A test may ask a hundred times a second; at its end, `let_go`.
    """
    with _lock:
        found = _kept.get(dsn)
        if found is None or not _answers(found):
            # Nothing is prepared: behind a pooler, each statement may go to another backend.
            found = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
            _kept[dsn] = found
        return found


def let_go() -> None:
    """Close the connections that questions have left open."""
    with _lock:
        while _kept:
            _kept.popitem()[1].close()


def _answers(connection: Connection) -> bool:
    try:
        connection.execute(b"SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True
