"""Verbs that look at many schedules for a bounded price: page by page, and the load to come."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import get_args

import msgspec

from sereno.client.slot_verbs import MOST_SLOTS, slots_of
from sereno.client.verbs import Duration, Verbs, check_texts, checked_limit
from sereno.model.duration import parse_duration
from sereno.model.errors import ParamsError
from sereno.store import schedule_pages
from sereno.store.page import Page
from sereno.store.schedule_pages import ListedState, ScheduleDetail, ScheduleFilter
from sereno.store.views import ScheduleView
from sereno.triggers.load import Alike, ComingLoad, coming_load

_MOST_LISTED = 1_000
_MOST_STEPS = 1_000_000
_LONGEST = timedelta(days=31)


class ScheduleListVerbs(Verbs):
    """Verbs that look at many schedules."""

    async def schedule_page(
        self,
        *,
        text: str | None = None,
        job: str | None = None,
        state: ListedState | None = None,
        tag: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ScheduleView]:
        """Return a page of schedules by name; `older` leads on, `newer` back.

        `text`: in name, title or trigger, in small letters or capitals. However many schedules
        there are, 20,000 at most are looked at for a page: one that is not `whole` goes on behind
        its cursor. Raises NotFoundError for a job that is not known, ParamsError.
        """
        check_texts(text=text, job=job, tag=tag)
        if state is not None and state not in get_args(ListedState):
            known = ", ".join(get_args(ListedState))
            raise ParamsError(f"state is {state!r:.60}, it must be one of {known}")
        wanted = ScheduleFilter(text=text, job=job, state=state, tag=tag)
        limit = checked_limit(limit, _MOST_LISTED)
        return await schedule_pages.listed(self._db, wanted, limit=limit, at=cursor)

    async def schedule(self, name: str, *, count: int = 10) -> ScheduleDetail:
        """Return the schedule of that very name with its parts, as they are written, and its next
        `count` slots; of a paused one those that it would have.

        Raises NotFoundError.
        """
        check_texts(name=name)
        checked_limit(count, MOST_SLOTS)
        found = await schedule_pages.one(self._db, name)
        coming = slots_of(found.definition, name, found.now, count)
        return msgspec.structs.replace(found, coming=tuple(coming))

    async def coming_load(
        self, span: Duration = timedelta(days=1), *, most: int = 50_000
    ) -> ComingLoad:
        """Return how many slots of active schedules are due in each minute of the coming `span`.

        `most`: so many steps of triggers are made, those that are alike as one; `until` says how
        far that went. It is computed in a thread. Slots in a blackout count: they are due.
        """
        checked_limit(most, _MOST_STEPS)
        length = parse_duration(span)
        if not timedelta(0) < length <= _LONGEST:
            raise ParamsError(f"span is {span!r:.60}, it must be more than 0 and at most 31 days")
        now: datetime = await self._db.fetchval("database_now")
        alike: dict[tuple[object, ...], Counter[str]] = {}
        for row in await self._db.fetch("view_load"):
            key = tuple(row[name] for name in _ALIKE)
            alike.setdefault(key, Counter())[row["job"]] += row["schedules"]
        found = [
            Alike(**dict(zip(_ALIKE, key, strict=True)), jobs=jobs)  # type: ignore[arg-type]
            for key, jobs in alike.items()
        ]
        return await asyncio.to_thread(coming_load, found, now, now + length, most=most)


_ALIKE = ("trigger", "jitter", "starts_at", "ends_at", "name")
