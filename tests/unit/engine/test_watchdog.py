"""A loop that answers is left alone; one that is blocked is named, and cut off while it leads."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from sereno.engine import watchdog
from sereno.engine.status import Status
from sereno.engine.watchdog import Watchdog


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "ASKED_EVERY", 0.01)
    monkeypatch.setattr(watchdog, "BLOCKED_AFTER", 0.05)


@asynccontextmanager
async def watching(
    status: Status, cut: Callable[[], None], limit: float = 0.1
) -> AsyncIterator[None]:
    task = asyncio.ensure_future(Watchdog(status, limit, cut).work())
    try:
        yield
    finally:
        task.cancel()


def status(*, leading: bool) -> Status:
    return Status(node=uuid4(), label="n", version="0", leading=leading, loop_lag=-1.0)


async def until(ended: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not ended():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


async def test_a_loop_that_answers_is_measured_and_left_alone() -> None:
    found, cuts = status(leading=True), threading.Event()
    async with watching(found, cuts.set, limit=60):
        for _ in range(5):
            found.loop_lag = -1.0
            await until(lambda: found.loop_lag >= 0)  # it is asked again and again
    assert not cuts.is_set()


async def test_a_leader_whose_loop_is_blocked_is_cut_off_and_what_blocks_it_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, cut = status(leading=True), threading.Event()
    monkeypatch.setattr(watchdog, "BLOCKED_AFTER", 60.0)  # whatever else holds the loop up

    def held() -> bool:
        monkeypatch.setattr(watchdog, "BLOCKED_AFTER", 0.05)
        return cut.wait(20)

    async with watching(found, cut.set):
        await until(lambda: found.loop_lag >= 0)
        with caplog.at_level(logging.ERROR, "sereno.watchdog"):
            assert held()  # the loop is blocked until then
        named = [vars(r) for r in caplog.records if r.message == "the event loop is blocked"]
        assert len(named) == found.loop_blocked
        assert "assert held()" in named[-1]["traceback"]
        assert found.loop_lag >= 0.1
        await until(lambda: found.loop_lag < 0.1)  # it answers again


async def test_a_standby_whose_loop_is_blocked_has_nothing_to_be_cut_off_from() -> None:
    found, cuts = status(leading=False), threading.Event()
    async with watching(found, cuts.set):
        await until(lambda: found.loop_lag >= 0)
        while found.loop_lag < 0.3:  # blocked, for longer than a leader would be left
            pass
    assert found.loop_blocked >= 1
    assert not cuts.is_set()
