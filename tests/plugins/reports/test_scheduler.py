"""The scheduler's own report, from runs and slots in the kernel's tables."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno_reports.figures import Figures
from sereno_reports.folders import found

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


async def report(ledger: Any, make: Make) -> Figures:
    await make(report="scheduler")
    row = await ledger.fetchval(
        "SELECT figures::text FROM sereno_reports.report WHERE name = 'scheduler' AND"
        " day = '2024-11-19'"
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
