"""What works on after it was told to stop keeps its place until it is over, and is told of."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sereno import Retry, RunContext, every, job, schedule

from .node import Eye, running

Run = RunContext[dict[str, Any]]

# On a full machine, too, a job begins and ends well within it once it is let go.
LIMIT = "1500ms"


class Hung:
    """A job that hears nothing; each call holds a thread until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.now = self.most = self.calls = 0
        self._lock = threading.Lock()

    def work(self, run: Run) -> None:
        with self._lock:
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)
        self.go.wait()
        with self._lock:
            self.now -= 1


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hung]:
    monkeypatch.setattr("sereno.engine.attempt.STOP_PATIENCE", timedelta(seconds=0.2))
    found = Hung()
    yield found
    found.go.set()


async def nothing(run: Run) -> None:
    """Do nothing."""


def plain(run: Run) -> None:
    """Do nothing, in a thread."""


async def test_a_schedule_s_next_slot_is_skipped_while_a_thread_of_the_last_works(
    database: str, eye: Eye, hung: Hung
) -> None:
    stuck = job("t.stuck", schedule=every("300ms"), timeout=LIMIT)(hung.work)
    async with running(database, stuck) as node:
        await eye.until(
            "SELECT count(*) >= 4 FROM sereno.slot"
            " WHERE verdict = 'skipped' AND reason LIKE 'overlap%'"
            " AND slot > (SELECT min(finished_at) FROM sereno.run WHERE state = 'timed_out')"
        )
        assert (hung.calls, len(node.status.overstaying)) == (1, 1)
        assert node.status.executors["thread"].busy == 1
        (sentence,) = node.status.troubles()
        assert 'executor="process"' in sentence
        kept = await eye.rows("SELECT job, kind, executor FROM sereno.straggler")
        assert kept == [("t.stuck", "overstays", "thread")]
        hung.go.set()
        await eye.until("SELECT count(*) = 0 FROM sereno.straggler")
        await eye.until("SELECT count(*) >= 2 FROM sereno.run WHERE state = 'succeeded'")
        assert hung.most == 1
        assert not node.status.troubles()
    row = await eye.value("SELECT error FROM sereno.run WHERE state = 'timed_out' LIMIT 1")
    assert row.startswith("it took longer than its timeout of")
    assert 'executor="process"' in row


@pytest.mark.parametrize("limit", ["max_running", "concurrency_key", "threads"])
async def test_a_limit_counts_what_works_on(
    database: str, eye: Eye, hung: Hung, limit: str
) -> None:
    policies: dict[str, Any] = {
        "max_running": {"max_running": 1},
        "concurrency_key": {"concurrency_key": "one"},
    }.get(limit, {})
    stuck = job("t.stuck", timeout=LIMIT, **policies)(hung.work)
    other = job("t.other")(plain)
    free = job("t.free")(nothing)
    async with running(database, stuck, other, free, threads=1 if limit == "threads" else 5):
        first = await eye.enqueue("t.stuck")
        assert (await eye.over(first))["state"] == "timed_out"
        second = await eye.enqueue("t.other" if limit == "threads" else "t.stuck")
        assert (await eye.ran("t.free"))["state"] == "succeeded"
        assert await eye.value("SELECT state FROM sereno.run WHERE id = $1", second) == "queued"
        hung.go.set()
        assert (await eye.over(second))["state"] == "succeeded"
    assert hung.most == 1


async def test_a_run_is_not_tried_again_while_its_last_attempt_works(
    database: str, eye: Eye, hung: Hung
) -> None:
    stuck = job("t.stuck", timeout=LIMIT, retry=Retry(attempts=2, delay=timedelta(0)))(hung.work)
    free = job("t.free")(nothing)
    async with running(database, stuck, free):
        run = await eye.enqueue("t.stuck")
        await eye.until("SELECT count(*) = 1 FROM sereno.straggler")
        await eye.until("SELECT state = 'queued' FROM sereno.run WHERE id = $1", run)
        for _ in range(3):
            assert (await eye.ran("t.free"))["state"] == "succeeded"
        assert hung.calls == 1
        hung.go.set()
        assert (await eye.over(run))["state"] == "succeeded"
    assert (hung.calls, hung.most) == (2, 1)


async def test_the_next_leader_counts_what_works_on_elsewhere(
    database: str, eye: Eye, hung: Hung
) -> None:
    stuck = job("t.stuck", timeout=LIMIT, max_running=1)(hung.work)
    async with running(database, stuck) as first:
        await first.leads()
        run = await eye.enqueue("t.stuck")
        assert (await eye.over(run))["state"] == "timed_out"
        async with running(database, stuck, job("t.free")(nothing)) as second:
            await first.kernel.leader.leave()  # type: ignore[union-attr]
            await second.leads()
            waits = await eye.enqueue("t.stuck")
            assert (await eye.ran("t.free"))["state"] == "succeeded"
            assert await eye.value("SELECT state FROM sereno.run WHERE id = $1", waits) == "queued"
            hung.go.set()
            assert (await eye.over(waits))["state"] == "succeeded"
    assert hung.most == 1


async def test_a_schedule_that_allows_overlaps_goes_on(database: str, eye: Eye, hung: Hung) -> None:
    stuck = job("t.stuck", schedule=schedule(every("300ms")), timeout=LIMIT, overlap="allow")(
        hung.work
    )
    async with running(database, stuck, threads=3):
        await eye.until("SELECT count(*) = 3 FROM sereno.straggler")
        await eye.until("SELECT count(*) >= 2 FROM sereno.run WHERE state = 'queued'")
        assert hung.most == 3  # the threads bound it
