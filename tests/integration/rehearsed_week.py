"""A week that happens as a rehearsal says: the real leader on a simulated clock, whose runs take as
long as their jobs were measured to take."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg

from sereno.engine.agenda import LOOKAHEAD
from sereno.engine.completer import chains_of
from sereno.model.job import Job, job
from sereno.model.ledger import Claim
from sereno.model.rehearsal import Pace, Places
from sereno.model.run import Outcome, RunState
from sereno.model.schedule import schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import runs
from sereno.store.catalogue import NamedSchedule
from sereno.store.pool import Database
from sereno.triggers import parse

from .simulated_hands import Hands
from .simulated_world import START, Leader, World

PLACES = Places(max_running=40, threads=2, processes=1)

HOURS: dict[str, tuple[dict[str, Any], tuple[float, float], list[tuple[str, dict[str, Any]]]]] = {
    # job: its policies; usual and slow hours; its schedules
    "a.long": (
        {"overlap": "skip", "grace": "5m"},
        (1.5, 5.0),
        [("every 2h", {}), ("every 9h", {"jitter": "20m"})],
    ),
    "a.queued": ({"overlap": "queue", "grace": "5m"}, (1.9, 2.5), [("every 2h", {})]),
    "a.cancelled": ({"overlap": "cancel_previous"}, (2.9, 3.2), [("every 3h", {})]),
    "b.pool": (
        {"executor": "thread", "overlap": "allow", "grace": "10m"},
        (0.4, 1.2),
        [(f"cron {n % 2} 3,15 * * * UTC", {"priority": n % 3}) for n in range(6)],
    ),
    "b.pooled": (
        {"executor": "thread", "overlap": "queue", "start_by": "45m"},
        (0.3, 0.7),
        [("cron 0 3 * * * UTC", {}) for n in range(5)],
    ),
    "b.child": (
        {"executor": "process", "catch_up": "none", "grace": "15m"},
        (0.2, 0.3),
        [("cron 30 4 * * * UTC", {}), ("cron 35 4 * * * UTC", {}), ("cron 40 4 * * * UTC", {})],
    ),
    "c.one": (
        {"max_running": 1, "overlap": "allow"},
        (0.5, 0.9),
        [("every 6h", {}), ("every 6h anchor=2036-01-01T00:10:00Z", {})],
    ),
    "c.keyed": (
        {"concurrency": {"key": "site {tenant}", "limit": 2}, "overlap": "queue"},
        (1.0, 3.0),
        [("every 8h", {"params": {"tenant": "t1"}}) for _ in range(4)],
    ),
    "d.slow": (
        {"timeout": "1h", "retry": {"attempts": 2, "delay": "10m", "jitter": 0}},
        (0.5, 1.5),
        [("every 12h", {})],
    ),
    "d.follows": ({"after": "d.slow"}, (0.25, 0.5), []),
    "e.window": (
        {},
        (0.1, 0.1),
        [
            ("except_on (cron 0 8 * * * Europe/Madrid) 2036-01-06", {}),
            ("every 5h", {"start": START + timedelta(days=3)}),
            ("every 7h", {"one_off": True}),
        ],
    ),
}


def _nothing(run: Any) -> None:
    """Stand where a job's function stands."""


async def _nothing_async(run: Any) -> None:
    """Stand where a job's function stands."""


def week_jobs() -> dict[str, Job]:
    """Return the jobs."""

    found = {}
    for name, (policies, _, _) in HOURS.items():
        function = _nothing if "executor" in policies else _nothing_async
        found[name] = job(name, **policies)(function)
    return found


def week_schedules() -> dict[str, NamedSchedule]:
    """Return the schedules."""
    found = {}
    for name, (_, _, told) in HOURS.items():
        for n, (text, more) in enumerate(told):
            held = schedule(parse(text), label=f"s{n}", **more)
            found[held.name(name)] = NamedSchedule(
                name=held.name(name), job=name, origin="plugin", declared=ScheduleSpec.of(held)
            )
    return found


MEASURED = """
INSERT INTO sereno.run (job, state, cause, started_at, finished_at, attempt, queued_at, run_at)
SELECT $1, 'succeeded', 'person', now() - interval '9 days', now() - interval '9 days' + d.took, 1,
       now() - interval '9 days', now() - interval '9 days'
  FROM generate_series(1, 100) AS n,
       LATERAL (SELECT CASE WHEN n % 10 = 0 THEN $3::interval ELSE $2::interval END AS took) AS d
"""
_COMING = """
SELECT least((SELECT min(w.wake_at) FROM sereno.watermark w) - $1::interval,
             (SELECT min(r.run_at) FROM sereno.run r WHERE r.state = 'queued' AND r.run_at > $2),
             (SELECT min(r.start_by) + interval '1 second' FROM sereno.run r
               WHERE r.state = 'queued' AND r.attempt = 0))
"""


def began_of(hands: Hands, claim: Claim) -> datetime:
    """Return when an attempt that works has begun."""
    began = hands.attempt(claim.token).began
    assert began is not None
    return began


class Week(World):
    """A world whose runs take as long as they were measured to."""

    def __init__(self, db: Database, eye: asyncpg.Connection, pace: Pace) -> None:
        super().__init__(db, eye, 0)
        self.jobs = week_jobs()
        self.chains = chains_of(self.jobs)
        self.schedules = week_schedules()
        self.capacity = PLACES.capacity
        self.pace: Pace = pace
        self.attempts: list[tuple[Any, ...]] = []
        self.begun: dict[int, Any] = {}

    async def begin(self) -> None:
        """Begin, with a history of each job that says how long it takes."""
        await super().begin()
        for name, (_, (usual, slow), _) in HOURS.items():
            took = timedelta(hours=usual), timedelta(hours=slow)
            await self.eye.execute(MEASURED, name, *took)

    def _took(self, claim: Claim) -> tuple[timedelta, bool]:
        usual, slow = HOURS[claim.job][1]
        took = timedelta(hours=usual if self.pace == "usual" else slow)
        timeout = self.jobs[claim.job].policies.timeout
        return (timeout, True) if timeout is not None and took > timeout else (took, False)

    async def live(self, span: timedelta) -> None:
        """Let so much time pass, from instant to instant at which something happens."""
        until = self.clock.now() + span
        leader = self.current
        await self._round(leader)
        while True:
            now = self.clock.now()
            at = await self.eye.fetchval(_COMING, LOOKAHEAD, now)
            hands = leader.hands
            ends = [began_of(hands, c) + self._took(c)[0] for c in hands.claims.values()]
            at = min(x for x in [at, *ends, until] if x is not None)
            if at >= until:
                break
            if at > now:
                await self.pass_time(at - now)
            await self._round(leader)
        await self.pass_time(until - self.clock.now())

    async def _round(self, leader: Leader) -> None:
        """End what is to end now, and have the leader do what is due."""
        await self._end(leader)
        await self._tick(leader, reread=True)
        if any(map(leader.hands.stopped, leader.hands.claims)):
            await self._end(leader)
            await self._tick(leader, reread=False)

    async def _end(self, leader: Leader) -> None:
        now = self.clock.now()
        outcomes: list[Outcome] = []
        for claim in list(leader.hands.claims.values()):
            began = began_of(leader.hands, claim)
            took, times_out = self._took(claim)
            stopped = leader.hands.stopped(claim.token)
            if began + took <= now or stopped:
                outcomes.append(self._ended(claim, began, times_out, stopped))
        if not outcomes:
            return
        await runs.write_outcomes(self.db, leader.node.id, outcomes, self.chains)
        for outcome in outcomes:
            claim = leader.hands.claims[outcome.token]
            leader.hands.let_go(outcome.token)
            leader.occupancy.ended(outcome)
            if outcome.state != "cancelled":
                state = "timed_out" if outcome.became else outcome.state
                what = (claim.job, claim.schedule, claim.slot, state)
                self.attempts.append((*what, outcome.started_at, outcome.finished_at))

    def _ended(self, claim: Claim, began: Any, times_out: bool, stopped: bool) -> Outcome:
        now = self.clock.now()
        wait = self.jobs[claim.job].policies.retry.wait(claim.attempt, 0.5) if times_out else None
        state: RunState = "timed_out" if times_out else "succeeded"
        if wait is not None:
            state = "queued"
        return Outcome(
            run_id=claim.run_id,
            job=claim.job,
            attempt=claim.attempt,
            token=claim.token,
            state="cancelled" if stopped else state,
            started_at=began,
            finished_at=max(now, began),
            result=b"{}" if state == "succeeded" and not stopped else None,
            retry_at=None if wait is None or stopped else now + wait,
            became="timed_out" if wait is not None and not stopped else None,
        )
