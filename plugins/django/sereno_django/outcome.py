"""What a run is to Django: the result of a task."""

import json
import re
from typing import Any

from django.utils.module_loading import import_string

from sereno_django.framework import Task, TaskError, TaskResult, TaskResultStatus

_STATES = {
    "queued": TaskResultStatus.READY,
    "running": TaskResultStatus.RUNNING,
    "succeeded": TaskResultStatus.SUCCESSFUL,
}
"""Every other state is a failure."""

_CLASS = re.compile(r"([A-Za-z_][\w.]*)(?=: |$)")
_OF_STATE = {"timed_out": "builtins.TimeoutError", "cancelled": "sereno.RunCancelled"}
_ANY = "sereno.RunError"


def result_of(number: str, alias: str, row: Any) -> Any:
    """Return the TaskResult of the row that `task_result` gives."""
    state, params, priority, run_at, queued_at, started_at, finished_at, result, _, first, tries = (
        row
    )
    params, tries, result = _read(params), _read(tries), _read(result)
    found = TaskResult(
        task=task_at(params["task"]).using(
            priority=priority,
            queue_name=params.get("queue", "default"),
            run_after=run_at if run_at > queued_at else None,
            backend=params.get("backend", alias),
        ),
        id=number,
        status=_STATES.get(state, TaskResultStatus.FAILED),
        enqueued_at=queued_at,
        started_at=first,
        finished_at=finished_at,
        last_attempted_at=started_at,
        args=params.get("args", []),
        kwargs=params.get("kwargs", {}),
        backend=alias,
        errors=[error_of(each) for each in tries if each["error"]],
        worker_ids=[each["node"] or "" for each in tries],
    )
    if state == "succeeded":
        object.__setattr__(found, "_return_value", result)
    return found


def task_at(path: str) -> Any:
    """Return the task of this module path. Raises ImportError, and TypeError where it is none."""
    found = import_string(path)
    if not isinstance(found, Task):
        raise TypeError(f"'{path}' is no task: it lacks the decorator @task")
    return found


def error_of(attempt: dict[str, Any]) -> Any:
    """Return the TaskError of an attempt that did not succeed."""
    text = attempt["traceback"] or attempt["error"]
    return TaskError(exception_class_path=_path(attempt), traceback=text)


def _path(attempt: dict[str, Any]) -> str:
    """Return the path of the class that a traceback ends with: built-in ones stand without it."""
    if attempt["state"] in _OF_STATE:
        return _OF_STATE[attempt["state"]]
    for line in reversed((attempt["traceback"] or attempt["error"]).splitlines()):
        named = _CLASS.match(line)
        if named is None:
            continue
        name = named[1] if "." in named[1] else f"builtins.{named[1]}"
        try:
            kind = import_string(name)
        except ImportError:
            continue
        if isinstance(kind, type) and issubclass(kind, BaseException):
            return name
    return _ANY


def _read(value: Any) -> Any:
    """Return what a jsonb column holds: Django has psycopg give it as text."""
    return json.loads(value) if isinstance(value, str | bytes) else value
