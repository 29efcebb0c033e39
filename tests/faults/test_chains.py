"""A chain goes on, once, whatever ends its leader: no child is doubled, and what follows comes."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sereno import RunFilter, SyncClient

from ..servers.locks import BLOCKED_BY
from ..servers.waiting import wait_until
from .asking import enqueue, value
from .chaining_scene import TERM, Chaining, chaining

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

CHILDREN = 300
FAR = "SELECT ended >= 60 FROM sereno.fan_out"
OVER = "SELECT count(*) = 1 FROM sereno.run WHERE job = 'chain.join' AND state = 'succeeded'"
HOLD = """
CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {held} RETURN NEW; END $$;
CREATE TRIGGER held BEFORE INSERT ON sereno.run FOR EACH ROW
   WHEN (NEW.job = '{job}') EXECUTE FUNCTION held()
"""
LATER = "NEW.run_at = 'infinity';"
NOW = "UPDATE sereno.run SET run_at = '2020-01-01' WHERE job = '{job}' AND state = 'queued'"


@pytest.fixture
def scene(database: str, tmp_path: Path) -> Iterator[Chaining]:
    """Two replicas that run forty at once."""
    with chaining(database, tmp_path, SERENO_MAX_RUNNING="40") as found:
        found.start(2)
        yield found


def whole(scene: Chaining, children: int = CHILDREN) -> None:
    """Check that each child has worked, and what follows once."""
    assert {n["n"] for n in scene.noted("chain.child")} == set(range(children))
    assert scene.count("job = 'chain.child'") == children
    assert scene.count("job = 'chain.join'") == 1
    (joined,) = scene.noted("chain.join")
    assert (joined["total"], joined["succeeded"]) == (children, children)
    assert value(scene.dsn, "SELECT (total, ended, failed)::text FROM sereno.fan_out") == (
        f"({children},{children},0)"
    )
    scene.holds()


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_fan_out_is_whole_though_its_leader_ends_in_the_middle(
    scene: Chaining, fault: signal.Signals
) -> None:
    enqueue(scene.dsn, "chain.all", f'{{"children": {CHILDREN}, "last_stays": true}}')
    scene.until(FAR, "some children")
    term = value(scene.dsn, TERM)
    scene.struck(fault)
    assert value(scene.dsn, "SELECT ended < total FROM sereno.fan_out")
    scene.follows(term)
    scene.let_go()
    scene.until(OVER, "what follows")
    whole(scene)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGTERM])
def test_the_last_child_is_taken_over_and_one_run_follows(
    scene: Chaining, fault: signal.Signals
) -> None:
    enqueue(scene.dsn, "chain.all", '{"children": 10, "last_stays": true}')
    scene.until("SELECT ended = 9 FROM sereno.fan_out", "all but the last")
    term = value(scene.dsn, TERM)
    scene.struck(fault)
    scene.follows(term)
    scene.let_go()
    scene.until(OVER, "what follows")
    whole(scene, 10)


def test_what_follows_waits_under_the_next_leader_and_begins_once(scene: Chaining) -> None:
    scene.do(HOLD.format(held=LATER, job="chain.join"))
    enqueue(scene.dsn, "chain.all", '{"children": 10}')
    scene.until("SELECT ended = total FROM sereno.fan_out", "all children")
    term = value(scene.dsn, TERM)
    scene.struck(signal.SIGKILL)
    scene.follows(term)
    scene.do(NOW.format(job="chain.join"))
    scene.until(OVER, "what follows")
    whole(scene, 10)


def test_children_whose_end_is_being_committed_as_the_leader_is_killed_count_once(
    scene: Chaining,
) -> None:
    enqueue(scene.dsn, "chain.all", '{"children": 10, "last_stays": true}')
    scene.until("SELECT ended = 9 FROM sereno.fan_out", "all but the last")
    term = value(scene.dsn, TERM)
    with psycopg.connect(scene.dsn) as other:
        other.execute("SELECT 1 FROM sereno.fan_out FOR UPDATE")
        scene.let_go()
        scene.until(BLOCKED_BY.format(pid=other.info.backend_pid), "the commit to wait")
        scene.struck(signal.SIGKILL)
    scene.follows(term)
    scene.until(OVER, "what follows")
    whole(scene, 10)


@pytest.mark.parametrize("stay", ["before", "after"])
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_that_is_killed_as_it_fans_out_doubles_no_child(
    scene: Chaining, stay: str, fault: signal.Signals
) -> None:
    run = enqueue(scene.dsn, "chain.all", f'{{"children": 50, "stay": "{stay}"}}')
    wait_until(lambda: scene.noted("chain.all", "stays"), f"the job to stay {stay} it commits")
    term = value(scene.dsn, TERM)
    struck = scene.struck(fault)
    scene.follows(term)
    if fault == signal.SIGSTOP:
        # Till then its transaction holds the next one up; it is in time, or its run is another's.
        struck.signal(signal.SIGCONT)
    scene.let_go()
    scene.until(OVER, "what follows")
    scene.until(f"SELECT state = 'succeeded' FROM sereno.run WHERE id = {run}", "its second try")
    whole(scene, 50)
    attempts = [n["attempt"] for n in scene.noted("chain.all")]
    assert attempts == [1, 2] or (attempts == [1] and fault == signal.SIGSTOP)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGTERM])
def test_a_chain_with_params_handed_on_goes_on_once(scene: Chaining, fault: signal.Signals) -> None:
    scene.do(HOLD.format(held=LATER, job="chain.down"))
    first = enqueue(scene.dsn, "chain.up")
    scene.until("SELECT state = 'running' FROM sereno.run WHERE job = 'chain.up'", "the first")
    term = value(scene.dsn, TERM)
    scene.start()
    scene.struck(fault)  # under the first
    scene.follows(term)
    scene.let_go()
    scene.until("SELECT count(*) = 1 FROM sereno.run WHERE job = 'chain.down'", "the second")
    term = value(scene.dsn, TERM)
    scene.struck(fault)  # under what follows
    scene.follows(term)
    scene.do(NOW.format(job="chain.down"))
    scene.until("SELECT state = 'succeeded' FROM sereno.run WHERE job = 'chain.down'", "the end")
    assert scene.count("job = 'chain.down'") == 1
    assert [n["n"] for n in scene.noted("chain.down")] == [7]
    with SyncClient.open(scene.dsn) as client:
        assert client.wait_chain(first, timeout="30s").succeeded
    scene.holds()


def test_an_expired_and_a_cancelled_child_count_as_ended(scene: Chaining) -> None:
    kind = "(NEW.params ->> 'n')::int % 3"
    held = (
        f"IF {kind} = 0 THEN NEW.start_by = '2020-01-01'; END IF;"
        f" IF {kind} = 1 THEN NEW.run_at = 'infinity'; END IF;"
    )
    scene.do(HOLD.format(held=held, job="chain.child"))
    enqueue(scene.dsn, "chain.all", '{"children": 30}')
    scene.until("SELECT ended = 20 FROM sereno.fan_out", "all but what is held")
    term = value(scene.dsn, TERM)
    scene.struck(signal.SIGKILL)
    with SyncClient.open(scene.dsn) as client:
        for run in client.runs(RunFilter(job="chain.child", states=("queued",)), limit=100).items:
            client.cancel(run.id)
    scene.follows(term)
    scene.until(OVER, "what follows")
    (joined,) = scene.noted("chain.join")
    assert (joined["total"], joined["succeeded"]) == (30, 10)
    with psycopg.connect(scene.dsn) as eye:
        rows = eye.execute("SELECT state FROM sereno.run WHERE job = 'chain.child'").fetchall()
    states = Counter(state for (state,) in rows)
    assert states == {"succeeded": 10, "cancelled": 20}
    scene.holds()
