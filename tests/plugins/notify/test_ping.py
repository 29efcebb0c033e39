"""Pings tell a watchdog elsewhere of each run of a job."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno import RunFinished, RunStarted
from sereno_notify.pinger import Pinger
from sereno_notify.settings import Ping

from .receiver import Receiver


def started(run: int = 1, job: str = "etl.sync") -> RunStarted:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return RunStarted(run_id=run, job=job, attempt=1, slot=None, started_at=at)


def finished(state: Any, run: int = 1, job: str = "etl.sync", **more: Any) -> RunFinished:
    parts = {"attempt": 1, "slot": None, "duration": timedelta(seconds=1), "error": None, **more}
    return RunFinished(run_id=run, job=job, state=state, **parts)


def pinger(receiver: Receiver, **chosen: Any) -> Pinger:
    return Pinger({"etl.sync": Ping(url=f"{receiver.url}/hunter2", **chosen)}, waits=(0.01, 0.01))


async def test_start_success_and_failure_are_told_in_order(receiver: Receiver) -> None:
    found = pinger(receiver)
    async with found.at_work():
        found.started(started())
        found.finished(finished("succeeded"))
        found.started(started(2))
        found.finished(finished("timed_out", 2, error="after 5m"))
    assert receiver.paths == ["/hunter2/start", "/hunter2", "/hunter2/start", "/hunter2/fail"]
    runs = [r.path.partition("rid=")[2] for r in receiver.requests]
    assert runs[0] == runs[1] != runs[2] == runs[3]
    assert receiver.requests[3].body == b"after 5m"


async def test_a_retry_and_a_cancelled_run_are_no_failure_and_other_jobs_no_matter(
    receiver: Receiver,
) -> None:
    found = pinger(receiver, start=False)
    async with found.at_work():
        found.started(started())
        found.finished(finished("queued"))
        found.finished(finished("cancelled"))
        found.finished(finished("failed", job="etl.other"))
        found.finished(finished("lost"))
    assert receiver.paths == ["/hunter2/fail"]
    assert receiver.requests[0].body == b"lost"


async def test_a_job_at_each_host_pings_once_by_the_whole(receiver: Receiver) -> None:
    found = pinger(receiver)
    found.parted = {"etl.sync"}
    async with found.at_work():
        found.started(started(2))
        found.finished(finished("failed", 2))
        found.finished(finished("succeeded", 3))
        found.finished(finished("failed", 1, parts=2, error="1 of its 2 parts"))
    assert receiver.paths == ["/hunter2/fail"]
    assert receiver.requests[0].body == b"1 of its 2 parts"


async def test_a_ping_that_does_not_arrive_is_tried_again(receiver: Receiver) -> None:
    receiver.answers = [503, 500]
    found = pinger(receiver)
    async with found.at_work():
        found.finished(finished("succeeded"))
    assert receiver.paths == ["/hunter2"] * 3


async def test_a_ping_that_is_refused_is_not_and_no_log_names_its_address(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [404]
    found = pinger(receiver)
    async with found.at_work():
        found.finished(finished("succeeded"))
    assert receiver.paths == ["/hunter2"]
    assert "a ping could not be delivered" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_query_in_the_address_stays(receiver: Receiver) -> None:
    found = Pinger({"etl.sync": Ping(url=f"{receiver.url}/uptime?status=up")}, waits=())
    async with found.at_work():
        found.finished(finished("succeeded"))
    assert receiver.requests[0].path.startswith("/uptime?rid=")
    assert receiver.requests[0].path.endswith("&status=up")


async def test_pings_outside_the_lifespan_are_nothing(receiver: Receiver) -> None:
    pinger(receiver).finished(finished("succeeded"))
    assert receiver.requests == []
