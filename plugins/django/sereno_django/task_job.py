"""The jobs that run tasks: plain ones in a thread, async ones in the node's loop."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.utils import timezone

from sereno import FinalError, RunContext, job
from sereno_django.connections import with_connections
from sereno_django.framework import (
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultStatus,
    normalize_json,
    task_backends,
    task_finished,
    task_started,
)
from sereno_django.outcome import task_at
from sereno_django.task_call import ASYNC_TASK_JOB, TASK_JOB, TaskCall

_run: ContextVar[RunContext[Any] | None] = ContextVar("sereno_django_run", default=None)


def current_run() -> RunContext[Any] | None:
    """Return the run that this code works in, for its progress, log and checkpoint; None outside
    of one."""
    return _run.get()


@with_connections
@job(TASK_JOB, params=TaskCall, title="Django task")
def run_task(run: RunContext[TaskCall]) -> Any:
    """Run a plain task of Django's, in a thread."""
    task = _found(run)
    with _at_work(run):
        result = _begun(run, task)
        task_started.send(type(task.get_backend()), task_result=result)
        try:
            context = _context(task, run) if task.takes_context else []
            value = normalize_json(task.func(*context, *run.params.args, **run.params.kwargs))
        except BaseException as error:
            task_finished.send(type(task.get_backend()), task_result=_failed(result, error))
            raise
        task_finished.send(type(task.get_backend()), task_result=_succeeded(result, value))
        return value


@with_connections
@job(ASYNC_TASK_JOB, params=TaskCall, title="Django task, async")
async def run_async_task(run: RunContext[TaskCall]) -> Any:
    """Run an ``async def`` task of Django's, in the node's loop."""
    task = _found(run)
    with _at_work(run):
        result = _begun(run, task)
        await task_started.asend(type(task.get_backend()), task_result=result)
        try:
            context = await _acontext(task, run) if task.takes_context else []
            value = normalize_json(await task.func(*context, *run.params.args, **run.params.kwargs))
        except BaseException as error:
            await task_finished.asend(type(task.get_backend()), task_result=_failed(result, error))
            raise
        await task_finished.asend(type(task.get_backend()), task_result=_succeeded(result, value))
        return value


def _found(run: RunContext[TaskCall]) -> Any:
    """Return the task that is called; what is no task now will not be one at the next attempt."""
    try:
        task = task_at(run.params.task)
    except (ImportError, TypeError) as error:
        raise FinalError(
            f"task '{run.params.task}' cannot be found where this node works: {error}; name the "
            "module and function as they are in this version"
        ) from error
    if run.params.backend not in task_backends:
        raise FinalError(f"task '{run.params.task}': TASKS has no '{run.params.backend}'")
    return task.using(backend=run.params.backend, queue_name=run.params.queue)


def _context(task: Any, run: RunContext[TaskCall]) -> list[Any]:
    known = task.get_backend().get_result(str(run.run_id))
    return [TaskContext(task_result=known)]


async def _acontext(task: Any, run: RunContext[TaskCall]) -> list[Any]:
    known = await task.get_backend().aget_result(str(run.run_id))
    return [TaskContext(task_result=known)]


@contextmanager
def _at_work(run: RunContext[TaskCall]) -> Iterator[None]:
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


def _begun(run: RunContext[TaskCall], task: Any) -> Any:
    """Return the result as this node knows it without asking, for who hears of tasks."""
    now = timezone.now()
    return TaskResult(
        task=task,
        id=str(run.run_id),
        status=TaskResultStatus.RUNNING,
        enqueued_at=None,
        started_at=now,
        finished_at=None,
        last_attempted_at=now,
        args=run.params.args,
        kwargs=run.params.kwargs,
        backend=run.params.backend,
        errors=[],
        worker_ids=[""] * run.attempt,
    )


def _failed(result: Any, error: BaseException) -> Any:
    kind = type(error)
    result.errors.append(
        TaskError(
            exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
            traceback="".join(traceback.format_exception(error)),
        )
    )
    return _over(result, TaskResultStatus.FAILED)


def _succeeded(result: Any, value: Any) -> Any:
    object.__setattr__(result, "_return_value", value)
    return _over(result, TaskResultStatus.SUCCESSFUL)


def _over(result: Any, status: Any) -> Any:
    object.__setattr__(result, "finished_at", timezone.now())
    object.__setattr__(result, "status", status)
    return result
