import asyncio
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from sereno.testing import run_context
from sereno_cleanup import disks, tally
from sereno_cleanup.database import make_table
from sereno_cleanup.disks import Disks
from sereno_cleanup.logs import logs
from sereno_cleanup.query import query
from sereno_cleanup.settings import LogRule, Settings
from sereno_cleanup.tally import CleanupTally, SweepCount, add

NOW = datetime(2026, 3, 31, 2, 0, tzinfo=UTC)


async def counts(url: str) -> dict[tuple[str, str], int]:
    samples = await CleanupTally().collect(url)
    return {
        (s.labels["subject"], s.labels["outcome"]): int(s.value)
        for s in samples
        if s.metric is tally.ITEMS
    }


async def test_counts_add_up_over_runs_and_rules(empty_database: str) -> None:
    assert await counts(empty_database) == {}
    await add(empty_database, "cleanup.logs", [SweepCount("/l/*", "deleted", 3, 100)])
    await add(
        empty_database,
        "cleanup.logs",
        [
            SweepCount("/l/*", "deleted", 4, 50),
            SweepCount("/l/*", "deleted", 1),
            SweepCount("/m", "open", 2),
        ],
    )
    await add(empty_database, "cleanup.logs", [SweepCount("/l/*", "open", 0)])
    assert await counts(empty_database) == {("/l/*", "deleted"): 8, ("/m", "open"): 2}
    freed = [
        s.value for s in await CleanupTally().collect(empty_database) if s.metric is tally.FREED
    ]
    assert freed == [150, 0]


@pytest.mark.parametrize("name", ["tally", "check", "disk", "archive"])
async def test_machines_that_make_a_table_at_once_all_have_it(
    empty_database: str, name: str
) -> None:
    sessions = [await asyncpg.connect(empty_database) for _ in range(6)]
    await asyncio.gather(*(make_table(one, name) for one in sessions))
    assert await sessions[0].fetchval(query(f"{name}_exists"))
    for one in sessions:
        await one.close()


def test_a_sweep_counts_what_went_and_what_stayed(empty_database: str, tmp_path: Path) -> None:
    root = tmp_path / "logs"
    root.mkdir()
    for name, days in (("a.log", 99), ("b.log", 98), ("c.log", 1)):
        (root / name).write_text("a line\n")
        at = NOW.timestamp() - days * 86_400
        os.utime(root / name, (at, at))
    settings = Settings(logs_roots=(str(root),), logs=(LogRule(path=f"{root}/*.log", min_keep=0),))
    logs.function(
        run_context(logs, settings=settings, database_url=empty_database, clock=lambda: NOW)
    )

    async def rows() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(empty_database)
        try:
            return list(await connection.fetch("SELECT outcome, items FROM cleanup.tally"))
        finally:
            await connection.close()

    assert {row["outcome"]: row["items"] for row in asyncio.run(rows())} == {
        "deleted": 2,
        "recent": 1,
    }


async def test_room_is_shown_for_each_place_that_there_is(tmp_path: Path) -> None:
    settings = Settings(
        logs_roots=(str(tmp_path), "/no/such/place"),
        logs=(LogRule(path=f"{tmp_path}/*.log", archive=str(tmp_path / "gone")),),
    )
    samples = await Disks(settings).collect("")
    assert {s.labels["path"] for s in samples} == {str(tmp_path)}
    free = {s.metric: s.value for s in samples}
    assert 0 < free[disks.FREE] < free[disks.SIZE]


async def test_a_disk_that_does_not_answer_holds_one_thread_however_often_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = threading.Event(), []

    def statvfs(place: str) -> os.statvfs_result:
        asked.append(place)
        answers.wait()
        raise OSError

    monkeypatch.setattr(os, "statvfs", statvfs)
    collector = Disks(Settings(logs_roots=(str(tmp_path),)))
    for _ in range(5):
        scrape = asyncio.create_task(collector.collect(""))
        await asyncio.sleep(0)
        scrape.cancel()
        await asyncio.gather(scrape, return_exceptions=True)
    last = asyncio.create_task(collector.collect(""))
    await asyncio.sleep(0)
    answers.set()
    assert await last == []
    assert asked == [str(tmp_path)]
