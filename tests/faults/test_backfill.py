"""A back-fill goes on under the next leader: each of its slots is filled, and none twice."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from sereno import SyncClient

from ..servers.waiting import wait_until
from .asking import value
from .process import Process, process

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

LEADER = (
    "SELECT n.pid FROM sereno.leadership l JOIN sereno.node n ON n.id = l.node"
    " JOIN sereno.term t ON t.term = l.term WHERE t.ended_at IS NULL"
)
SLOTS = 1_500
FAR = "SELECT queued >= %s FROM sereno.backfill"
EACH = """
SELECT count(*) || ' ' || count(DISTINCT slot) || ' ' || bool_and(state = 'succeeded')::text
  FROM sereno.run WHERE cause = 'backfill'
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
        known = "SELECT count(*) FROM sereno.schedule WHERE name = 'faults.tick'"
        wait_until(lambda: value(database, known), "the schedule")
        yield found


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_back_fill_is_whole_though_its_leader_ends_in_the_middle(
    replicas: list[Process], database: str, fault: signal.Signals
) -> None:
    with SyncClient.open(database) as client:
        until = client.now() - timedelta(hours=1)
        since = until - timedelta(seconds=SLOTS)
        order = client.start_backfill(
            "faults.tick", since, until, parallel=20, expect=SLOTS + 1, reason="all of them"
        )
        wait_until(lambda: value(database, FAR, 100), "some runs")
        pid = wait_until(lambda: value(database, LEADER), "a leader")
        next(r for r in replicas if r.popen.pid == pid).signal(fault)
        assert value(database, "SELECT state FROM sereno.backfill") == "running"
        over = "SELECT state = 'done' FROM sereno.backfill"
        wait_until(lambda: value(database, over), "the end of the back-fill", 180)
        order = client.backfill(order.id)
        account = client.verify(timedelta(days=1))
        trail = client.changes(subject="faults.tick").items
    assert order.queued == order.succeeded + order.failed == order.expected
    filled = value(database, EACH)
    assert filled == f"{order.queued} {order.queued} true", (filled, order)
    assert account.holds, account.faults
    assert account.backfilled == order.queued
    assert [change.action for change in trail][:2] == ["backfill_over", "backfill"]
    assert value(database, "SELECT count(DISTINCT term) FROM sereno.term") >= 2
