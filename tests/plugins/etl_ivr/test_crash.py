"""kill -9 at every step of a sync, and a rerun: the same target, each call once."""

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .conftest import Sync
from .pbx import Pbx, fetch, loaded

OFTEN = [
    "MysqlSource.page:before",
    "MysqlSource.page:after",
    "SourcePage.copied:before",
    "SourcePage.copied:after",
    "Target._copy:before",
    "Target._copy:after",
    "Target._filled:after",
    "Target._merged:after",
    "Watermark.claim:after",
    "Target.load:after",
    "Repair.stage:before",
    "Repair.stage:after",
    "Target._reject:after",
    "Target.load_rows:after",
]
ONCE = [
    "MysqlSource.describe:after",
    "Target.hold:after",
    "Target.prepare:after",
    "Target.finish:before",
    "Target.finish:after",
]
EVERY = [(step, number) for number in (1, 3) for step in OFTEN] + [(step, 1) for step in ONCE]
SOME = [(step, 1) for step in OFTEN[1::2] + ONCE[::2]]
LONG = pytest.mark.long(
    "tests/plugins/etl_ivr/test_crash.py::test_a_sync_killed_at_any_step_and_run_again_ends_the_same"
)
ALL = ("calldate", "clid", "src", "duration", "billsec", "uniqueid", "userfield")


async def crash(pbx: Pbx, database: str, step: str, number: int) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("crash.py")),
        pbx.url,
        database,
        step,
        str(number),
    )
    return await process.wait()


@pytest.mark.fault
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "steps", [pytest.param(SOME, id="some"), pytest.param(EVERY, id="every", marks=LONG)]
)
async def test_a_sync_killed_at_any_step_and_run_again_ends_the_same(
    pbx: Pbx, synced: Sync, database: str, steps: list[tuple[str, int]]
) -> None:
    pbx.fill(4800, seconds=600)
    pbx.execute("UPDATE cdr SET userfield = 'a\\0b' WHERE sequence % 120 = 0")  # a page in three
    pbx.execute("INSERT INTO cdr SELECT * FROM cdr WHERE sequence % 50 IN (0, 1)")

    for step, number in steps:
        assert await crash(pbx, database, step, number) == -signal.SIGKILL, step
        assert not await surplus(database), step
    result = await synced(pbx)

    assert result["processed"] == 0
    good = pbx.rows(*ALL)
    bad = Counter({row: n for row, n in good.items() if row[-1]})
    assert await loaded(database, *ALL) == good - bad
    (rejects,) = await fetch(database, "SELECT sum(copies)::int FROM ivr.rejects")
    assert rejects[0] == bad.total() == 48


async def surplus(database: str) -> list[Any]:
    """Return the calls of which the target has more than the source ever had."""
    exists = await fetch(database, "SELECT to_regclass('ivr.calls') IS NOT NULL")
    if not exists[0][0]:
        return []
    return await fetch(
        database,
        "SELECT sequence FROM ivr.calls GROUP BY sequence"
        " HAVING count(*) > CASE WHEN sequence % 50 IN (0, 1) THEN 2 ELSE 1 END",
    )
