"""A database with a term, jobs and schedules in it, for tests of what the store promises."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from sereno.model.job import Job, job
from sereno.model.ledger import Entry, NewRun, Settlement, SlotRange, SlotVerdict
from sereno.model.schedule import Schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import ledger
from sereno.store.catalogue import DeclaredJob, NamedSchedule, register
from sereno.store.pool import Database
from sereno.triggers import parse

from ..servers.locks import BLOCKED

NODE = UUID(int=1)
OTHER = UUID(int=2)


async def nothing(run: Any) -> None:
    """Do nothing: what jobs of these tests are declared with."""


def declared_job(name: str, **declared: Any) -> DeclaredJob:
    """Return a job of the plugin ``tests`` that does nothing."""
    return DeclaredJob(job=job(name, **declared)(nothing), plugin="tests")


def job_named(name: str) -> Job:
    """Return a job that does nothing, as a registry would."""
    return declared_job(name).job


def named(name: str, trigger: str = "every 1h", **parts: Any) -> NamedSchedule:
    """Return a schedule of the job before the ``@``, as a plugin would declare it."""
    enabled = parts.pop("enabled", True)
    origin = parts.pop("origin", "plugin")
    schedule = Schedule(trigger=parse(trigger), **parts)
    declared = ScheduleSpec.of(schedule, enabled)
    return NamedSchedule(name=name, job=name.partition("@")[0], origin=origin, declared=declared)


@dataclass
class Scene:
    """An open pool, and a connection beside it for looking."""

    db: Database
    eye: asyncpg.Connection
    term: int = 0

    async def begin_term(self, node: UUID = NODE) -> int:
        """Begin the next term, as a new leader does."""
        self.term = await self.eye.fetchval(
            "UPDATE sereno.leadership SET term = term + 1, node = $1 RETURNING term", node
        )
        return self.term

    async def declare(self, *declared: str | DeclaredJob | NamedSchedule) -> bool:
        """Register these jobs and schedules and no others, under the present term."""
        if not self.term:
            await self.begin_term()
        jobs = [declared_job(d) if isinstance(d, str) else d for d in declared]
        return await register(
            self.db,
            self.term,
            [j for j in jobs if isinstance(j, DeclaredJob)],
            [s for s in jobs if isinstance(s, NamedSchedule)],
        )

    async def value(self, query: str, *args: Any) -> Any:
        """Return the first value of a query."""
        return await self.eye.fetchval(query, *args)

    async def rows(self, query: str, *args: Any) -> list[tuple[Any, ...]]:
        """Return a query's rows as tuples."""
        return [tuple(r) for r in await self.eye.fetch(query, *args)]

    async def entry(self, name: str) -> Entry:
        """Return a schedule as the firing loop would get it."""
        number = await self.value("SELECT id FROM sereno.schedule WHERE name = $1", name)
        (found,) = await ledger.agenda_of(self.db, [number])
        return found

    async def enqueue(self, job: str, **params: Any) -> int:
        """Queue a run, as any program would."""
        found = await self.value(
            "SELECT sereno.enqueue($1, $2::text::jsonb)", job, json.dumps(params)
        )
        return int(found)

    async def until_blocked(self) -> None:
        """Return once some statement waits for a lock."""
        async with asyncio.timeout(45):
            while not await self.value(BLOCKED):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.002)

    async def state(self, run_id: int) -> str:
        """Return the state of a run."""
        return str(await self.value("SELECT state FROM sereno.run WHERE id = $1", run_id))


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection, and drop it whatever happens: a loop cannot be closed over an open one."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Scene]:
    """Open a scene on a database."""
    db = Database(dsn, size=6)
    await db.open()
    try:
        async with connected(dsn) as eye:
            yield Scene(db, eye)
    finally:
        await db.close()


def settlement(
    entry: Entry,
    *verdicts: tuple[datetime, str],
    to: datetime | None = None,
    starts: bool = True,
    ranges: tuple[SlotRange, ...] = (),
) -> Settlement:
    """Return a settlement with these verdicts; `ran` and `late` have a run each."""
    runs = [slot for slot, verdict in verdicts if verdict in ("waiting", "ran", "late")]
    last = max([s for s, _ in verdicts] + [r.last for r in ranges], default=entry.settled_to)
    upto = to or last
    return Settlement(
        entry=entry,
        settled_to=upto,
        next_slot=upto + timedelta(hours=1),
        wake_at=upto + timedelta(hours=1),
        slots=tuple(
            SlotVerdict(slot=s, verdict=v, reason=None, runs=s in runs)  # type: ignore[arg-type]
            for s, v in verdicts
        ),
        ranges=ranges,
        runs=tuple(
            NewRun(
                slot=slot,
                params={"n": 1},
                policies={},
                priority=3,
                concurrency_key=None,
                start=starts,
                on_time_until=slot + timedelta(minutes=1),
            )
            for slot in runs
        ),
    )


def slots_after(entry: Entry, count: int) -> list[datetime]:
    """Return the next so many whole hours after the entry's watermark."""
    first = entry.settled_to.replace(minute=0, second=0, microsecond=0)
    return [first + timedelta(hours=n + 1) for n in range(count)]
