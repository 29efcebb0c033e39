"""A bulk goes on under the next leader: nothing is done twice, and nothing left out."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sereno import RunFilter, SyncClient

from ..servers.waiting import wait_until
from .asking import await_job, do, value
from .process import Process, process

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

MANY = 6_000
LEADER = (
    "SELECT n.pid FROM sereno.leadership l JOIN sereno.node n ON n.id = l.node"
    " JOIN sereno.term t ON t.term = l.term WHERE t.ended_at IS NULL"
)
FAR = "SELECT done >= %s FROM sereno.bulk"
FILL = """
INSERT INTO sereno.run (job, state, cause, queued_at, run_at, finished_at)
SELECT 'faults.long', '{state}', 'program', now() - interval '1 h', now() + interval '9 y', {end}
  FROM generate_series(1, {many})
"""


@pytest.fixture
def replicas(database: str, tmp_path: Path) -> Iterator[list[Process]]:
    """Two replicas, of which one leads and knows the jobs."""
    with ExitStack() as stack:
        found = [
            stack.enter_context(process(database, tmp_path, "tests.faults.jobs")) for _ in range(2)
        ]
        for replica in found:
            replica.said("ready")
        await_job(database, "faults.long")
        yield found


def ended(dsn: str, replicas: list[Process], number: signal.Signals) -> None:
    """Send `number` to the leader, in the middle of the bulk."""
    done = int(value(dsn, "SELECT done FROM sereno.bulk"))
    wait_until(lambda: value(dsn, FAR, done + 200), "some chunks more")
    pid = wait_until(lambda: value(dsn, LEADER), "a leader")
    next(r for r in replicas if r.popen.pid == pid).signal(number)
    assert value(dsn, "SELECT state FROM sereno.bulk") == "running"


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_bulk_is_whole_though_its_leader_ends_in_the_middle(
    replicas: list[Process], database: str, fault: signal.Signals
) -> None:
    do(database, FILL.format(state="failed", end="now() - interval '1 min'", many=MANY))
    with SyncClient.open(database) as client:
        wanted = RunFilter(job="faults.long")
        client.start_bulk("retry", wanted, reason="all of them", expect=MANY)
        ended(database, replicas, fault)
        over = "SELECT state = 'done' FROM sereno.bulk"
        wait_until(lambda: value(database, over), "the end of the bulk", 180)
        bulk = client.bulk(1)
        trail = client.changes(subject="bulk 1").items
    again = (
        "SELECT count(*) || ' ' || count(DISTINCT repeats) FROM sereno.run WHERE cause = 'retry'"
    )
    assert value(database, again) == f"{MANY} {MANY}"
    assert (bulk.matched, bulk.done, bulk.failed) == (MANY, MANY, 0)
    assert [change.action for change in trail] == ["bulk_retry"]
    terms = "SELECT count(DISTINCT term) FROM sereno.term"
    assert value(database, terms) >= 2


def test_a_cancelling_bulk_counts_each_run_once_over_a_failover(
    replicas: list[Process], database: str
) -> None:
    do(database, FILL.format(state="queued", end="NULL", many=MANY))
    with SyncClient.open(database) as client:
        client.start_bulk("cancel", RunFilter(job="faults.long"), reason="none", expect=MANY)
        ended(database, replicas, signal.SIGKILL)
        over = "SELECT state = 'done' FROM sereno.bulk"
        wait_until(lambda: value(database, over), "the end of the bulk", 180)
        bulk = client.bulk(1)
    counted = "SELECT cancelled FROM sereno.job_stat WHERE job = 'faults.long'"
    assert value(database, counted) == MANY
    assert (bulk.matched, bulk.done, bulk.failed) == (MANY, MANY, 0)
