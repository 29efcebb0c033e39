"""Short questions to a database, from a test that is not async."""

import threading
from typing import Any

from ..servers.connections import kept
from ..servers.waiting import wait_until


def value(dsn: str, query: str, *parameters: object) -> Any:
    """Return the first value of a query."""
    row = kept(dsn).execute(query.encode(), parameters or None).fetchone()
    return None if row is None else row[0]


def do(dsn: str, statement: str) -> None:
    """Run a statement."""
    kept(dsn).execute(statement.encode())


def enqueue(dsn: str, job: str, params: str = "{}") -> int:
    """Queue a run, as any program would, once a leader has made the job known."""
    await_job(dsn, job)
    return int(value(dsn, "SELECT sereno.enqueue(%s, %s::text::jsonb)", job, params))


def await_job(dsn: str, job: str) -> None:
    """Wait until a leader has made the job known."""
    known = "SELECT count(*) FROM sereno.job WHERE name = %s"
    wait_until(lambda: value(dsn, known, job), f"the job {job}")


def state(dsn: str, run: int) -> str:
    """Return the state of a run."""
    return str(value(dsn, "SELECT state FROM sereno.run WHERE id = %s", run))


def for_seconds(seconds: float) -> None:
    """Let time pass in which something must not happen."""
    threading.Event().wait(seconds)
