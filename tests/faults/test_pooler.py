"""Through PgBouncer in transaction mode goes all but the lock, which wants a direct session."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sereno.store.migration import migrations
from sereno.store.migrator import migrate

from ..servers.pgbouncer import PgBouncer, pgbouncer_program
from ..servers.postgres import PostgresServer
from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import process

JOBS = "tests.faults.jobs"
DATABASE = "postgres"
LEASE = 2
"""Seconds: of `process`."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


@pytest.fixture
def pooler(private_postgres: PostgresServer) -> Iterator[PgBouncer]:
    if pgbouncer_program() is None:
        pytest.fail("PgBouncer is not installed: tools/test-tools.sh pgbouncer", pytrace=False)
    found = PgBouncer(private_postgres.port, private_postgres.programs.account, size=5)
    try:
        found.start()
        yield found
    finally:
        found.remove()


def test_behind_a_pooler_nobody_leads_and_the_remedy_is_named(
    private_postgres: PostgresServer, pooler: PgBouncer, tmp_path: Path
) -> None:
    dsn = private_postgres.dsn(DATABASE)
    with process(pooler.dsn(DATABASE), tmp_path, JOBS) as replica:
        error = replica.said("this node cannot lead")["error"]
        assert "leader_database_url" in error
        assert "SERENO_LEADER_DATABASE_URL" in error
        answer = replica.page("/health/readiness")
        assert answer.status_code == 503
        assert "leader_database_url" in answer.json()["reason"]
        assert value(dsn, "SELECT count(*) FROM sereno.term") == 0
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0


def test_several_migrate_at_once_through_a_pooler_and_each_migration_is_applied_by_one(
    pooler: PgBouncer,
) -> None:
    async def several() -> list[str]:
        dsn = pooler.dsn(DATABASE)
        done = await asyncio.gather(*(migrate(dsn, post=n == 3) for n in range(4)))
        return [name for one in done for name in one.applied]

    assert sorted(asyncio.run(several())) == [m.name for m in migrations()]


def test_with_a_direct_session_for_the_lock_all_else_goes_through_the_pooler(
    private_postgres: PostgresServer, pooler: PgBouncer, tmp_path: Path
) -> None:
    direct = private_postgres.dsn(DATABASE)
    with process(
        pooler.dsn(DATABASE), tmp_path, JOBS, SERENO_LEADER_DATABASE_URL=direct
    ) as replica:
        replica.said("leading")
        runs = [enqueue(pooler.dsn(DATABASE), "faults.long", '{"seconds": 0.5}') for _ in range(20)]
        wait_until(lambda: {state(direct, r) for r in runs} == {"succeeded"}, "the runs")
        ticks = "SELECT count(*) FROM sereno.slot s JOIN sereno.run r ON r.id = s.run_id"
        wait_until(lambda: value(direct, f"{ticks} WHERE r.state = 'succeeded'") > 2, "slots")
        fenced = enqueue(direct, "faults.long", '{"seconds": 0}')
        pooler.stop()
        pooler.start()
        wait_until(lambda: state(direct, fenced) == "succeeded", "a run after a restart")
        wait_until(lambda: replica.page("/health/readiness").status_code == 200, "readiness")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0


def test_two_behind_poolers_never_lead_at_once(
    private_postgres: PostgresServer, pooler: PgBouncer, tmp_path: Path
) -> None:
    direct = private_postgres.dsn(DATABASE)
    dsn = pooler.dsn(DATABASE)
    with (
        process(dsn, tmp_path, JOBS, SERENO_LEADER_DATABASE_URL=direct) as one,
        process(dsn, tmp_path, JOBS, SERENO_LEADER_DATABASE_URL=direct) as other,
    ):
        wait_until(lambda: len(one.lines("leading") + other.lines("leading")) == 1, "one leader")
        first, second = (one, other) if one.lines("leading") else (other, one)
        second.said("ready")
        first.signal(signal.SIGKILL)
        second.said("leading")
        lost = "SELECT count(*) FROM sereno.slot WHERE verdict NOT IN ('ran', 'late')"
        assert value(direct, lost) == 0


@pytest.mark.parametrize("gone", ["killed", "frozen"])
def test_a_leader_whose_pooler_is_gone_gives_the_lead_up_and_keeps_its_runs(
    gone: str, private_postgres: PostgresServer, pooler: PgBouncer, tmp_path: Path
) -> None:
    """Its own session is good: nobody takes what it works on, and an outcome waits for the pool."""
    direct, dsn = private_postgres.dsn(DATABASE), pooler.dsn(DATABASE)
    with process(dsn, tmp_path, JOBS, SERENO_LEADER_DATABASE_URL=direct) as pooled:
        term = pooled.said("leading")["term"]
        with process(direct, tmp_path, JOBS) as other:
            other.said("ready")
            ending, lasting = (
                enqueue(direct, "faults.long", f'{{"seconds": {seconds}, "says": true}}')
                for seconds in (4, 10)
            )
            pooled.said("at work", 2)  # "running" is claimed, and may be given back
            owner = value(direct, "SELECT node FROM sereno.run WHERE id = %s", ending)
            if gone == "killed":
                pooler.stop()
            else:
                pooler.signal(signal.SIGSTOP)
            other.said("leading")
            # A lease and two seconds of slots: whoever is taken for dead is so by then.
            ticks = "SELECT count(*) FROM sereno.slot WHERE term > %s"
            wait_until(lambda: value(direct, ticks, term) > LEASE + 2, "slots of the next term")
            assert [state(direct, r) for r in (ending, lasting)] == ["running", "running"]
            if gone == "killed":
                pooler.start()
            else:
                pooler.signal(signal.SIGCONT)
            wait_until(lambda: state(direct, ending) == "succeeded", "the outcome that waited")
            wait_until(lambda: state(direct, lasting) == "succeeded", "the run that went on")
            facts = "SELECT node, attempt, losses FROM sereno.run WHERE id = %s"
            for run in (ending, lasting):
                row = f"SELECT (node, attempt, losses) = ('{owner}', 1, 0) FROM ({facts}) r"
                assert value(direct, row, run), run
            assert pooled.lines("the session is lost") == []
            other.signal(signal.SIGKILL)
            wait_until(lambda: len(pooled.lines("leading")) == 2, "the lead, taken again")
