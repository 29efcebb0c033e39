"""The version before goes on with its work while the schema is brought to the newest under it.

It starts on the schema of its day, and knows nothing of what has come since.
"""

import asyncio
import io
import signal
import subprocess
import tarfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from sereno.engine.verification import Fault, verify
from sereno.store.migration import migrations
from sereno.store.pool import Database

from ..servers.waiting import wait_until
from .asking import do, enqueue, state, value
from .process import ROOT, Process, process

JOBS = "tests.faults.jobs"
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

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the kernel of the version before: the directory to import it from."""
    archive = subprocess.run(
        ["git", "archive", COMMIT, "kernel/sereno"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.fail(
            f"commit {COMMIT} is not in this clone: git fetch --unshallow\n"
            f"{archive.stderr.decode(errors='replace')}",
            pytrace=False,
        )
    place = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(place, filter="data")
    return place / "kernel"


def goes_on(dsn: str) -> None:
    """Wait until whoever leads has fired slots, claimed runs, recorded their ends, and heard."""
    fired = value(dsn, FIRED)
    wait_until(lambda: value(dsn, FIRED) > fired + 1, "slots")
    queued = [enqueue(dsn, "faults.long", '{"seconds": 0.1}') for _ in range(20)]
    wait_until(lambda: {state(dsn, run) for run in queued} == {"succeeded"}, "runs of the queue")
    stopped = enqueue(dsn, "faults.long", '{"seconds": 60}')
    wait_until(lambda: state(dsn, stopped) == "running", "a run")
    do(dsn, f"INSERT INTO sereno.cancel_request (run_id, requested_by) VALUES ({stopped}, 'ana')")
    do(dsn, "NOTIFY sereno, 'cancel'")
    wait_until(lambda: state(dsn, stopped) == "cancelled", "its end")


def leading(*replicas: Process) -> list[Process]:
    return [replica for replica in replicas if replica.lines("leading")]


def test_it_fires_claims_and_takes_the_lead_over_again_on_the_newest_schema(
    empty_database: str, before: Path, tmp_path: Path
) -> None:
    dsn = empty_database
    with ExitStack() as stack:
        path = f"{before}:{ROOT}"
        first, second = [
            stack.enter_context(process(dsn, tmp_path, JOBS, PYTHONPATH=path)) for _ in range(2)
        ]
        wait_until(lambda: leading(first, second), "one to lead")
        leader, standby = (first, second) if leading(first) else (second, first)
        standby.said("ready")
        goes_on(dsn)
        newest = stack.enter_context(process(dsn, tmp_path, JOBS))
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
    assert asyncio.run(account(dsn)) == []


async def account(dsn: str) -> list[Fault]:
    """Return what is wrong in the record, as the newest version reads it."""
    db = Database(dsn, size=2)
    await db.open()
    try:
        return (await verify(db, timedelta(days=1))).faults
    finally:
        await db.close()
