"""Verbs that read schedules and their slots: what is to come, what became of it, and why."""

import heapq
from datetime import datetime

import msgspec

from sereno.client.explanation import Explanation, explain
from sereno.client.verbs import Duration, Verbs, checked_limit
from sereno.model.bounds import checked_instant
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.spread import parse_spread
from sereno.store import schedules, slot_views, views
from sereno.store.calendar_days import of_texts
from sereno.store.filters import is_pattern
from sereno.store.slot_views import SlotView
from sereno.store.views import ScheduleView
from sereno.triggers import Trigger, parse
from sereno.triggers.calendars import with_days
from sereno.triggers.occurrences import next_slot
from sereno.triggers.resolution import foretold

MOST_SLOTS = 10_000


class ComingSlot(msgspec.Struct, frozen=True, order=True):
    """A slot that is to come, of a schedule as it stands."""

    slot: datetime
    schedule: str
    job: str


class SlotVerbs(Verbs):
    """Verbs that read schedules and their slots."""

    async def schedules(self, name: str | None = None) -> list[ScheduleView]:
        """Return the schedules of a job, the one of that name, those that a pattern stands for; or
        all, by job and name.

        Raises NotFoundError for a name of which nothing is known.
        """
        if name is not None and is_pattern(name):
            chosen = set(await schedules.selected(self._db, name))
            return [s for s in await views.schedules(self._db) if s.name in chosen]
        found = await views.schedules(self._db, name)
        if name is not None and not found:
            await views.known_job(self._db, name)
        return found

    async def preview_slots(
        self,
        trigger: str | Trigger,
        *,
        name: str = "preview",
        start: datetime | None = None,
        end: datetime | None = None,
        jitter: Duration | None = None,
        one_off: bool = False,
        at_start: bool = False,
        after: datetime | None = None,
        count: int = 10,
    ) -> list[datetime]:
        """Return the next `count` slots of a trigger that no schedule has yet, after now or
        `after`.

        `name`: of the schedule, by which its jitter goes. Raises TriggerError, DeclarationError.
        """
        checked_limit(count, MOST_SLOTS)
        spread = None if jitter is None else parse_spread(jitter) or None
        spec = ScheduleSpec(
            trigger=text_of(trigger),
            starts_at=start,
            ends_at=end,
            jitter=spread,
            one_off=one_off,
            at_start=at_start,
        )
        for what, instant in (("start", start), ("end", end), ("after", after)):
            if instant is not None:
                checked_instant(instant, f"preview: {what}")
        since = after or await self._db.fetchval("database_now")
        async with self._db.connection() as connection:
            calendars = await of_texts(connection, spec.trigger)
        spec = msgspec.structs.replace(spec, trigger=with_days(spec.trigger, calendars))
        return slots_of(foretold(spec, name, since), name, since, count)

    async def next_slots(
        self,
        name: str,
        *,
        count: int = 10,
        after: datetime | None = None,
        most: int | None = None,
    ) -> dict[str, list[datetime]]:
        """Return the next slots of each schedule that `schedules` returns for `name`, by its name;
        of a paused one those that it would have. `most`: of the first so many, None: of all."""
        checked_limit(count, MOST_SLOTS)
        if after is not None:
            checked_instant(after, "next slots: after")
        since = after or await self._db.fetchval("database_now")
        found = (await self.schedules(name))[:most]
        return {s.name: slots_of(s.definition, s.name, since, count) for s in found}

    async def coming_slots(
        self, *, count: int = 100, until: datetime | None = None
    ) -> list[ComingSlot]:
        """Return the next `count` slots of all active schedules in the order in which they come, to
        `until`.

        However many schedules there are, those alone are read that are due first.
        """
        checked_limit(count, MOST_SLOTS)
        if until is not None:
            checked_instant(until, "coming slots: until")
        found = await views.schedules(self._db, due_first=count)
        waiting = [(s.next_slot, n) for n, s in enumerate(found) if s.next_slot is not None]
        heapq.heapify(waiting)
        coming: list[ComingSlot] = []
        while waiting and len(coming) < count:
            slot, n = heapq.heappop(waiting)
            if until is not None and slot > until:
                break
            schedule = found[n]
            coming.append(ComingSlot(slot, schedule.name, schedule.job))
            if (after := next_slot(schedule.definition, schedule.name, slot)) is not None:
                heapq.heappush(waiting, (after, n))
        return coming

    async def slots(
        self, job: str, first: datetime, last: datetime, *, limit: int = 100
    ) -> list[SlotView]:
        """Return the verdicts of `job`'s slots in [first, last], the oldest first, and the ranges
        that touch it. Raises NotFoundError."""
        for what, instant in (("first", first), ("last", last)):
            checked_instant(instant, f"slots: {what}")
        await views.known_job(self._db, job)
        limit = checked_limit(limit, MOST_SLOTS)
        return await slot_views.slots(self._db, job, first, last, limit=limit)

    async def explain(
        self,
        job: str,
        at: datetime,
        until: datetime | None = None,
        *,
        lines: int = 0,
        reveal: bool = False,
    ) -> Explanation:
        """Return why `job` did run, or did not, at `at`: what was due, by which version of which
        schedule, and what became of it.

        `until`: before which; without it the whole minute of an instant without seconds. Raises
        NotFoundError.
        """
        checked_instant(at, "explain: at")
        if until is not None:
            checked_instant(until, "explain: until")
        return await explain(self._db, job, at, until, lines=lines, reveal=reveal)


def text_of(trigger: str | Trigger) -> str:
    """Return a trigger as it is kept; raises TriggerError."""
    return parse(trigger).text if isinstance(trigger, str) else trigger.text


def slots_of(version: ScheduleVersion, name: str, after: datetime, count: int) -> list[datetime]:
    """Return the next slots of one version, fewer where no more come."""
    found: list[datetime] = []
    while len(found) < count and (slot := next_slot(version, name, after)) is not None:
        found.append(slot)
        after = slot
    return found
