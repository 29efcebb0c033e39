"""Leaders, their jobs and a database, in a time that the test owns; runs end when the test says so.

The real firing loop, intake, planner and store do all the work. Left out are what needs real time
and real processes: sessions, heartbeats and the running of jobs, which the fault tests try.
"""

import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from typing import Any
from uuid import UUID

import asyncpg

from sereno.engine.completer import chains_of
from sereno.engine.dispatcher import Dispatcher
from sereno.engine.occupancy import Occupancy
from sereno.engine.planner import QUIET
from sereno.engine.scheduler import Scheduler
from sereno.engine.term import Term
from sereno.engine.verification import Account, expected, verify
from sereno.model.errors import LeaseLostError
from sereno.model.job import Job, job
from sereno.model.ledger import Claim
from sereno.model.run import Outcome
from sereno.model.schedule import schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import backfills, calendars, runs
from sereno.store.bulk_queue import backfills as open_backfills
from sereno.store.catalogue import DeclaredJob, NamedSchedule, register
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity
from sereno.store.sql import sql
from sereno.testing import FakeClock
from sereno.testing.own_time import set_time
from sereno.triggers import parse

from .simulated_fans import Fans, chained_jobs
from .simulated_fillings import Fillings
from .simulated_hands import Hands
from .simulated_keys import Keys, unique_jobs
from .simulated_names import SPACED, TAGS, Names, spaced_job
from .simulated_words import Words

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
    "jitter (cron 0 6 * * * Europe/Madrid) ±45m",
    "except_on (cron 0 7 * * * Europe/Madrid) calendar=madrid",
    "only_on (every 5h) calendar=madrid,books tz=Europe/Madrid",
]
CALENDARS = [
    ["01-06", "12-25", "easter-2", "sun"],
    ["2036-02-28..2036-03-03", "wed"],
    ["02-29", "2036-05-01"],
    ["2036-01-01..2036-12-31"],
]
POLICIES: list[dict[str, Any]] = [
    {"catch_up": "last", "overlap": "skip"},
    {"catch_up": "last", "overlap": "queue", "grace": "5m"},
    {"catch_up": "none", "overlap": "allow", "grace": "1h"},
    {"catch_up": "all", "overlap": "skip", "max_catch_up": 5},
    {"catch_up": "all", "overlap": "queue", "max_catch_up": 20},
    {"catch_up": "all", "overlap": "allow", "max_catch_up": 3},
    {"catch_up": "last", "overlap": "queue", "start_by": "20m"},
    {"catch_up": "all", "overlap": "queue", "max_catch_up": 6, "start_by": "3h"},
    {"catch_up": "last", "overlap": "cancel_previous", "grace": "1s"},
    {"catch_up": "none", "overlap": "queue", "concurrency_key": "tenant {tenant}"},
    {
        "catch_up": "all",
        "overlap": "allow",
        "max_catch_up": 6,
        "concurrency": {"key": "site {tenant}", "limit": 3},
    },
    {
        "catch_up": "last",
        "overlap": "allow",
        "max_running": 1,
        "retry": {"attempts": 3, "on": ["OSError"]},
    },
    {"catch_up": "last", "overlap": "queue", "keep_result": False, "stalled_after": "20m"},
    {"catch_up": "all", "overlap": "skip", "max_catch_up": 2, "log_level": "warning"}
    | {"retry": {"attempts": 3, "final": ["ValueError"]}},
]
JOBS = [f"plugin{n % 3}.job{n}" for n in range(12)]
KEPT: list[dict[str, Any]] = [{}, {"keep_runs": 3}, {"keep_for": "2d"}, {"keep_for": "4000d"}]
"""What the jobs say of it, one after another."""
UNKNOWN = "elsewhere.job"
"""A job that only another version of the code knows."""


async def _nothing(run: Any) -> None:
    """Stand where a job's function stands."""


def _jobs() -> dict[str, Job]:
    """Return the jobs, with the policies one after another."""
    held = zip(JOBS, cycle(POLICIES), cycle(KEPT), cycle([["both"], [], TAGS[:1]]), strict=False)
    own = {
        name: job(name, stalled_after="3h", tags=tags, **chosen, **kept)(_nothing)
        for name, chosen, kept, tags in held
    }
    return own | {j.name: j for j in [*chained_jobs(), *unique_jobs(), spaced_job()]}


def fifty_schedules(start: datetime, end: datetime) -> dict[str, NamedSchedule]:
    """Return each trigger twice, under other policies, some with jitter or a window between
    `start` and `end`."""
    lasts = end - start
    found = {}
    names, policies = cycle(JOBS), cycle(POLICIES)
    for n, text in enumerate([*TRIGGERS, *TRIGGERS]):
        name = next(names)
        held = schedule(
            parse(text),
            label=f"s{n}",
            params={"tenant": f"t{n % 4}"},
            start=start + lasts / 12 if n % 11 == 3 else None,
            end=end - lasts / 4 if n % 13 == 4 else None,
            tags=TAGS[1:3] if n % 5 == 3 else ["both"] if n % 5 == 4 else (),
            jitter="20m" if n % 17 == 5 else "±10m" if n % 17 == 6 else None,
            one_off=n % 12 == 7,
            at_start=n % 9 == 4,
            **next(policies),
        )
        found[held.name(name)] = NamedSchedule(
            name=held.name(name), job=name, origin="plugin", declared=ScheduleSpec.of(held)
        )
        if n % 7 == 6:
            next(policies)  # so that the second time each trigger meets another policy
    return found


_KEPT_TOO_LONG = """
SELECT id FROM (SELECT r.id, r.finished_at, row_number() OVER (ORDER BY r.id DESC) AS n
                  FROM sereno.run r WHERE r.job = $1 AND r.state NOT IN ('queued', 'running')) AS x
 WHERE (n > $2 OR ($3 AND finished_at < clock_timestamp() - interval '49 hours'))
   AND id NOT IN (SELECT o.id FROM sereno.run o JOIN sereno.backfill b ON b.id = o.backfill
                   WHERE b.finished_at IS NULL)
   AND id NOT IN (SELECT o.id FROM sereno.run o JOIN sereno.fan_out f ON f.id = o.fan_out
                   WHERE f.ended_at IS NULL)
"""
_CROWDED = """
SELECT 'key ' || r.concurrency_key, array_agg(r.id)
  FROM sereno.run r LEFT JOIN sereno.job j ON j.name = r.job
 WHERE r.state = 'running' AND r.concurrency_key IS NOT NULL
 GROUP BY r.concurrency_key
HAVING count(*) > max(coalesce(r.policies ->> 'concurrency_limit',
                               j.policies ->> 'concurrency_limit', '1')::integer)
UNION ALL
SELECT 'all', array_agg(id) FROM sereno.run WHERE state = 'running' HAVING count(*) > $1
UNION ALL
SELECT 'job ' || r.job, array_agg(r.id) FROM sereno.run r JOIN sereno.job j ON j.name = r.job
 WHERE r.state = 'running' AND j.policies ->> 'max_running' IS NOT NULL
 GROUP BY r.job, j.policies HAVING count(*) > (j.policies ->> 'max_running')::integer
"""
"""What runs at once though it may not: keys, jobs, all together."""


_TWICE = """
SELECT s.name, array_agg(k.slot) FROM sereno.schedule s
  JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
  JOIN sereno.slot k ON k.schedule_id = s.id AND k.slot > v.valid_from
 WHERE coalesce(s.overrides -> 'one_off', s.declared -> 'one_off') = 'true' AND k.run_id IS NOT NULL
 GROUP BY 1 HAVING count(*) > 1
"""
"""One-offs that ran more than once since a person or the code has changed them last."""

_BEGUN_TOO_LATE = """
SELECT r.id, r.start_by, r.started_at FROM sereno.run r
 WHERE r.attempt = 1 AND r.started_at > r.start_by
UNION ALL
SELECT r.id, r.start_by, a.started_at FROM sereno.run r
  JOIN sereno.attempt a ON a.run_id = r.id AND a.attempt = 1 WHERE a.started_at > r.start_by
"""
"""Runs that have begun though they were too late."""

_WAITS_TOO_LONG = """
SELECT id, start_by FROM sereno.run WHERE state = 'queued' AND attempt = 0 AND start_by < $1
"""


_RAN_IN_A_BLACKOUT = """
SELECT s.name, k.slot FROM sereno.slot k JOIN sereno.schedule s ON s.id = k.schedule_id
  JOIN sereno.blackout b ON b.starts_at <= k.slot AND k.slot < b.ends_at
       AND s.job LIKE replace(b.pattern, '*', '%')
 WHERE b.made_at < k.slot AND k.verdict NOT IN ('skipped', 'missed')
"""
"""Slots that were due in a blackout that was made before, and that ran."""

_HELD_OUTSIDE_ONE = """
SELECT s.name, k.slot
  FROM (SELECT schedule_id, slot, reason FROM sereno.slot
        UNION ALL
        SELECT g.schedule_id, u.slot, g.reason
          FROM sereno.slot_range g, unnest(ARRAY[g.first_slot, g.last_slot]) AS u (slot)) k
  JOIN sereno.schedule s ON s.id = k.schedule_id
 WHERE k.reason LIKE 'blackout: %' AND NOT EXISTS (
       SELECT 1 FROM sereno.blackout b WHERE b.starts_at <= k.slot AND k.slot < b.ends_at
          AND s.job LIKE replace(b.pattern, '*', '%'))
"""
"""Slots that a blackout is said to have held, and that were due in none."""


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

    def __init__(
        self,
        db: Database,
        eye: asyncpg.Connection,
        seed: int,
        start: datetime = START,
        end: datetime = NEW_YEAR,
    ) -> None:
        self.db = db
        self.eye = eye
        self.start, self.end = start, end
        self.clock = FakeClock(start)
        self.capacity: dict[str, int] = {}
        self.random = random.Random(seed)
        self.jobs = _jobs()
        self.elsewhere = job(UNKNOWN)(_nothing)
        self.schedules = fifty_schedules(start, end)
        self.absent: set[str] = set()
        self.leader: Leader | None = None
        self.deposed: list[Leader] = []
        self.checked = start
        self.chains = chains_of(self.jobs)
        self.fillings = Fillings(db, eye)
        self.fans = Fans(db, eye)
        self.keys = Keys(db, eye)
        self.words = Words(eye, self.jobs)
        self.names = Names(db, eye, self.jobs)
        self._numbers = count(1)
        self.schedules |= self.names.move("UTC", JOBS[:3])
        spaced = ScheduleSpec(trigger="every 6h")
        self.schedules[SPACED] = NamedSchedule(
            name=SPACED, job=SPACED, origin="plugin", declared=spaced
        )

    def job(self, name: str) -> Job:
        """Return a job as a registry would; of one that no leader knows too."""
        return self.jobs.get(name, self.elsewhere)

    async def begin(self) -> None:
        """Set the clock, and have the first leader register all there is."""
        await set_time(self.eye, self.clock.now())
        await calendars.put(self.db, "madrid", CALENDARS[0], by="ana")
        await calendars.put(self.db, "books", CALENDARS[1], by="ana")
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
        occupancy = Occupancy(MAX_RUNNING, self.capacity)
        hands = Hands(self.db, node.id, self.clock, known, self.random)
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
        for order in await open_backfills(self.db):
            await backfills.carry_on(self.db, leader.term, order)

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

    async def watch(self, span: timedelta, most: int = 60, share: float = 1.0) -> None:
        """Move the clock from instant to instant as the leader wants it, at most `most` times;
        `share`: of the runs at work that end each time."""
        until = self.clock.now() + span
        for _ in range(most):
            await self.tick(reread=True)
            await self.end_runs(share)
            due = await self.eye.fetchval("SELECT min(wake_at) FROM sereno.watermark")
            if self.leader is None or due is None or due > until:
                break
            await self.pass_time(max(due - self.clock.now(), timedelta(milliseconds=1)))
        if self.clock.now() < until:
            await self.pass_time(until - self.clock.now())
            await self.tick()

    # --- runs ---------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Leader]:
        """Return who works: those who led, and who leads."""
        return [*self.deposed, *([self.leader] if self.leader else [])]

    async def end_runs(self, share: float = 1.0) -> None:
        """End a share of what runs, on each node that leads or led: well, badly, to be retried."""
        now = self.clock.now()
        for node in self.nodes:
            hands = node.hands
            if not hands.claims:
                continue
            self.words.speak(hands, self.random, now)
            await self.words.listen(hands, now)
            chosen = [token for token in hands.claims if self.random.random() < share]
            if not chosen:
                continue
            ended = [(hands.claims[t], self._end_of(hands, t)) for t in chosen]
            outcomes = [outcome for _, outcome in ended]
            written = await runs.write_outcomes(self.db, node.node.id, outcomes, self.chains)
            await self.words.ended(outcomes, {*written.ours})
            self.fans.succeeded(
                (c, o) for c, o in ended if o.token in written.ours and o.state == "succeeded"
            )
            for outcome in outcomes:
                node.occupancy.ended(outcome)

    def _end_of(self, hands: Hands, token: UUID) -> Outcome:
        claim = hands.claims[token]
        assert (token in hands.refusals) == self.fans.refused(claim), claim
        return self.words.end(hands, token, self.random, self.clock.now())

    async def fan_out(self, number: int, job: str, count: int, **rest: Any) -> None:
        """Have one of those that run, on whichever node, fan out."""
        if self.claims:
            claim, node = self.claims[number % len(self.claims)]
            await self.fans.ask(claim, node, job, count, absent=self.absent, **rest)

    @property
    def claims(self) -> list[tuple[Claim, UUID]]:
        """Return what is held, by whom: also by those who led, and may have lost it."""
        return [(c, one.node.id) for one in self.nodes for c in one.hands.claims.values()]

    async def lose_runs(self) -> None:
        """Take the runs of every node that led before, as the reaper does when they are dead."""
        if self.leader is None:
            return
        for old in self.deposed:
            await self._lose(old.node.id)

    async def _lose(self, node: UUID) -> None:
        owned = await runs.owned(self.db, node)
        verdicts = [(r["id"], r["attempt"], r["token"], self.random.random() < 0.5) for r in owned]
        await runs.lose(self.db, self.current.term, node, verdicts, "its node died")

    async def prune(self, older_than: timedelta) -> None:
        """Prune to the end; of each job that says what is kept, that is what must be left."""
        while await self.eye.fetchval("SELECT sereno.prune($1, 500)", older_than):
            pass
        for name, kept in zip(JOBS, cycle(KEPT), strict=False):
            if name not in self.absent:
                number, for_ = kept.get("keep_runs"), kept.get("keep_for")
                wrong = await self.eye.fetch(_KEPT_TOO_LONG, name, number, for_ == "2d")
                assert not wrong, f"{name} with {kept} keeps {wrong}"

    @property
    def current(self) -> Leader:
        """Return who leads; somebody must."""
        assert self.leader is not None
        return self.leader

    async def finish(self, most: int = 1_500) -> None:
        """Let the leader carry out every back-fill and fan-out that is open, to its end."""
        for _ in range(most):
            await self.fans.check()
            if not await open_backfills(self.db) and not self.fans.open:
                break
            for row in await self.eye.fetch(
                "SELECT DISTINCT node FROM sereno.run WHERE state = 'running' AND node <> $1",
                self.current.node.id,
            ):
                await self._lose(row["node"])
            await self.end_runs()
            await self.tick(reread=False)
            await self.pass_time(timedelta(minutes=1))
        await self.fillings.check()
        assert not len(self.fillings), "a back-fill does not come to its end"
        assert not self.fans.open, "a fan-out does not come to its end"

    # --- the proof ----------------------------------------------------------------------------

    async def check(self, *, whole: bool = False) -> Account:
        """Hold the ledger against what was due, since the last check or from the beginning."""
        now = self.clock.now()
        since = self.start if whole else self.checked
        account = await verify(self.db, now - since + timedelta(hours=1))
        assert account.holds, account.faults[:10]
        self.checked = now
        await self.fillings.check()
        await self.fans.check()
        await self.keys.look()
        await self.words.check()
        await self.names.check()
        twice = await self.eye.fetch(_TWICE)
        assert not twice, [tuple(r) for r in twice]
        crowded = await self.eye.fetch(_CROWDED, MAX_RUNNING)
        assert not crowded, [tuple(r) for r in crowded]
        late = await self.eye.fetch(_BEGUN_TOO_LATE)
        assert not late, [tuple(r) for r in late]
        held = await self.eye.fetch(_RAN_IN_A_BLACKOUT)
        assert not held, [tuple(r) for r in held]
        held = await self.eye.fetch(_HELD_OUTSIDE_ONE)
        assert not held, [tuple(r) for r in held]
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
        waits = await self.eye.fetch(_WAITS_TOO_LONG, now)
        assert not waits, [tuple(r) for r in waits]


async def _nobody() -> None:
    """Have nobody between two batches."""
