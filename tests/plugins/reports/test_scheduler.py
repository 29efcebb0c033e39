"""The scheduler's own report, from runs and slots in the kernel's tables."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno_reports.figures import Figures
from sereno_reports.folders import found
from sereno_reports.statement import bound

from .conftest import Make
from .kept import cards, rows

RUN = """
INSERT INTO sereno.run (job, state, cause, schedule_id, slot, attempt, started_at, finished_at)
VALUES ($1, $2, $3, 1, $4::text::timestamptz, 1, $5::text::timestamptz,
        $5::text::timestamptz + $6 * interval '1 second')
"""


@pytest.fixture
async def ledger(database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO sereno.schedule (name, job, origin, declared) OVERRIDING SYSTEM VALUE"
        " VALUES ('etl.sync', 'etl.sync', 'plugin', '{}')"
    )
    yield connection
    await connection.close()


async def run(
    ledger: Any, job: str, started: str, took: float, state: str = "succeeded", slot: str = ""
) -> None:
    cause = "slot" if slot else "person"
    await ledger.execute(RUN, job, state, cause, slot or None, started, took)


async def report(ledger: Any, make: Make, day: date = date(2024, 11, 19)) -> Figures:
    at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC) + timedelta(days=1)
    await make({"day": f"{day}"}, report="scheduler", now=at)
    row = await ledger.fetchval(
        "SELECT figures::text FROM sereno_reports.report WHERE name = 'scheduler' AND day = $1"
        " ORDER BY revision DESC LIMIT 1",
        day,
    )
    return msgspec.json.decode(row, type=Figures)


async def test_runs_failures_lateness_and_missed_slots_of_a_day(ledger: Any, make: Make) -> None:
    found.cache_clear()
    for hour, late in ((8, 0), (9, 4), (10, 20)):
        slot = f"2024-11-19 {hour:02}:00:00+01"
        await run(ledger, "etl.sync", f"2024-11-19 {hour:02}:00:{late:02}+01", 60, slot=slot)
    await run(ledger, "etl.sync", "2024-11-19 11:00+01", 600, "timed_out")
    await run(ledger, "etl.sync", "2024-11-20 11:00+01", 60)  # of another day
    await run(ledger, "cleanup.logs", "2024-11-19 12:00+01", 5, "cancelled")
    await ledger.execute(
        "INSERT INTO sereno.slot (schedule_id, slot, verdict, term)"
        " VALUES (1, '2024-11-19 14:00+01', 'missed', 1), (1, '2024-11-19 15:00+01', 'ran', 1)"
    )
    await ledger.execute(
        "INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict, term)"
        " VALUES (1, '2024-11-19 16:00+01', '2024-11-19 18:00+01', 3, 'missed', 1)"
    )
    figures = await report(ledger, make)
    told = cards(figures)
    assert (told["runs"], told["jobs"], told["failed"], told["missed"]) == (5, 2, 1, 4)
    assert (told["latest"], told["slowest"], told["failure_rate"]) == (20, 600, 0.25)
    jobs = {row["job"]: row for row in rows(figures, "jobs")}
    assert (jobs["etl.sync"]["late"], jobs["etl.sync"]["took"]) == (8, 60)
    assert jobs["etl.sync"]["missed"] == 4
    assert rows(figures, "slowest")[0]["took"] == 600


async def test_each_job_is_held_against_its_last_four_weeks(ledger: Any, make: Make) -> None:
    found.cache_clear()
    for week in range(1, 5):
        day = f"2024-{'10' if week == 4 else '11'}-{ {1: 12, 2: 5, 3: 1, 4: 24}[week]:02}"
        for _ in range(7):
            await run(ledger, "etl.sync", f"{day} 09:00+01", 10)
            await run(ledger, "steady", f"{day} 09:00+01", 10)
    await run(ledger, "etl.sync", "2024-10-01 09:00+01", 9999)  # longer ago
    await run(ledger, "etl.sync", "2024-11-19 09:00+01", 25)
    await run(ledger, "steady", "2024-11-19 09:00+01", 10)
    figures = await report(ledger, make)
    jobs = {row["job"]: row for row in rows(figures, "jobs")}
    assert (jobs["etl.sync"]["took_before"], jobs["etl.sync"]["growth"]) == (10, 1.5)
    assert jobs["etl.sync"]["runs_before"] == 1  # 28 in 28 days
    assert [row["job"] for row in rows(figures, "growing")] == ["etl.sync"]


async def test_a_job_whose_slots_are_all_missed_has_a_row(ledger: Any, make: Make) -> None:
    found.cache_clear()
    await ledger.execute(
        "INSERT INTO sereno.slot (schedule_id, slot, verdict, term)"
        " VALUES (1, '2024-11-19 14:00+01', 'missed', 1)"
    )
    (row,) = rows(await report(ledger, make), "jobs")
    assert (row["job"], row["runs"], row["missed"], row["took"]) == ("etl.sync", 0, 1, None)


async def test_a_scheduler_without_runs_has_a_report(ledger: Any, make: Make) -> None:
    found.cache_clear()
    assert cards(await report(ledger, make))["runs"] == 0


async def test_runs_that_were_pruned_still_count(ledger: Any, make: Make) -> None:
    found.cache_clear()
    day = await ledger.fetchval("SELECT (now() AT TIME ZONE 'Europe/Madrid')::date - 1")
    for minute in range(10):
        slot = f"{day} 08:{minute:02}:00 Europe/Madrid"
        state = "failed" if minute == 3 else "succeeded"
        await run(ledger, "etl.sync", slot.replace(":00 ", ":02 "), minute + 1, state, slot)
        earlier = day - timedelta(days=minute + 1)
        await run(ledger, "etl.sync", f"{earlier} 09:00 Europe/Madrid", 2)
    whole = await report(ledger, make, day)
    await ledger.execute(
        "INSERT INTO sereno.job (name, plugin, policies) VALUES ('etl.sync', 'etl', '{}')"
    )
    while await ledger.fetchval("SELECT sereno.prune('100 years', 4, 3)"):
        pass
    assert await ledger.fetchval("SELECT count(*) FROM sereno.run") == 4
    after = await report(ledger, make, day)
    assert cards(after) == cards(whole)
    (row,), (as_before,) = rows(after, "jobs"), rows(whole, "jobs")
    assert (as_before["took_p95"], row["took_p95"]) == (10, None)  # it cannot be known any more
    assert row | {"took_p95": 10} == as_before
    assert (row["runs"], row["failed"], row["runs_before"], row["late"]) == (10, 1, 1, 2)
    assert rows(after, "growing") == rows(whole, "growing") != []


async def test_a_job_of_few_days_is_held_against_as_many(ledger: Any, make: Make) -> None:
    found.cache_clear()
    for day in (17, 18, 19):
        for hour in range(12):
            await run(ledger, "new", f"2024-11-{day} {hour:02}:00+01", 10)
    (row,) = rows(await report(ledger, make), "jobs")
    assert (row["runs"], row["runs_before"]) == (12, 12)


async def test_chance_is_no_growth(ledger: Any, make: Make) -> None:
    found.cache_clear()
    for hour in range(2):
        await run(ledger, "seldom", f"2024-11-12 {hour:02}:00+01", 10)
    for hour in range(9):
        await run(ledger, "quick", f"2024-11-12 {hour:02}:00+01", 0.01)
        await run(ledger, "heavy", f"2024-11-12 {hour:02}:00+01", 10)
    for job, took in (("seldom", 90), ("quick", 0.09), ("heavy", 11)):
        await run(ledger, job, "2024-11-19 09:00+01", took)
    figures = await report(ledger, make)
    assert [(row["job"], row["growth"]) for row in rows(figures, "growing")] == [("heavy", 0.1)]


async def test_an_instant_that_no_calendar_has_costs_its_own_row_alone(
    ledger: Any, make: Make
) -> None:
    found.cache_clear()
    await run(ledger, "etl.sync", "2024-11-19 09:00+01", 10)
    await ledger.execute(
        "INSERT INTO sereno.run (job, state, cause, started_at, slot, finished_at) VALUES"
        " ('etl.sync', 'succeeded', 'slot', '-infinity', '-infinity', '2024-11-19 10:00+01'),"
        " ('etl.sync', 'succeeded', 'slot', '2024-11-19 10:00+01', 'infinity', 'infinity')"
    )
    told = cards(await report(ledger, make))
    assert (told["runs"], told["slowest"]) == (2, 10)
    await ledger.execute(
        "INSERT INTO sereno.job (name, plugin, policies) VALUES ('etl.sync', 'etl', '{}')"
    )
    assert await ledger.fetchval("SELECT sereno.prune('1 day', 0)") == 3
    assert await ledger.fetchval("SELECT count(*) FROM sereno.run_tally") == 0  # older than 62 days


@pytest.mark.parametrize("sql", ["jobs", "growing", "slowest"])
async def test_a_long_history_is_read_by_its_index(ledger: Any, sql: str) -> None:
    await ledger.execute(
        "INSERT INTO sereno.run (job, state, cause, attempt, started_at, finished_at)"
        " SELECT 'j' || n % 20, 'succeeded', 'program', 1, at, at + interval '1 second'"
        " FROM generate_series(1, 60000) AS n,"
        " LATERAL (SELECT timestamptz '2024-11-20' - n * interval '20 minutes' AS at) AS t"
    )
    await ledger.execute(
        "INSERT INTO sereno.slot (schedule_id, slot, verdict, term)"
        " SELECT 1, timestamptz '2024-11-20' - n * interval '20 minutes', 'ran', 1"
        " FROM generate_series(1, 60000) AS n"
    )
    await ledger.execute("ANALYZE sereno.run, sereno.slot")
    text = found(())["scheduler"].sql(f"{sql}.sql")
    start = datetime(2024, 11, 19, tzinfo=UTC)
    statement, values = bound(text, {"start": start, "end": start + timedelta(days=1)})
    plan = "\n".join(row[0] for row in await ledger.fetch(f"EXPLAIN {statement}", *values))
    assert "run_finished" in plan
    for table in ("run", "slot"):
        assert f"Seq Scan on {table} " not in plan, plan
