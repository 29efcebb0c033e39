"""Plays the coming days, as they stand or with a change that is not made yet."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.client.rehearsal_change import RehearsalChange, ScheduleAlteration, read_change
from sereno.client.schedule_list_verbs import ScheduleListVerbs
from sereno.client.schedule_verbs import ScheduleVerbs
from sereno.client.slot_verbs import text_of
from sereno.client.verbs import Duration, check_texts, checked_limit
from sereno.engine.planner import key_of
from sereno.engine.rehearsal import Scene, rehearse
from sereno.model.bounds import checked_instant
from sereno.model.concurrency import concurrency_key
from sereno.model.duration import parse_duration
from sereno.model.errors import DeclarationError, NotFoundError, ParamsError, SerenoError
from sereno.model.ledger import Entry, ScheduleVersion
from sereno.model.policies import checked_of_schedule, plain
from sereno.model.rehearsal import Rehearsal, RehearsedJob
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.spread import parse_spread
from sereno.store import blackouts, rehearsal
from sereno.store.calendar_days import of_texts
from sereno.triggers.calendars import with_days
from sereno.triggers.resolution import foretold

LONGEST_REHEARSAL = timedelta(days=92)
MOST_REHEARSED = 5_000_000
_NEW = 2**62
"""Schedules that there are not yet come last at an instant, as the newest would."""


class RehearsalVerbs(ScheduleVerbs, ScheduleListVerbs):
    """The verb that plays what is to come."""

    async def rehearse(
        self,
        span: Duration = timedelta(days=7),
        *,
        change: RehearsalChange | Mapping[str, Any] | None = None,
        most: int = 1_000_000,
    ) -> Rehearsal:
        """Return what would come of the coming `span`: what waits for a place, is skipped for
        overlap, passes its time, fills a pool, and when; at the pace that runs mostly have (p50 of
        each job's newest 200) and at a slow one (p99).

        `change`: what is to be another; nothing of it is saved. `most`: slots that are played;
        `until` says how far that went. It is computed in a thread. Raises NotFoundError,
        ParamsError, and as `preview_change`.
        """
        checked_limit(most, MOST_REHEARSED)
        length = parse_duration(span)
        if not timedelta(0) < length <= LONGEST_REHEARSAL:
            longest = LONGEST_REHEARSAL.days
            raise ParamsError(
                f"span is {span!r:.60}, it must be more than 0 and at most {longest} days"
            )
        wanted = read_change(change)
        scene, unread = await self._scene(wanted)
        found = await asyncio.to_thread(rehearse, scene, scene.since + length, most=most)
        return msgspec.structs.replace(found, unread={**unread, **found.unread})

    async def _scene(self, wanted: RehearsalChange) -> tuple[Scene, dict[str, str]]:
        now: datetime = await self._db.fetchval("database_now")
        jobs, unread = await rehearsal.jobs(self._db)
        for name, told in wanted.jobs.items():
            check_texts(job=name)
            jobs[name] = told.laid(name, _known(jobs, name))
        entries = {entry.name: entry for entry in await rehearsal.schedules(self._db)}
        for n, (name, altered) in enumerate(wanted.schedules.items()):
            check_texts(name=name)
            entry = await self._altered(name, altered, entries.get(name), now, jobs, _NEW + n)
            entries.pop(name, None)
            if entry is not None:
                entries[name] = entry
        keys = _keys(entries.values(), jobs)
        scene = Scene(
            since=now,
            entries=list(entries.values()),
            jobs=jobs,
            places=wanted.places(self._places),
            under_way=await rehearsal.under_way(self._db),
            blackouts=await blackouts.in_force(self._db),
            turns=await rehearsal.turns(self._db, keys),
        )
        return scene, unread

    async def _altered(
        self,
        name: str,
        altered: ScheduleAlteration,
        entry: Entry | None,
        now: datetime,
        jobs: Mapping[str, RehearsedJob],
        number: int,
    ) -> Entry | None:
        """Return a schedule as it would be, None where it would not be."""
        if altered.removed:
            if entry is None:
                await self.schedule(name, count=1)  # raises where there is none
            return None
        parts = altered.parts
        if entry is None and not await self._stands(name, parts, jobs):
            version = await self._first(name, altered, now)
        elif parts:
            preview = await self.preview_change(name, **parts, count=1)
            version = foretold(preview.after, name, now)
        elif entry is not None:
            version = entry.current
        else:
            version = (await self.schedule(name, count=1)).definition
        paused = altered.paused
        if paused is None:
            paused = entry is not None and entry.current.state == "paused"
        kept_pause = paused and entry is not None and altered.paused is None
        return Entry(
            schedule_id=number if entry is None else entry.schedule_id,
            name=name,
            job=name.partition("@")[0] if entry is None else entry.job,
            versions=(_since(version, now, paused),),
            settled_to=now,
            next_slot=None,
            wake_at=now,
            version=1,
            paused_until=entry.paused_until if kept_pause and entry is not None else None,
        )

    async def _stands(
        self, name: str, parts: Mapping[str, Any], jobs: Mapping[str, RehearsedJob]
    ) -> bool:
        """Tell whether there is a schedule of that name, though nothing of it is to come."""
        try:
            await self.schedule(name, count=1)
        except NotFoundError:
            if "trigger" not in parts:
                raise
            _known(jobs, name.partition("@")[0])
            return False
        return True

    async def _first(
        self, name: str, altered: ScheduleAlteration, now: datetime
    ) -> ScheduleVersion:
        """Return the version of a schedule that there is not yet."""
        subject = f"schedule '{name}'"
        parts = altered.parts
        for what in ("start", "end"):
            if parts.get(what) is not None:
                checked_instant(parts[what], f"{subject}: {what}")
        jitter = parts.get("jitter")
        spec = ScheduleSpec(
            trigger=text_of(parts["trigger"]),
            params=altered.params,
            starts_at=parts.get("start"),
            ends_at=parts.get("end"),
            jitter=None if jitter is None else parse_spread(jitter) or None,
            policies=plain(checked_of_schedule(altered.policies, subject)),
            one_off=parts.get("one_off", False),
        )
        async with self._db.connection() as connection:
            calendars = await of_texts(connection, spec.trigger)
        spec = msgspec.structs.replace(spec, trigger=with_days(spec.trigger, calendars))
        return foretold(spec, name, now)


def _since(version: ScheduleVersion, now: datetime, paused: bool) -> ScheduleVersion:
    state = "paused" if paused else "active"
    return msgspec.structs.replace(version, valid_from=now, state=state)


def _known(jobs: Mapping[str, RehearsedJob], name: str) -> RehearsedJob:
    if name not in jobs:
        raise NotFoundError(f"there is no job '{name:.200}'; `sereno jobs` lists them")
    return jobs[name]


def _keys(entries: Iterable[Entry], jobs: Mapping[str, RehearsedJob]) -> set[tuple[str, str]]:
    """Return the concurrency keys that runs may have, with their jobs."""
    found: set[tuple[str, str]] = set()
    for entry in entries:
        if (job := jobs.get(entry.job)) is None:
            continue
        for version in entry.versions:
            try:
                policies = job.policies.changed(version.policies, entry.name)
                key = key_of(entry, policies, version, True)
            except SerenoError:
                continue
            if key is not None:
                found.add((entry.job, key))
    for name, job in jobs.items():
        if job.after and job.policies.concurrency_key is not None:
            try:
                found.add((name, concurrency_key(job.policies.concurrency_key, {})))
            except DeclarationError:
                continue
    return found
