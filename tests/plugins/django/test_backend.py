"""Django's Tasks on Sereno: what is enqueued where, how it ends, and what is told of it."""

import os
from typing import Any

import pytest
from bookshop import tasks
from bookshop.models import Order
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.utils import timezone

import sereno_django
from sereno.testing import Kernel
from sereno_django.framework import (
    InvalidTask,
    TaskResultDoesNotExist,
    task_backends,
    task_finished,
    task_started,
)

from .conftest import in_thread

RUNS = int(os.environ.get("SERENO_ORM_RUNS", "200"))
"""Of the test that looks for connections that runs leave behind; 10000 to look for long."""


def ordered(customer: str = "ana") -> Any:
    """Enqueue a mail in the transaction that makes the order."""
    with transaction.atomic():
        order = Order.objects.create(customer=customer)
        return order.pk, tasks.mail.enqueue(order.pk)


async def test_a_task_runs_once_the_caller_has_committed(kernel: Kernel) -> None:
    pk, result = await in_thread(ordered)
    assert (result.status, result.is_finished, result.attempts) == ("READY", False, 0)
    assert [e.state for e in await kernel.drain()] == ["succeeded"]
    await in_thread(result.refresh)
    assert (result.status, result.return_value, result.attempts) == (
        "SUCCESSFUL",
        {"mailed": pk},
        1,
    )
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert await in_thread(lambda: Order.objects.get().mailed)
    run = await kernel.client.run(int(result.id))
    assert (run.job, run.params["task"]) == ("django.task", "bookshop.tasks.mail")


async def test_a_task_goes_with_the_transaction_that_is_rolled_back(kernel: Kernel) -> None:
    def given_up() -> str:
        try:
            with transaction.atomic():
                found = tasks.mail.enqueue(1)
                assert tasks.mail.get_result(found.id).status == "READY"  # its own transaction
                raise KeyError
        except KeyError:
            return str(found.id)

    number = await in_thread(given_up)
    with pytest.raises(TaskResultDoesNotExist):
        await in_thread(tasks.mail.get_result, number)
    assert await kernel.drain() == []


async def test_async_tasks_and_async_callers(kernel: Kernel) -> None:
    order = await Order.objects.acreate(customer="bob")
    result = await tasks.mail_async.aenqueue(order.pk)
    assert [(e.job, e.state) for e in await kernel.drain()] == [("django.async_task", "succeeded")]
    await result.arefresh()
    assert result.return_value == ["bob"]
    assert (await Order.objects.aget()).mailed
    told = await tasks.tell_async.aenqueue()
    await kernel.drain()
    assert (await tasks.tell_async.aget_result(told.id)).return_value == "RUNNING"


async def test_context_priority_and_the_run(kernel: Kernel) -> None:
    low = await tasks.tell.using(priority=-100).aenqueue("á", "🧾", loud=True)
    high = await tasks.tell.aenqueue()
    await kernel.drain()
    assert (await kernel.client.run(int(high.id))).priority == 7
    found = await tasks.tell.aget_result(low.id)
    assert found.return_value == {"attempt": 1, "id": low.id, "words": ["á", "🧾"], "loud": True}
    assert (found.args, found.kwargs, found.task.priority) == (["á", "🧾"], {"loud": True}, -100)
    run = await kernel.client.run(int(low.id))
    assert run.note == "half"


async def test_a_task_waits_for_its_run_after(kernel: Kernel) -> None:
    later = kernel.clock.now() + timezone.timedelta(hours=1)
    result = await tasks.unkept.using(run_after=later).aenqueue()
    assert await kernel.drain() == []
    found = await tasks.unkept.aget_result(result.id)
    assert (found.status, found.task.run_after) == ("READY", later)
    assert "django.task" in {e.job for e in await kernel.advance("61m")}


@pytest.mark.parametrize(
    ("kind", "path", "error"),
    [
        ("value", "builtins.ValueError", ValueError),
        ("own", "bookshop.tasks.Refused", tasks.Refused),
    ],
)
async def test_a_failure_is_told_with_its_class(
    kernel: Kernel, kind: str, path: str, error: type[Exception]
) -> None:
    result = await tasks.fail.aenqueue(kind)
    assert [e.state for e in await kernel.drain()] == ["failed"]
    await result.arefresh()
    assert result.status == "FAILED"
    (told,) = result.errors
    assert (told.exception_class_path, told.exception_class) == (path, error)
    assert f"no {kind} 🧾" in told.traceback
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


async def test_what_cannot_be_kept_or_found_fails_with_a_sentence(kernel: Kernel) -> None:
    kept = await tasks.unkept.aenqueue()
    params = {"task": "bookshop.tasks.no_task"}
    lost = await kernel.client.enqueue("django.task", params)
    gone = await kernel.client.enqueue("django.task", {"task": "bookshop.gone.x"})
    await kernel.drain()
    assert "Unsupported type" in ((await kernel.client.run(int(kept.id))).error or "")
    assert "lacks the decorator @task" in ((await kernel.client.run(lost)).error or "")
    assert "cannot be found" in ((await kernel.client.run(gone)).error or "")


async def test_arguments_that_postgresql_refuses_do_not_end_the_transaction(
    kernel: Kernel,
) -> None:
    def refused() -> int:
        with transaction.atomic():
            for given in ("a\x00b", float("nan"), "\ud800", {1}, "x" * 1_000_001):
                with pytest.raises(InvalidTask, match=r"bookshop\.tasks\.mail"):
                    tasks.mail.enqueue(given)
            return int(tasks.mail.enqueue("\\u0000").id)  # a backslash, and no U+0000

    number = await in_thread(refused)
    assert (await kernel.client.run(number)).params["args"] == ["\\u0000"]


@pytest.mark.parametrize("number", ["", "x", "٣", "9" * 30, "-1", "999999"])
async def test_what_is_no_result_does_not_exist(kernel: Kernel, number: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        await tasks.mail.aget_result(number)


async def test_signals_are_sent_where_a_task_runs(kernel: Kernel) -> None:
    heard: list[Any] = []

    def hear(sender: Any, task_result: Any, **_: Any) -> None:
        heard.append((sender, task_result.status, task_result.attempts))

    task_started.connect(hear)
    task_finished.connect(hear)
    try:
        await tasks.fail.aenqueue("value")
        await tasks.tell_async.aenqueue()
        await kernel.drain()
    finally:
        task_started.disconnect(hear)
        task_finished.disconnect(hear)
    backend = sereno_django.SerenoBackend
    assert sorted(heard, key=str) == sorted(
        [
            *((backend, "RUNNING", 1), (backend, "FAILED", 1)),
            *((backend, "RUNNING", 1), (backend, "SUCCESSFUL", 1)),
        ],
        key=str,
    )


async def test_who_asks_is_recorded(kernel: Kernel) -> None:
    with sereno_django.requested_by("admin ana"):
        result = await tasks.unkept.aenqueue()
    assert (await kernel.client.run(int(result.id))).requested_by == "admin ana"
    other = await tasks.unkept.aenqueue()
    assert (await kernel.client.run(int(other.id))).requested_by == "postgres"


def connections_open() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND application_name NOT LIKE 'sereno%'"  # whose own come as they are used
        )
        return int(cursor.fetchone()[0])


@pytest.mark.timeout(120 + RUNS // 10)
async def test_no_run_leaves_a_connection_behind(kernel: Kernel) -> None:
    for job in ("bookshop.count", "bookshop.count_async"):
        await kernel.client.enqueue(job)
    await kernel.drain()
    before = await in_thread(connections_open)
    for _ in range(RUNS // 100):
        for job in ("bookshop.count", "bookshop.count_async"):
            await kernel.client.enqueue_many(job, [{}] * 50)
        assert [e.state for e in await kernel.drain()] == ["succeeded"] * 100
        # A session goes when PostgreSQL has heard that its client has, a moment later.
        left = [await in_thread(connections_open)]
        while left[-1] > before and len(left) < 1_000:
            left.append(await in_thread(connections_open))
        assert left[-1] <= before


def test_checks_say_where_the_database_is_none_of_ours(project: str) -> None:
    assert list(checks.run_checks()) == []
    backend = sereno_django.SerenoBackend("x", {"OPTIONS": {"database": "other"}})
    (fault,) = backend.check()
    assert "DATABASES has no 'other'" in fault.msg


def test_a_database_without_the_schema_is_said(empty_project: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="sereno migrate"):
        task_backends["default"].enqueue(tasks.mail, [1], {})
