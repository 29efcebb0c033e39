"""Every way in which a leader is stopped here, and how soon another one must lead.

A fault is a generator: it strikes, yields what is to be expected, and mends when it is resumed.
"""

import os
import random
import signal
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from tests.servers.waiting import wait_until

from sereno.engine.clock import steady

from .network import Cut
from .replicas import Replica, faketime
from .stage import Promotion, Stage

PROMOTION = "lagging standby promoted"

Change = Literal["must", "may", "must not"]


@dataclass(frozen=True, slots=True)
class Struck:
    """What was done. `at`: the database's time from which the failover counts."""

    at: datetime
    change: Change = "must"


Strike = Callable[[Stage, Replica, random.Random], Generator[Struck, None, None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault. `bound`: seconds until the next leader leads, at the latest.

    `ends_sessions`: the server ends the leader's session before its lease is over, though its
    process lives and has to hear of it.
    """

    name: str
    strike: Strike
    bound: float | None
    needs: Callable[[Stage], str | None] = lambda stage: None
    ends_sessions: bool = False


def _kill(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
    at = stage.eye.now()
    leader.signal(signal.SIGKILL)
    yield Struck(at)
    leader.wait(10)
    leader.start()


def _terminate(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
    at = stage.eye.now()
    leader.signal(signal.SIGTERM)
    yield Struck(at)
    leader.wait(20)
    leader.start()


def _freeze(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
    at, since = stage.eye.now(), steady()
    leader.signal(signal.SIGSTOP)
    yield Struck(at)
    stage.until(since + stage.freeze)
    leader.signal(signal.SIGCONT)
    leader.harmed(since)


def _block(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
    at, since = stage.eye.now(), steady()
    leader.signal(signal.SIGUSR1)
    yield Struck(at)
    stage.until(since + stage.block)
    leader.harmed(since)


def _cut(how: Cut) -> Strike:
    def strike(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
        assert leader.network is not None
        at, since = stage.eye.now(), steady()
        leader.network.cut(how)
        yield Struck(at)
        stage.until(since + stage.lease + dice.uniform(1, stage.cut))
        leader.network.heal()
        leader.harmed(since)

    return strike


def _of_a_worker(strike: Strike) -> Strike:
    """Return the same, of a replica that works and does not lead: the lead stays where it is."""

    def struck(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
        worker = dice.choice([r for r in stage.replicas if r is not leader and r.running])
        under_way = strike(stage, worker, dice)
        yield Struck(next(under_way).at, "must not")
        for _ in under_way:
            pass

    return struck


def _restart(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
    stage.eye.close()
    stage.postgres.kill(signal.SIGQUIT)
    stage.until(steady() + dice.choice([0, 0, 1, 6]))
    stage.postgres.start()
    yield Struck(stage.accepting_since())


def _promote(stage: Stage, leader: Replica, dice: random.Random) -> Generator[Struck, None, None]:
    """The server is lost with the last commits, its standby takes over, and it comes back."""
    if stage.standby.stopped:
        stage.standby.follow(stage.postgres)
    since, began = stage.eye.now(), steady()
    wait_until(lambda: stage.standby.has_all_of(stage.postgres), "the standby to follow")
    before, behind = stage.eye.commits(), dice.choice([0, 1, 5, 20, 60])
    if behind:
        stage.standby.deafen()
        wait_until(lambda: stage.eye.commits() >= before + behind, f"{behind} commits")
    lost = stage.eye.commits() - before if behind else 0
    stage.postgres.kill(signal.SIGKILL)
    stage.take_over()
    yield Struck(stage.accepting_since())
    for replica in stage.replicas:
        replica.harmed(began)
    heard = stage.eye.value("SELECT doubtful_until FROM sereno.timeline ORDER BY id DESC LIMIT 1")
    stage.promotions.append(Promotion(since, heard, lost))
    stage.standby.follow(stage.postgres)


def _end_session(
    stage: Stage, leader: Replica, dice: random.Random
) -> Generator[Struck, None, None]:
    holder, at = stage.eye.holder(), stage.eye.now()
    stage.eye.rows("SELECT pg_terminate_backend(%s)", [holder])
    yield Struck(at)


def _kill_backend(
    stage: Stage, leader: Replica, dice: random.Random
) -> Generator[Struck, None, None]:
    named = "starts_with(application_name, 'sereno ')"
    found = stage.eye.rows(f"SELECT pid FROM pg_stat_activity WHERE {named} ORDER BY pid")
    victim = dice.choice(found)[0]
    os.kill(victim, signal.SIGKILL)

    why = ""

    def recovered() -> bool:
        nonlocal why
        try:
            known = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
            why = f"process {victim} is a session of it still"
            return bool(stage.eye.value(known, [victim]) == 0)
        except psycopg.Error as error:
            why = str(error)
        return False

    try:
        wait_until(recovered, "PostgreSQL to recover from the end of a backend")
    except AssertionError as error:
        raise AssertionError(f"{error}: {why}; its log:\n{stage.postgres.last_words()}") from error
    yield Struck(stage.accepting_since())


def _restart_pooler(
    stage: Stage, leader: Replica, dice: random.Random
) -> Generator[Struck, None, None]:
    assert stage.pooler is not None
    at, since = stage.eye.now(), steady()
    stage.pooler.stop()
    stage.until(since + dice.uniform(0.1, 1.5))
    stage.pooler.start()
    pooled = leader is stage.pooled
    yield Struck(at, "may" if pooled else "must not")


def _shift_clock(
    stage: Stage, leader: Replica, dice: random.Random
) -> Generator[Struck, None, None]:
    at = stage.eye.now()
    stage.misdated.shift(dice.choice([-86_400, -3600, -90, 45, 3600, 7_776_000]))
    yield Struck(at, "must not")  # and it stays wrong, for whatever else happens to this replica


def _no_network(stage: Stage) -> str | None:
    return stage.no_network


def _no_pooler(stage: Stage) -> str | None:
    return None if stage.pooler else "PgBouncer is not installed: tools/test-tools.sh pgbouncer"


def _no_clock(stage: Stage) -> str | None:
    return None if faketime() else "libfaketime is not installed: tools/test-tools.sh faketime"


def all_faults(lease: float) -> list[Fault]:
    """Return every kind of fault with its bound for this lease (seconds)."""
    crash, hand_over, silence = 1.0, 0.3, lease + 1
    return [
        Fault("kill -9 of the leader", _kill, crash),
        Fault("SIGTERM of the leader", _terminate, hand_over),
        Fault("SIGSTOP, then SIGCONT", _freeze, silence),
        Fault("blocked event loop", _block, silence),
        Fault("network cut, both ways", _cut("both ways"), silence, _no_network),
        Fault("network cut, to the server", _cut("to the server"), silence, _no_network),
        Fault("network cut, from the server", _cut("from the server"), silence, _no_network),
        Fault("network cable pulled", _cut("cable"), silence, _no_network),
        Fault("Postgres restarted, immediate", _restart, crash, ends_sessions=True),
        Fault(PROMOTION, _promote, crash, ends_sessions=True),
        Fault("lock session terminated", _end_session, crash, ends_sessions=True),
        Fault("a backend killed with -9", _kill_backend, crash, ends_sessions=True),
        Fault("PgBouncer restarted", _restart_pooler, silence, _no_pooler),
        Fault("kill -9 of a worker", _of_a_worker(_kill), None),
        Fault("SIGTERM of a worker", _of_a_worker(_terminate), None),
        Fault("a worker frozen", _of_a_worker(_freeze), None),
        Fault("a worker cut off", _of_a_worker(_cut("both ways")), None, _no_network),
        Fault("wall clock set wrong", _shift_clock, None, _no_clock),
    ]
