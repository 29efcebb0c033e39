"""Asks for runs in the caller's own transaction, and says who asks."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db import connections
from django.db.transaction import TransactionManagementError

from sereno import Job, RunContext, RunSuperseded
from sereno_django.query import query

_asker: ContextVar[str | None] = ContextVar("sereno_django_asker", default=None)


class RequestedRun(NamedTuple):
    """A run that was asked for. `new`: it was queued now; else it holds the unique key."""

    run: int
    new: bool


def enqueue(
    job: Job[Any] | str,
    params: Mapping[str, Any] | msgspec.Struct | None = None,
    *,
    run_at: datetime | None = None,
    priority: int | None = None,
    unique_key: str | None = None,
    using: str = "default",
) -> RequestedRun:
    """Queue a run of any job on Django's connection `using`, in the transaction that it is in.

    Params are checked by the database, and here where `job` is the job itself. Raises ParamsError,
    and django.db.Error with the database's sentence.
    """
    given = msgspec.to_builtins(params if params is not None else {})
    known = given if isinstance(job, str) else job.checked_params(given)
    with connections[using].cursor() as cursor:
        cursor.execute(
            query("request_run"),
            {
                "job": job if isinstance(job, str) else job.name,
                "params": json.dumps(known, ensure_ascii=False, allow_nan=False),
                "run_at": run_at,
                "priority": priority,
                "unique_key": unique_key,
                "asker": asker(),
            },
        )
        return RequestedRun(*cursor.fetchone())


def fence(run: RunContext[Any], *, using: str = "default") -> None:
    """Bind the transaction that Django has open on `using` to `run`: it commits only while this
    attempt owns the run, so that of several each of its rows is written by one.

    Raises RunSuperseded where another has taken the run over, and TransactionManagementError
    outside of ``transaction.atomic()``, where it would hold nothing.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        raise TransactionManagementError("fence needs an open transaction: transaction.atomic()")
    with connection.cursor() as cursor:
        cursor.execute(
            query("hold_run"), {"run": run.run_id, "attempt": run.attempt, "token": str(run.token)}
        )
        if cursor.fetchone() is None:
            raise RunSuperseded(
                f"run {run.run_id}, attempt {run.attempt}: another has taken it over; nothing may "
                "be written for it"
            )


@contextmanager
def requested_by(name: str) -> Iterator[None]:
    """Have what is enqueued inside recorded as asked for by `name`, as ``admin ana``.

    Where the database's role may not say who asks (docs/rights.md), it is recorded as that role.
    """
    token = _asker.set(name[:200])
    try:
        yield
    finally:
        _asker.reset(token)


def asker() -> str | None:
    """Return who asks, None where nobody has said."""
    return _asker.get()
