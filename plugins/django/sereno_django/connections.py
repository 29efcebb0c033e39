"""Ends each run with the database connections that it has opened: none is left behind by a thread.

A run has a thread of its own, and Django keeps a connection for each thread. So one is opened by
the first query of a run and closed with it; with ``"OPTIONS": {"pool": True}`` it goes back to the
pool instead. In an async job each run has a thread of its own for the ORM, so that one slow query
does not make the others wait.
"""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections
from msgspec.structs import replace

from sereno import Job

J = TypeVar("J", bound=Job[Any])


def with_connections(job: J) -> J:
    """Return `job`, whose runs close the connections of Django that they have opened."""
    function = job.function
    return replace(
        job, function=_of_async(function) if iscoroutinefunction(function) else _of_plain(function)
    )


def _of_plain(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run_and_close(run: Any) -> Any:
        try:
            return function(run)
        finally:
            connections.close_all()

    return run_and_close


def _of_async(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def run_and_close(run: Any) -> Any:
        async with ThreadSensitiveContext():
            try:
                return await function(run)
            finally:
                await sync_to_async(connections.close_all)()

    return run_and_close
