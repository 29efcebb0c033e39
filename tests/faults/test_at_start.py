"""A run at the start, and a one-off, are made once, whoever dies between settling and starting."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from .asking import value
from .chaining_scene import LEADER, TERM, Chaining, chaining

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

AT_COMMIT = """
CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(7, 7); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON sereno.slot DEFERRABLE INITIALLY DEFERRED
   FOR EACH ROW EXECUTE FUNCTION waits()
"""
BLOCKED = """
SELECT count(*) > 0 FROM pg_locks
 WHERE locktype = 'advisory' AND classid = 7 AND objid = 7 AND NOT granted
"""
OVER = "SELECT count(*) = 2 FROM sereno.run WHERE state = 'succeeded'"
ONCE_OVER = "SELECT state = 'paused' FROM sereno.schedule WHERE name = 'chain.once'"
EACH = "SELECT array_agg(job ORDER BY job) FROM sereno.run"


@pytest.fixture
def scene(database: str, tmp_path: Path) -> Iterator[Chaining]:
    with chaining(database, tmp_path) as found:
        yield found


def once_each(scene: Chaining) -> None:
    """Check that there is a run of each, that it worked, and that nothing is to come."""
    scene.until(OVER, "both runs")
    scene.until(ONCE_OVER, "the end of the one-off")
    assert value(scene.dsn, EACH) == ["chain.boot", "chain.once"]
    assert {x.get("job") for x in scene.noted()} >= {"chain.boot", "chain.once"}
    scene.holds()


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_leader_that_ends_as_it_settles_leaves_one_run_of_each(
    scene: Chaining, fault: signal.Signals
) -> None:
    """Its statement waits at the commit: it is written, or not, with nobody to start the run."""
    scene.do(AT_COMMIT)
    with psycopg.connect(scene.dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7, 7)")
        scene.start(2)
        scene.until(BLOCKED, "a settlement to wait at its commit")
        term = value(scene.dsn, TERM)
        scene.struck(fault)
    scene.follows(term)
    once_each(scene)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGTERM])
def test_failovers_and_restarts_of_all_replicas_make_no_second_run(
    scene: Chaining, fault: signal.Signals
) -> None:
    for _ in range(3):
        term = value(scene.dsn, TERM) or 0
        scene.start(2)
        scene.follows(term)
        term = value(scene.dsn, TERM)
        scene.struck(fault)
        scene.follows(term)
        for replica in scene.replicas:
            replica.signal(fault)
        for replica in scene.replicas:
            replica.end()
    scene.start()
    scene.until(f"SELECT ({LEADER}) IS NOT NULL", "a leader")
    once_each(scene)
