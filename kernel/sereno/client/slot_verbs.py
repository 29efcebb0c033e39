"""Verbs that read schedules and their slots: what is to come, what became of it, and why."""

from datetime import datetime

from sereno.client.explanation import Explanation, explain
from sereno.client.verbs import Duration, Verbs, checked_limit
from sereno.model.bounds import checked_instant
from sereno.model.duration import parse_duration
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import schedules, views
from sereno.store.filters import is_pattern
from sereno.store.views import ScheduleView, SlotView
from sereno.triggers import Trigger, parse
from sereno.triggers.occurrences import next_slot

MOST_SLOTS = 10_000


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
        after: datetime | None = None,
        count: int = 10,
    ) -> list[datetime]:
        """Return the next `count` slots of a trigger that no schedule has yet, after now or
        `after`.

        `name`: of the schedule, by which its jitter goes. Raises TriggerError, DeclarationError.
        """
        checked_limit(count, MOST_SLOTS)
        spread = None if jitter is None else parse_duration(jitter) or None
        spec = ScheduleSpec(trigger=text_of(trigger), starts_at=start, ends_at=end, jitter=spread)
        for what, instant in (("start", start), ("end", end), ("after", after)):
            if instant is not None:
                checked_instant(instant, f"preview: {what}")
        since = after or await self._db.fetchval("database_now")
        return slots_of(spec.as_version(1, since, "active"), name, since, count)

    async def next_slots(
        self, name: str, *, count: int = 10, after: datetime | None = None
    ) -> dict[str, list[datetime]]:
        """Return the next slots of each schedule that `schedules` returns for `name`, by its name;
        of a paused one those that it would have."""
        checked_limit(count, MOST_SLOTS)
        if after is not None:
            checked_instant(after, "next slots: after")
        since = after or await self._db.fetchval("database_now")
        found = await self.schedules(name)
        return {s.name: slots_of(s.definition, s.name, since, count) for s in found}

    async def slots(
        self, job: str, first: datetime, last: datetime, *, limit: int = 100
    ) -> list[SlotView]:
        """Return the verdicts of `job`'s slots in [first, last], the oldest first, and the ranges
        that touch it. Raises NotFoundError."""
        for what, instant in (("first", first), ("last", last)):
            checked_instant(instant, f"slots: {what}")
        await views.known_job(self._db, job)
        limit = checked_limit(limit, MOST_SLOTS)
        return await views.slots(self._db, job, first, last, limit=limit)

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
