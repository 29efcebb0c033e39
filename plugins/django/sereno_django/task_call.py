"""The params of the jobs that run tasks: which function, with what."""

from typing import Any

import msgspec

TASK_JOB = "django.task"
ASYNC_TASK_JOB = "django.async_task"


class TaskCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a task. `task`: its module path, ``shop.tasks.send``; `backend`: its alias in
    TASKS; `queue`: its name, for a concurrency key."""

    task: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    backend: str = "default"
    queue: str = "default"
