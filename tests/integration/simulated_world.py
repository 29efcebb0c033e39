"""Leaders, their jobs and a database, in a time that the test owns; runs end when the test says so.

The real firing loop, intake, planner and store do all the work. Left out are what needs real time
and real processes: sessions, heartbeats and the running of jobs, which the fault tests try.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from typing import Any
from uuid import UUID

import asyncpg

from sereno.engine.dispatcher import Dispatcher
from sereno.engine.job_services import JobServices
from sereno.engine.node_context import NodeContext
from sereno.engine.occupancy import Occupancy
from sereno.engine.planner import QUIET
from sereno.engine.runner import Runner
from sereno.engine.scheduler import Scheduler
from sereno.engine.status import Status
from sereno.engine.stragglers import Stragglers
from sereno.engine.term import Term
from sereno.engine.verification import Account, expected, verify
from sereno.model.errors import LeaseLostError
from sereno.model.job import Job, job
from sereno.model.ledger import Claim
from sereno.model.run import SNOOZED, Outcome, RunState
from sereno.model.schedule import schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import runs
from sereno.store.catalogue import DeclaredJob, NamedSchedule, register
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity
from sereno.store.sql import sql
from sereno.testing import FakeClock
from sereno.testing.own_time import set_time
from sereno.triggers import parse

START = datetime(2036, 1, 1, 0, 0, 30, tzinfo=UTC)
NEW_YEAR = datetime(2037, 1, 1, tzinfo=UTC)
MAX_RUNNING = 40

TRIGGERS = [
    "cron 0 8 * * * Europe/Madrid",
    "cron 30 2 * * * Europe/Madrid",
    "cron 30 1 * * * America/New_York gap=skip fold=both",
    "cron 15 2 * * * Australia/Lord_Howe",
    "cron 45 2 * * * Pacific/Chatham fold=last",
    "cron 0 0 * * * America/Santiago",
    "cron 0 0 * * * Africa/Cairo",
    "cron 0 */2 * * * America/Asuncion",
    "cron 0 */4 * * * Europe/London",
    "cron 0 30 12 * * MON-FRI Asia/Tokyo",
    "cron @daily Pacific/Apia",
    "cron 0 0 29 2 * UTC",
    "cron 0 12 * * 5L UTC",
    "every 6h",
    "every 90m",
    "every 25h anchor=2036-01-01T00:17:00Z",
    "every 7d",
    "once 2036-02-29T12:00:00Z",
    "once 2036-07-04 America/New_York",
    "any_of (cron 0 9 * * * Europe/Madrid) (every 7h)",
    "except_on (cron 0 8 * * * Europe/Madrid) 2036-01-06 (cron 0 0 * * SUN Europe/Madrid)",
    "within (every 17m) start=2036-03-28T00:00:00Z end=2036-04-07T00:00:00Z",
    "within (every 10s) start=2036-06-01T00:00:00Z end=2036-06-01T06:00:00Z",
    "jitter (cron 0 3 * * * UTC) 2h",
    "jitter (every 1h) 10m key=shared",
]
POLICIES: list[dict[str, Any]] = [
    {"catch_up": "last", "overlap": "skip"},
    {"catch_up": "last", "overlap": "queue", "grace": "5m"},
    {"catch_up": "none", "overlap": "allow", "grace": "1h"},
    {"catch_up": "all", "overlap": "skip", "max_catch_up": 5},
    {"catch_up": "all", "overlap": "queue", "max_catch_up": 20},
    {"catch_up": "all", "overlap": "allow", "max_catch_up": 3},
    {"catch_up": "last", "overlap": "cancel_previous", "grace": "1s"},
    {"catch_up": "none", "overlap": "queue", "concurrency_key": "tenant {tenant}"},
    {
        "catch_up": "last",
        "overlap": "allow",
        "max_running": 1,
        "retry": {"attempts": 3, "on": ["OSError"]},
    },
]
JOBS = [f"plugin{n % 3}.job{n}" for n in range(12)]
UNKNOWN = "elsewhere.job"
"""A job that only another version of the code knows."""


async def _nothing(run: Any) -> None:
    """Stand where a job's function stands."""


def _jobs() -> dict[str, Job]:
    """Return the jobs, with the policies one after another."""
    held = zip(JOBS, cycle(POLICIES), strict=False)
    return {name: job(name, **chosen)(_nothing) for name, chosen in held}


def fifty_schedules() -> dict[str, NamedSchedule]:
    """Return each trigger twice, under other policies, some with a window or jitter."""
    found = {}
    names, policies = cycle(JOBS), cycle(POLICIES)
    for n, text in enumerate([*TRIGGERS, *TRIGGERS]):
        name = next(names)
        held = schedule(
            parse(text),
            label=f"s{n}",
            params={"tenant": f"t{n % 4}"},
            start=datetime(2036, 2, 1, tzinfo=UTC) if n % 11 == 3 else None,
            end=datetime(2036, 10, 1, tzinfo=UTC) if n % 13 == 4 else None,
            jitter="20m" if n % 17 == 5 else None,
            **next(policies),
        )
        found[held.name(name)] = NamedSchedule(
            name=held.name(name), job=name, origin="plugin", declared=ScheduleSpec.of(held)
        )
        if n % 7 == 6:
            next(policies)  # so that the second time each trigger meets another policy
    return found


_CROWDED = """
SELECT 'key ' || concurrency_key, array_agg(id) FROM sereno.run
 WHERE state = 'running' AND concurrency_key IS NOT NULL GROUP BY 1 HAVING count(*) > 1
UNION ALL
SELECT 'all', array_agg(id) FROM sereno.run WHERE state = 'running' HAVING count(*) > $1
UNION ALL
SELECT 'job ' || r.job, array_agg(r.id) FROM sereno.run r JOIN sereno.job j ON j.name = r.job
 WHERE r.state = 'running' AND j.policies ->> 'max_running' IS NOT NULL
 GROUP BY r.job, j.policies HAVING count(*) > (j.policies ->> 'max_running')::integer
"""
"""What runs at once though it may not: keys, jobs, all together."""


class EverTrusted:
    """The lead of those who do not know yet that they were deposed."""

    leading = True
    trusted_until = float("inf")

    def outcome_written(self, outcome: Outcome) -> None:
        """Leave it to the world, which writes the outcomes."""

    def place_freed(self) -> None:
        """Leave it to the world."""


class Hands(Runner):
    """The runner, but that it makes no attempts: it holds claims until it is told how they end."""

    def __init__(self, db: Database, node: UUID, clock: FakeClock, jobs: dict[str, Job]) -> None:
        status = Status(node=node, label="", version="")
        super().__init__(
            NodeContext(
                db=db,
                status=status,
                clock=clock,
                publish=lambda event: None,
                services=JobServices(db.dsn, 1),
            ),
            jobs,
            lambda job: None,
            {},
            Stragglers(db, status, Occupancy(0, {}), lambda: None),
            EverTrusted(),
        )
        self.claims: dict[UUID, Claim] = {}
        self.stopped: dict[UUID, str] = {}

    def start(self, claim: Claim, at: datetime | None = None) -> None:
        assert claim.run_id not in {c.run_id for c in self.claims.values()}, (
            "a run was started twice"
        )
        self.claims[claim.token] = claim

    def stop(self, token: UUID, why: str, who: str | None = None) -> bool:
        if token in self.claims:
            self.stopped[token] = why
        return token in self.claims


@dataclass
class Leader:
    """One term of one node."""

    node: NodeIdentity
    term: int
    hands: Hands
    occupancy: Occupancy
    scheduler: Scheduler
    dispatcher: Dispatcher
    events: list[object] = field(default_factory=list)


class World:
    """The database, the clock, the leader and those who were. `random` decides what is not told."""

    def __init__(self, db: Database, eye: asyncpg.Connection, seed: int) -> None:
        self.db = db
        self.eye = eye
        self.clock = FakeClock(START)
        self.random = random.Random(seed)
        self.jobs = _jobs()
        self.elsewhere = job(UNKNOWN)(_nothing)
        self.schedules = fifty_schedules()
        self.absent: set[str] = set()
        self.leader: Leader | None = None
        self.deposed: list[Leader] = []
        self.checked = START
        self._numbers = count(1)

    def job(self, name: str) -> Job:
        """Return a job as a registry would; of one that no leader knows too."""
        return self.jobs.get(name, self.elsewhere)

    async def begin(self) -> None:
        """Set the clock, and have the first leader register all there is."""
        await set_time(self.eye, self.clock.now())
        await self.crown()

    # --- leaders ------------------------------------------------------------------------------

    async def crown(self) -> Leader:
        """Begin a new term, of a new node; who led before does not know it yet."""
        key = next(self._numbers)
        node = NodeIdentity(UUID(int=key), key)
        number = await self.eye.fetchval(
            "UPDATE sereno.leadership SET term = term + 1, node = $1 RETURNING term", node.id
        )
        if self.leader is not None:
            self.deposed = [*self.deposed[-3:], self.leader]
        events: list[object] = []
        known = {n: j for n, j in self.jobs.items() if n not in self.absent}
        occupancy = Occupancy(MAX_RUNNING, {})
        hands = Hands(self.db, node.id, self.clock, known)
        term = Term(db=self.db, node=node, number=number, clock=self.clock, publish=events.append)
        dispatcher = Dispatcher(term, hands, occupancy, known, lease=5.0, session_since=0.0)
        scheduler = Scheduler(term, hands, occupancy, known, queued=dispatcher.wait)
        self.leader = Leader(node, number, hands, occupancy, scheduler, dispatcher, events)
        await register(
            self.db,
            number,
            [DeclaredJob(job=j, plugin=n.partition(".")[0]) for n, j in known.items()],
            [s for s in self.schedules.values() if s.job in known],
        )
        await dispatcher.load()
        return self.leader

    async def resign(self) -> None:
        """Leave nobody in the lead."""
        if self.leader is not None:
            self.deposed = [*self.deposed[-3:], self.leader]
            self.leader = None

    async def tick(self, *, reread: bool = True) -> None:
        """Let the leader do all that is due now; `reread`: its agenda is read from the database."""
        if self.leader is not None:
            await self._tick(self.leader, reread)

    async def _tick(self, leader: Leader, reread: bool) -> None:
        if reread:
            leader.scheduler.reread()
        for _ in range(100):
            await leader.scheduler.tick(_nobody)
            if leader.scheduler.pause() > 0:
                break
        else:
            raise AssertionError("the firing loop ticks for ever")
        leader.dispatcher.observe({"run", "over", "cancel"})
        await leader.dispatcher.tick(_nobody)

    async def usurp(self) -> None:
        """Let those who led before try to go on; whatever they do, nothing of it is written."""
        before = await self._written()
        for leader in self.deposed[-2:]:
            with suppress(LeaseLostError):
                await self._tick(leader, self.random.random() < 0.5)
        assert await self._written() == before, "a deposed leader wrote"

    async def _written(self) -> asyncpg.Record:
        return await self.eye.fetchrow(
            "SELECT (SELECT count(*) FROM sereno.slot) AS slots,"
            " (SELECT sum(slots) FROM sereno.slot_range) AS ranged,"
            " (SELECT count(*) FROM sereno.run) AS runs,"
            " (SELECT count(*) FROM sereno.run WHERE state = 'running') AS running,"
            " (SELECT count(*) FROM sereno.schedule_version) AS versions,"
            " (SELECT array_agg(settled_to ORDER BY schedule_id) FROM sereno.watermark) AS marks"
        )

    # --- time ---------------------------------------------------------------------------------

    async def pass_time(self, span: timedelta) -> None:
        """Move the clock, all at once."""
        self.clock.advance(span)
        await set_time(self.eye, self.clock.now())

    async def watch(self, span: timedelta, most: int = 60) -> None:
        """Move the clock from instant to instant as the leader wants it, at most `most` times."""
        until = self.clock.now() + span
        for _ in range(most):
            await self.tick(reread=True)
            await self.end_runs()
            due = await self.eye.fetchval("SELECT min(wake_at) FROM sereno.watermark")
            if self.leader is None or due is None or due > until:
                break
            await self.pass_time(max(due - self.clock.now(), timedelta(milliseconds=1)))
        if self.clock.now() < until:
            await self.pass_time(until - self.clock.now())
            await self.tick()

    # --- runs ---------------------------------------------------------------------------------

    async def end_runs(self, share: float = 1.0) -> None:
        """End a share of what runs, on each node that leads or led: well, badly, to be retried."""
        for leader in [*self.deposed, *([self.leader] if self.leader else [])]:
            chosen = [c for c in leader.hands.claims.values() if self.random.random() < share]
            outcomes = [self._outcome(c, c.token in leader.hands.stopped) for c in chosen]
            if not outcomes:
                continue
            await runs.write_outcomes(self.db, leader.node.id, outcomes, {})
            for outcome in outcomes:
                del leader.hands.claims[outcome.token]
                leader.hands.stopped.pop(outcome.token, None)
                leader.occupancy.ended(outcome)

    def _outcome(self, claim: Claim, stopped: bool) -> Outcome:
        states: Sequence[RunState] = ("succeeded", "succeeded", "succeeded", "failed", "queued")
        state: RunState = "cancelled" if stopped else self.random.choice(states)
        now = self.clock.now()
        return Outcome(
            run_id=claim.run_id,
            job=claim.job,
            attempt=claim.attempt,
            token=claim.token,
            state=state,
            started_at=now,
            finished_at=now,
            retry_at=now + timedelta(minutes=1) if state == "queued" else None,
            became=SNOOZED if state == "queued" and self.random.random() < 0.4 else None,
        )

    async def lose_runs(self) -> None:
        """Take the runs of every node that led before, as the reaper does when they are dead."""
        if self.leader is None:
            return
        for old in self.deposed:
            owned = await runs.owned(self.db, old.node.id)
            verdicts = [
                (r["id"], r["attempt"], r["token"], self.random.random() < 0.5) for r in owned
            ]
            await runs.lose(self.db, self.leader.term, old.node.id, verdicts, "its node died")

    # --- the proof ----------------------------------------------------------------------------

    async def check(self, *, whole: bool = False) -> Account:
        """Hold the ledger against what was due, since the last check or from the beginning."""
        now = self.clock.now()
        since = START if whole else self.checked
        account = await verify(self.db, now - since + timedelta(hours=1))
        assert account.holds, account.faults[:10]
        self.checked = now
        crowded = await self.eye.fetch(_CROWDED, MAX_RUNNING)
        assert not crowded, [tuple(r) for r in crowded]
        return account

    async def nothing_is_left(self) -> None:
        """Require that the leader has settled all that was due by now, for every schedule.

        One that is paused, or waits for its window, is looked at only so often.
        """
        now = self.clock.now()
        for row in await self.eye.fetch(sql("verify_schedules")):
            rows = await self.db.fetch("verify_versions", row["id"])
            versions = [version_of(r) for r in rows]
            opens = versions[-1].starts_at
            quiet = row["state"] == "paused" or (opens is not None and now < opens)
            until = now - QUIET if quiet else now
            left = [*expected(versions, row["name"], row["settled_to"], until)]
            assert not left, f"{row['name']} ({row['state']}): {left[:5]} have no verdict"


async def _nobody() -> None:
    """Have nobody between two batches."""
