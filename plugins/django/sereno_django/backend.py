"""The backend of Django's Tasks: a task is a run, queued in the caller's own transaction."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import ConnectionDoesNotExist, ProgrammingError
from django.utils import timezone

from sereno_django.framework import (
    BaseTaskBackend,
    InvalidTask,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    normalize_json,
    task_enqueued,
)
from sereno_django.outcome import result_of
from sereno_django.query import query
from sereno_django.request import asker
from sereno_django.task_call import ASYNC_TASK_JOB, TASK_JOB

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_LARGEST = 1_000_000
"""Bytes: what the kernel keeps of a run's params."""


class SerenoBackend(BaseTaskBackend):
    """``TASKS = {"default": {"BACKEND": "sereno_django.SerenoBackend"}}``.

    OPTIONS: ``database``, the alias of DATABASES whose database has the schema ``sereno``
    ("default" where it is not said). A result's id is the number of its run.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.database = self.options.get("database", "default")

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Queue a run on the caller's connection: it is there once the caller's transaction is.

        Raises InvalidTask for a task that cannot run here and arguments that are no JSON.
        """
        self.validate_task(task)
        args, kwargs = _arguments(task, args, kwargs)
        call = {
            "task": task.module_path,
            "args": args,
            "kwargs": kwargs,
            "backend": self.alias,
            "queue": task.queue_name,
        }
        run_at = task.run_after
        if run_at is not None and timezone.is_naive(run_at):
            run_at = timezone.make_aware(run_at)
        who = asker()
        row = self._ask(
            "enqueue_task" if who is None else "enqueue_task_for",
            job=ASYNC_TASK_JOB if iscoroutinefunction(task.func) else TASK_JOB,
            params=_encoded(task, call),
            run_at=run_at,
            priority=task.priority,
            asker=who,
        )
        found = TaskResult(
            task=task,
            id=str(row[0]),
            status=TaskResultStatus.READY,
            enqueued_at=row[1],
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        task_enqueued.send(type(self), task_result=found)
        return found

    def get_result(self, result_id: str) -> Any:
        """Return what is known of a run by now, the caller's own transaction included.

        Raises TaskResultDoesNotExist, also once history has been pruned.
        """
        number = str(result_id)
        row = None
        if number.isascii() and number.isdigit() and len(number) < 19:
            row = self._ask("task_result", run=int(number), jobs=[TASK_JOB, ASYNC_TASK_JOB])
        if row is None:
            raise TaskResultDoesNotExist(f"there is no run {number!r:.40} of a task")
        return result_of(number, self.alias, row)

    def check(self, **_: Any) -> Iterable[checks.CheckMessage]:
        """Say where the database is none that can have Sereno's schema."""
        try:
            vendor = connections[self.database].vendor
        except ConnectionDoesNotExist:
            vendor = f"missing: DATABASES has no '{self.database}'"
        if vendor != "postgresql":
            yield checks.Error(
                f"TASKS['{self.alias}']: the database '{self.database}' is {vendor}, it must be "
                "the PostgreSQL that Sereno works in",
                hint='name its alias: "OPTIONS": {"database": "..."}',
                id="sereno.E001",
            )

    def _ask(self, name: str, **params: Any) -> Any:
        """Return the one row of a statement, None where there is none."""
        try:
            with connections[self.database].cursor() as cursor:
                cursor.execute(query(name), params)
                return cursor.fetchone()
        except ProgrammingError as error:
            if getattr(error.__cause__, "sqlstate", None) not in ("3F000", "42P01"):
                raise
            raise ImproperlyConfigured(
                f"TASKS['{self.alias}']: the database '{self.database}' has no schema 'sereno'; "
                "apply it with `manage.py sereno migrate`"
            ) from error


def _arguments(
    task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    try:
        return normalize_json(list(args)), normalize_json(dict(kwargs))
    except (TypeError, ValueError) as error:
        raise InvalidTask(
            f"task '{task.module_path}': its arguments are no JSON: {error}"
        ) from error


def _encoded(task: Any, call: dict[str, Any]) -> str:
    """Return `call` as JSON that PostgreSQL takes: what it refuses would end the transaction."""
    try:
        text = json.dumps(call, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (ValueError, RecursionError) as error:
        raise InvalidTask(
            f"task '{task.module_path}': its arguments are no JSON: {error}"
        ) from error
    if _NUL.search(text):
        raise InvalidTask(
            f"task '{task.module_path}': its arguments hold U+0000, which PostgreSQL cannot keep"
        )
    if size > _LARGEST:
        raise InvalidTask(
            f"task '{task.module_path}': its arguments are {size} bytes, the limit is {_LARGEST}; "
            "keep what is large in a table and pass its key"
        )
    return text
