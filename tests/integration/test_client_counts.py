"""Slots and runs are counted by spans of time, each once, as far as a look goes."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import Client, NotFoundError, ParamsError
from sereno.store.counts import share

from .scene import Scene, named, opened

THEN = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
HOUR = timedelta(hours=1)
MARKS = [THEN + n * HOUR for n in range(25)]
SLOTS = """
INSERT INTO sereno.slot (schedule_id, slot, verdict, term)
SELECT id, $2::timestamptz + n * $3::interval, CASE WHEN n % 10 = 0 THEN 'late' ELSE 'ran' END, 1
  FROM sereno.schedule, generate_series(0, $4::bigint - 1) n WHERE name = $1"""
MISSED = """
INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict, term)
SELECT id, $1, $2, $3, 'missed', 1 FROM sereno.schedule WHERE name = 'etl.sync'"""
ENDED = """
INSERT INTO sereno.run (job, state, cause, run_at, queued_at, finished_at)
SELECT $1, $2, 'program', $3, $3, $3::timestamptz + n * $4::interval
  FROM generate_series(0, $5::bigint - 1) n"""


async def house(scene: Scene) -> Client:
    await scene.declare("etl.sync", named("etl.sync", "every 1m"), named("etl.sync@b", "every 1m"))
    await scene.eye.execute("UPDATE sereno.watermark SET settled_to = $1", MARKS[-1])
    return Client(scene.db)


async def kept(scene: Scene, name: str, first: datetime, step: timedelta, count: int) -> None:
    await scene.eye.execute(SLOTS, name, first, step, count)


async def test_each_slot_counts_in_its_span_alone(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)
        minute = timedelta(minutes=1)
        await kept(scene, "etl.sync", THEN - HOUR, minute, 26 * 60)
        await kept(scene, "etl.sync@b", THEN + HOUR, HOUR, 2)
        found = await client.slot_counts("etl.sync", MARKS)
    assert found.since is None
    assert [sum(span.values()) for span in found.spans] == [60, 61, 61, *[60] * 21]
    assert found.spans[1] == {"ran": 54, "late": 7}


async def test_a_range_has_its_share_in_each_span_and_none_beyond(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)
        await scene.eye.execute(
            MISSED,
            THEN - HOUR,
            THEN + 3 * HOUR - timedelta(minutes=1),
            240,
        )
        found = await client.slot_counts("etl.sync", MARKS)
    assert found.spans[:4] == ({"missed": 60}, {"missed": 60}, {"missed": 60}, {})


async def test_the_newest_are_counted_and_what_is_left_out_is_said(database: str) -> None:
    """A long history is looked at as far as enough is found, and no span is counted in part."""
    async with opened(database) as scene:
        client = await house(scene)
        await kept(scene, "etl.sync", THEN, timedelta(minutes=1), 24 * 60)
        part = await client.slot_counts("etl.sync", MARKS, most=300)
        less = await client.slot_counts("etl.sync", MARKS, most=100)
        whole = await client.slot_counts("etl.sync", MARKS, most=24 * 60 + 1)
    assert part.since == THEN + 16 * HOUR  # four hours, then as many again: 480
    assert [sum(span.values()) for span in part.spans] == [*[0] * 16, *[60] * 8]
    assert less.since == THEN + 24 * HOUR - timedelta(minutes=100)
    assert sum(sum(span.values()) for span in less.spans) == 100
    assert (whole.since, sum(sum(span.values()) for span in whole.spans)) == (None, 24 * 60)


async def test_marks_that_are_none_are_refused(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)
        for marks in ([], MARKS[:1], [THEN, THEN], MARKS[::-1]):
            with pytest.raises(ParamsError, match="marks must be from 2 to 2,001"):
                await client.slot_counts("etl.sync", marks)
        with pytest.raises(NotFoundError, match=r"did you mean 'etl.sync'"):
            await client.slot_counts("etl.snyc", MARKS)
        with pytest.raises(ParamsError, match="2,001 spans"):
            await client.ended_counts([(THEN, THEN + HOUR)] * 2_001)


@given(
    first=st.integers(0, 10_000),
    length=st.integers(1, 10_000),
    slots=st.integers(2, 10**12),
    marks=st.sets(st.integers(-10, 30_000), min_size=2),
)
def test_a_share_is_the_same_piece_by_piece(
    first: int, length: int, slots: int, marks: set[int]
) -> None:
    span = (THEN + timedelta(seconds=first), THEN + timedelta(seconds=first + length))
    places = [THEN + timedelta(seconds=mark) for mark in sorted(marks)]
    shares = share(span, slots, places)
    assert shares == [share(span, slots, pair)[0] for pair in map(list, pairwise(places))]
    assert min(shares) >= 0
    whole = [THEN - HOUR, *places[1:-1], THEN + timedelta(days=1)]
    assert sum(share(span, slots, sorted(whole))) == slots


async def test_what_ended_counts_by_state_and_job_also_when_it_is_pruned(database: str) -> None:
    spans = list(pairwise(MARKS[:5]))

    async def counted(client: Client, **more: Any) -> list[Counter[str]]:
        found = await client.ended_counts(spans, **more)
        assert found is not None
        assert not any(count.more for count in found)
        return [Counter(count.states) for count in found]

    async with opened(database) as scene:
        client = await house(scene)
        await scene.declare("etl.sync", "shop.mail")
        minute = timedelta(minutes=1)
        await scene.eye.execute(ENDED, "etl.sync", "succeeded", THEN, minute, 150)
        await scene.eye.execute(ENDED, "shop.mail", "failed", THEN + HOUR, minute, 3)
        every = await counted(client)
        mail = await counted(client, jobs=["shop.mail"])
        nobody = await counted(client, jobs=[])
        await scene.eye.execute("UPDATE sereno.run SET finished_at = finished_at")
        assert await scene.value("SELECT sereno.prune('1 s', 10)") > 100
        later = await counted(client)
    whole = [{"succeeded": 60}, {"succeeded": 60, "failed": 3}, {"succeeded": 30}, {}]
    assert every == whole
    assert mail == [{}, {"failed": 3}, {}, {}]
    assert nobody == [{}, {}, {}, {}]
    assert later == whole


async def test_of_a_span_with_very_many_runs_it_is_said_that_there_are_more(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)
        await scene.eye.execute(ENDED, "etl.sync", "succeeded", THEN, timedelta(seconds=1), 500)
        found = await client.ended_counts(list(pairwise(MARKS[:3])), most=100)
        assert found is not None
        assert [(count.states, count.more) for count in found] == [
            ({"succeeded": 100}, True),
            ({}, False),
        ]
        await scene.eye.execute("DROP INDEX sereno.run_finished")
        assert await client.ended_counts(list(pairwise(MARKS[:3]))) is None
