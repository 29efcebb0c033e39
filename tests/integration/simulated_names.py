"""What runs of the simulated year are found by, and the zone of triggers that name none."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from sereno.client import Client, RunFilter
from sereno.model.job import Job, job
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.zone import use_zone
from sereno.store.catalogue import NamedSchedule
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.triggers import parse
from sereno.triggers.occurrences import trigger_of

TAGS = ["nightly", "tenant 7", "ñandú 🦤", "both"]
ZONES = ["UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe"]
BARE = ["cron 30 2 * * *", "cron @daily", "except_on (every 6h) calendar=madrid"]
"""Triggers that name no zone."""
SPACED = "plugin1.spaced"
LEAST = timedelta(hours=5)

_PAGE = 100
_TAGS_ASTRAY = """
(SELECT run_id, array_agg(tag ORDER BY tag COLLATE "C") FROM sereno.run_tag GROUP BY 1
 EXCEPT SELECT id, tags FROM sereno.run WHERE tags IS NOT NULL)
UNION ALL
(SELECT id, tags FROM sereno.run WHERE tags IS NOT NULL
 EXCEPT SELECT run_id, array_agg(tag ORDER BY tag COLLATE "C") FROM sereno.run_tag GROUP BY 1)
"""
_RUNS = """
SELECT r.id, r.job, r.repeats, r.tags, s.name AS schedule
  FROM sereno.run r LEFT JOIN sereno.schedule s ON s.id = r.schedule_id ORDER BY r.id
"""


async def _nothing(run: Any) -> None:
    """Stand where a job's function stands."""


def spaced_job() -> Job:
    """Return a job whose schedules may not be dense."""
    return job(SPACED, min_interval=LEAST)(_nothing)


def in_zone(text: str, zone: str) -> str:
    """Return one of `BARE` as it must be kept while `zone` is that of the settings."""
    return f"{text} tz={zone}" if text.startswith("except_on") else f"{text} {zone}"


def declared(name: str, text: str) -> NamedSchedule:
    """Return a schedule as the code declares it: its trigger is read now."""
    spec = ScheduleSpec(trigger=parse(text).text)
    return NamedSchedule(name=name, job=name.partition("@")[0], origin="plugin", declared=spec)


class Names:
    """Tags of runs, and zones of schedules, as far as the world has given them."""

    def __init__(self, db: Database, eye: asyncpg.Connection, jobs: dict[str, Job]) -> None:
        self._db = db
        self._eye = eye
        self._jobs = jobs
        self._own: dict[int, frozenset[str]] = {}
        self._zoned: dict[str, str] = {}
        self.zone = "UTC"
        self.counts: Counter[str] = Counter()
        use_zone(self.zone)

    # --- tags ---------------------------------------------------------------------------------

    async def ask(self, job: str, tags: list[str], start_by: timedelta | None) -> None:
        """Ask for a run that has tags of its own."""
        client = Client(self._db, requested_by="ana")
        run = await client.enqueue(job, {"tenant": "t1"}, tags=tags, start_by=start_by)
        self._own[run] = frozenset(tags)

    async def find(self, tags: list[str], schedules: dict[str, NamedSchedule]) -> None:
        """Look for runs by tags: as many and the same are found as by a look at each."""
        want, own = [], self._own
        for row in await self._eye.fetch(_RUNS):
            first = row["repeats"]  # one that is gone, and was never seen, had what this one has
            given = frozenset(row["tags"] or ()) if first and first not in own else None
            has = own.setdefault(row["id"], own.get(first, frozenset()) if given is None else given)
            held = schedules.get(row["schedule"] or "")
            has = has | {*self._jobs[row["job"]].tags} if row["job"] in self._jobs else has
            if held is not None:
                has = has | {*held.declared.tags}
            if has.issuperset(tags):
                want.append(row["id"])
        client = Client(self._db)
        page = await client.runs(RunFilter(tags=tuple(tags)), limit=_PAGE)
        assert [run.id for run in page.items] == want[::-1][:_PAGE], tags
        counted = await client.count_runs(RunFilter(tags=tuple(tags)))
        assert counted.more or counted.found == len(want), (tags, counted)
        self.counts["found by tags"] += len(want)

    # --- zones --------------------------------------------------------------------------------

    def move(self, zone: str, jobs: list[str]) -> dict[str, NamedSchedule]:
        """Have the settings name another zone, and return what the code declares without one."""
        use_zone(zone)
        self.zone = zone
        self.counts["zone"] += 1
        names = [f"{job}@bare{n}" for n, job in enumerate(jobs)]
        for name, text in zip(names, BARE, strict=True):
            self._zoned[name] = in_zone(text, zone)
        return {n: declared(n, text) for n, text in zip(names, BARE, strict=True)}

    def added(self, name: str, text: str) -> None:
        """Note what a person's schedule must say for ever."""
        if text in BARE:
            self._zoned[name] = in_zone(text, self.zone)

    # --- how dense ----------------------------------------------------------------------------

    async def changed(self, name: str, now: datetime) -> None:
        """Require that no schedule was let in that is denser than its job allows."""
        if name.partition("@")[0] != SPACED:
            return
        number = await self._eye.fetchval("SELECT id FROM sereno.schedule WHERE name = $1", name)
        version = version_of((await self._db.fetch("verify_versions", number))[-1])
        trigger = trigger_of(version.trigger, version.jitter, name)
        last = trigger.next_after(max(now, version.starts_at or now))
        for _ in range(300):
            slot = None if last is None else trigger.next_after(last)
            if last is None or slot is None or slot >= (version.ends_at or slot + LEAST):
                break
            assert slot - last >= LEAST, (name, version, last, slot)
            last = slot
        self.counts["spaced"] += 1

    # --- the proof ----------------------------------------------------------------------------

    async def check(self) -> None:
        """Require that tags are kept as they were given, and zones as they were named."""
        astray = await self._eye.fetch(_TAGS_ASTRAY)
        assert not astray, [tuple(r) for r in astray[:5]]
        rows = await self._eye.fetch(
            "SELECT name, declared FROM sereno.schedule WHERE name = ANY ($1)"
            " AND state <> 'orphaned'",  # what no leader declares now stays as it was
            list(self._zoned),
        )
        for row in rows:
            kept = msgspec.json.decode(row["declared"])["trigger"]
            assert kept == self._zoned[row["name"]], (row["name"], kept)
