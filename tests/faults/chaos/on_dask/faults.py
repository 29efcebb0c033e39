"""Every way in which a Dask cluster, its leader and its database are broken here.

A fault is a generator: it strikes, yields what it did, and mends when it is resumed.
"""

import random
import signal
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime

from tests.servers.waiting import wait_until

from sereno.engine.clock import steady

from .stage import Member, Stage

_AT_WORK = """
    SELECT n.label FROM sereno.run r JOIN sereno.node n ON n.id = r.node
     WHERE r.state = 'running' AND r.job <> 'dask.devour' AND n.label = ANY(%s)
       AND r.started_at < clock_timestamp()
"""
_RUNS_OF = """
    SELECT r.id, r.token FROM sereno.run r JOIN sereno.node n ON n.id = r.node
     WHERE r.state = 'running' AND n.label = %s
"""
_DEVOURED = "SELECT state, coalesce(error, '') FROM sereno.run WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Struck:
    """What was done, and when by the database's clock. `runs`: by number, the tokens of those that
    were at work where it was done, which another is to have, or nobody; `leads`: the term after
    which another is to begin; `wrong`: what should not have come of it."""

    at: datetime
    runs: tuple[tuple[int, object], ...] = ()
    leads: int | None = None
    wrong: str | None = None


Strike = Callable[[Stage, random.Random], Generator[Struck, None, None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault. `bound`: seconds until its runs are another's, or another leads; None where
    nothing is to be taken from anybody."""

    name: str
    strike: Strike
    bound: float | None
    needs: Callable[[Stage], str | None] = lambda stage: None


def _victim(stage: Stage, dice: random.Random) -> Member:
    """Return a worker that is at work."""
    labels = [w.label for w in stage.workers]
    wait_until(lambda: bool(stage.eye.rows(_AT_WORK, [labels])), "a worker at work", 60)
    busy = {label for (label,) in stage.eye.rows(_AT_WORK, [labels])} or set(labels)
    return dice.choice([w for w in stage.workers if w.label in busy])


def _struck(stage: Stage, worker: Member) -> Struck:
    return Struck(stage.eye.now(), tuple(stage.eye.rows(_RUNS_OF, [worker.label])))


def _kill(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    worker = _victim(stage, dice)
    struck = _struck(stage, worker)
    worker.signal(signal.SIGKILL)
    yield struck
    worker.wait(20)
    worker.start()


def _terminate(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    worker = _victim(stage, dice)
    at = stage.eye.now()
    worker.signal(signal.SIGTERM)
    worker.wait(60)
    yield Struck(at)
    worker.start()


def _freeze(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    worker = _victim(stage, dice)
    struck, since = _struck(stage, worker), steady()
    worker.signal(signal.SIGSTOP)
    yield struck
    stage.until(since + stage.freeze)
    worker.signal(signal.SIGCONT)


def _cut(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    worker = _victim(stage, dice)
    assert worker.network is not None
    struck, since = _struck(stage, worker), steady()
    worker.network.cut("both ways")
    yield struck
    stage.until(since + stage.lease + dice.uniform(2, 2 + stage.cut))
    worker.network.heal()


def _devour(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    at = stage.eye.now()
    run = stage.eye.value("SELECT sereno.enqueue('dask.devour')")

    def over() -> bool:
        return str(stage.eye.rows(_DEVOURED, [run])[0][0]) not in ("queued", "running")

    wait_until(over, "the run that takes memory for ever", 60)
    state, error = stage.eye.rows(_DEVOURED, [run])[0]
    well = state == "failed" and "MemoryError" in error
    yield Struck(at, wrong=None if well else f"run {run} is {state}: {error}")


def _lose_scheduler(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    """Kill it; its workers end by Dask's own rule, and all are started again."""
    at = stage.eye.now()
    stage.scheduler.signal(signal.SIGKILL)
    stage.scheduler.wait(20)
    for worker in stage.workers:
        worker.wait(90)
    yield Struck(at)
    stage.scheduler.start()
    for worker in stage.workers:
        worker.start()


def _lose_leader(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    leader, term = stage.leader()
    at = stage.eye.now()
    leader.signal(signal.SIGKILL)
    yield Struck(at, leads=term)
    leader.wait(20)
    leader.start()


def _lose_database(stage: Stage, dice: random.Random) -> Generator[Struck, None, None]:
    _, term = stage.leader()
    stage.eye.close()
    stage.postgres.kill(signal.SIGQUIT)
    stage.until(steady() + dice.choice([0, 1, 6]))
    stage.postgres.start()
    yield Struck(stage.accepting_since(), leads=term)


def all_faults(lease: float) -> list[Fault]:
    """Return every kind of fault with its bound for this lease (seconds)."""
    # Silent for a lease, the server ends its session; absent for another, its runs are taken.
    crash, silence = 2.0, 2 * lease + 1
    return [
        Fault("a worker killed with -9", _kill, crash),
        Fault("SIGTERM of a worker", _terminate, None),
        Fault("a worker frozen", _freeze, silence),
        Fault("a worker cut off", _cut, silence, lambda stage: stage.no_network),
        Fault("a job takes all memory", _devour, None),
        Fault("scheduler killed, and back", _lose_scheduler, None),
        Fault("leader killed with -9", _lose_leader, crash),
        Fault("Postgres away", _lose_database, crash),
    ]
