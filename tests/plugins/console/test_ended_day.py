"""What ended in a day is counted whole, once, and drawn where it ended."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import Client, EndedCount
from sereno_console.pages.day_chart import WIDTH, day_chart
from sereno_console.pages.ended_day import DAY, HALF_HOUR, EndedSpan, ended_day, half_hours

from ...integration.node import looking
from .conftest import Serve
from .shop import JOBS, at_work, bearer

PAST = """
INSERT INTO sereno.run (job, state, cause, run_at, queued_at, started_at, finished_at, attempt)
SELECT $1, $2, 'program', at, at, at, at, 1
  FROM generate_series(1, $3::bigint) n, LATERAL (SELECT now() - n * $4::interval AS at) AS t"""
NOON = datetime(2026, 3, 2, 12, 10, tzinfo=UTC)


async def test_the_overview_counts_every_run_of_a_day(serve: Serve, database: str) -> None:
    """However many there are: not the newest few hundred, and of each reader's jobs alone."""
    minute = timedelta(minutes=1)
    async with at_work(database), serve(*JOBS) as web, looking(database) as eye:
        await eye.value(PAST, "shop.orders", "succeeded", 24 * 60 + 90, minute)
        await eye.value(PAST, "etl.sync", "failed", 700, 2 * minute)
        shop = await bearer(database, "viewer:shop.*")
        of_all = (await web.get("/console/")).text
        of_shop = (await web.get("/console/", headers=shop)).text

    assert "1439 runs succeeded and 700 failed" in of_all
    assert "1439 runs succeeded and 0 failed" in of_shop
    assert ">1,439<" in of_all


async def test_half_hours_that_are_over_are_counted_once_and_again_when_as_old_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    counted = Client.ended_counts

    async def told(self: Client, spans: Any, **more: Any) -> list[EndedCount] | None:
        asked.append(len(spans))
        return await counted(self, spans, **more)

    monkeypatch.setattr(Client, "ended_counts", told)
    async with at_work(database), Client.open(database) as sereno, looking(database) as eye:
        now = await sereno.now()
        await eye.value(PAST, "shop.orders", "succeeded", 47, timedelta(minutes=30))
        first = await ended_day(sereno, now, None)
        again = await ended_day(sereno, now + timedelta(seconds=1), None)
        of_one = await ended_day(sereno, now, ("etl.sync",))
        await eye.value(PAST, "shop.orders", "failed", 47, timedelta(minutes=30))
        later = await ended_day(sereno, now + 2 * DAY, None)
        half_hour_later = await ended_day(sereno, now + HALF_HOUR, None)

    assert first.states == again.states == Counter(succeeded=47)
    assert of_one.states == Counter()
    assert later.states == Counter()
    assert half_hour_later.states["failed"] > 0  # those that had not been as old again
    assert asked[0] == len(half_hours(now))
    assert (
        asked[1] <= 4
    )  # both in part, and at most the half hour that has just ended, and its like


@given(minutes=st.floats(0, 10_000_000))
def test_half_hours_make_up_a_day_without_a_gap(minutes: float) -> None:
    now = NOON + timedelta(minutes=minutes)
    spans = half_hours(now)
    assert (spans[0][0], spans[-1][1]) == (now - DAY, now)
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert all(b - a == HALF_HOUR for a, b in spans[1:-1])
    assert all(timedelta(0) < b - a <= HALF_HOUR for a, b in spans)


def test_bars_stand_where_runs_ended_and_slots_are_due() -> None:
    spans = [
        EndedSpan(begins=a, ends=b, count=EndedCount(states={"succeeded": 3, "lost": 1, "x": 9}))
        for a, b in half_hours(NOON)
    ]
    due = {NOON + timedelta(minutes=n): 2 for n in (1, 30, 24 * 60 - 1)}
    bars = day_chart(NOON, ended=spans, due=due).bars

    assert Counter(bar.kind for bar in bars) == {"good": 49, "bad": 49, "due": 3}
    assert [bar.count for bar in bars if bar.kind == "due"] == [2, 2, 2]
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in bars)
    assert all(bar.x + bar.width < WIDTH / 2 for bar in bars if bar.kind != "due")
    assert all(bar.x > WIDTH / 2 for bar in bars if bar.kind == "due")
    assert day_chart(NOON, ended=(), due={}).bars == ()
