"""The version before goes on with its work while the schema is brought to the newest under it.

It starts on the schema of its day, with what started it in that day's tests: it knows nothing of
what has come since.
"""

import asyncio
import signal
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from sereno.engine.verification import Fault, verify
from sereno.store.migration import migrations
from sereno.store.pool import Database

from ..history import unpack
from ..servers.waiting import wait_until
from .asking import do, enqueue, state, value
from .process import KEPT, ROOT, Process, process

JOBS = "mixed"
PLUGIN = """
import asyncio
from sereno import every, hookimpl, job

@job("faults.tick", schedule=every("1s"), catch_up="all", overlap="allow")
async def tick(run):
    pass

@job("faults.long")
async def long(run):
    await asyncio.sleep(run.params["seconds"])

@job("faults.keyed", concurrency_key="{key}")
async def keyed(run):
    await asyncio.sleep(0.02)

@job("faults.first")
async def first(run):
    return {"number": run.params["number"]}

@job("faults.next", after="faults.first")
async def following(run):
    return run.upstream

@hookimpl
def sereno_register_jobs():
    return [tick, long, keyed, first, following]
"""
COMMIT = "357535e85686cdad7174783bfbb9b729714a604b"
"""The last one that knew two migrations and refused to start on more."""

LOST = """
    SELECT count(*) FROM generate_series(
        (SELECT min(slot) FROM sereno.slot), (SELECT max(slot) FROM sereno.slot), '1 s') due(slot)
     WHERE NOT EXISTS (SELECT 1 FROM sereno.slot s WHERE s.slot = due.slot)
"""
FIRED = """
    SELECT count(*) FROM sereno.slot s JOIN sereno.run r ON r.id = s.run_id
     WHERE r.state = 'succeeded' AND s.term = (SELECT max(term) FROM sereno.term)
"""
TOGETHER = """
    SELECT count(*) FROM sereno.run a JOIN sereno.run b USING (job, concurrency_key)
     WHERE a.id <> b.id AND job = 'faults.keyed'
       AND b.started_at > a.started_at AND b.started_at < a.finished_at
"""
FOLLOWED = """
    SELECT count(*) FROM sereno.run WHERE job = 'faults.next' AND state = 'succeeded'
       AND result -> 'faults.first' ->> 'number' = %s
"""
UNIQUE = "SELECT sereno.enqueue('faults.long', '{\"seconds\": 60}', unique_key => 'one')"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the version before, and what starts it in tests: the path to import both from."""
    paths = ["kernel/sereno", "tests/faults"]
    place = unpack(COMMIT, paths, tmp_path_factory.mktemp("before"))
    return f"{place / 'kernel'}:{place}"


def goes_on(dsn: str) -> None:
    """Wait until whoever leads has fired slots, claimed runs, with keys and without, recorded their
    ends, queued what comes after them, and heard what is to be stopped."""
    fired = value(dsn, FIRED)
    wait_until(lambda: value(dsn, FIRED) > fired + 1, "slots")
    queued = [enqueue(dsn, "faults.long", '{"seconds": 0.1}') for _ in range(20)]
    queued += [enqueue(dsn, "faults.keyed", f'{{"key": "{n % 2}"}}') for n in range(8)]
    wait_until(lambda: {state(dsn, run) for run in queued} == {"succeeded"}, "runs of the queue")
    first = enqueue(dsn, "faults.first", f'{{"number": {fired}}}')
    wait_until(lambda: value(dsn, FOLLOWED, str(fired)), f"what comes after run {first}")
    stopped = value(dsn, UNIQUE)
    wait_until(lambda: state(dsn, stopped) == "running", "a run")
    assert value(dsn, UNIQUE) == stopped
    do(dsn, f"INSERT INTO sereno.cancel_request (run_id, requested_by) VALUES ({stopped}, 'ana')")
    do(dsn, "NOTIFY sereno, 'cancel'")
    wait_until(lambda: state(dsn, stopped) == "cancelled", "its end")


def leading(*replicas: Process) -> list[Process]:
    return [replica for replica in replicas if replica.lines("leading")]


def test_it_fires_claims_and_takes_the_lead_over_again_on_the_newest_schema(
    empty_database: str, before: str, tmp_path: Path
) -> None:
    dsn = empty_database
    (tmp_path / "mixed.py").write_text(PLUGIN)
    with ExitStack() as stack:
        path = f"{before}:{ROOT}"
        first, second = [
            stack.enter_context(process(dsn, tmp_path, JOBS, **KEPT, PYTHONPATH=path))
            for _ in range(2)
        ]
        wait_until(lambda: leading(first, second), "one to lead")
        leader, standby = (first, second) if leading(first) else (second, first)
        standby.said("ready")
        goes_on(dsn)
        newest = stack.enter_context(process(dsn, tmp_path, JOBS, **KEPT))
        newest.said("ready")
        applied = [line["migration"] for line in newest.lines("migrated")]
        assert applied == [m.name for m in migrations()[2:] if not m.post]
        goes_on(dsn)
        assert not leader.lines("no longer leading")
        standby.signal(signal.SIGSTOP)
        leader.signal(signal.SIGKILL)
        newest.said("leading")
        goes_on(dsn)
        standby.signal(signal.SIGCONT)
        under_way = enqueue(dsn, "faults.long", '{"seconds": 3}')
        wait_until(lambda: state(dsn, under_way) == "running", "a run of the newest")
        newest.signal(signal.SIGKILL)
        standby.said("leading")
        goes_on(dsn)
        wait_until(lambda: state(dsn, under_way) == "succeeded", "what the newest had begun")
        standby.signal(signal.SIGTERM)
        assert standby.end() == 0
    assert value(dsn, LOST) == 0
    assert value(dsn, TOGETHER) == 0
    assert asyncio.run(account(dsn)) == []


async def account(dsn: str) -> list[Fault]:
    """Return what is wrong in the record, as the newest version reads it."""
    db = Database(dsn, size=2)
    await db.open()
    try:
        return (await verify(db, timedelta(days=1))).faults
    finally:
        await db.close()
