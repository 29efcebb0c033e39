"""Verbs of calendars that schedules share, and of blackouts."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from sereno.client.slot_verbs import MOST_SLOTS, slots_of
from sereno.client.verbs import Duration, Verbs, check_texts, checked_limit, known_plugin
from sereno.model.bounds import checked_instant
from sereno.model.calendar import checked_days, read_days
from sereno.model.duration import parse_duration
from sereno.model.errors import NotFoundError, ParamsError
from sereno.model.suggestion import suggestion
from sereno.model.titles import checked_title
from sereno.store import blackouts, calendars, cluster, schedules
from sereno.store.blackouts import BlackoutView
from sereno.store.calendars import CalendarView
from sereno.store.filters import is_pattern
from sereno.store.page import Page

_MOST_LISTED = 1_000


class MovedSlots(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of a calendar does to the next slots of a schedule that follows it."""

    schedule: str
    lost: tuple[datetime, ...]
    gained: tuple[datetime, ...]


class CalendarChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar that was changed, and the schedules that follow it, each of a new version."""

    name: str
    schedules: tuple[str, ...]


class CalendarVerbs(Verbs):
    """Verbs of calendars and blackouts."""

    async def calendars(self) -> list[CalendarView]:
        """Return the calendars, by name."""
        return await calendars.views(self._db)

    async def calendar(self, name: str) -> CalendarView:
        """Return one calendar; raises NotFoundError."""
        found = {view.name: view for view in await self.calendars()}
        if name not in found:
            hint = suggestion(name, sorted(found), "; `sereno calendar set` makes one")
            raise NotFoundError(f"there is no calendar '{name}'{hint}")
        return found[name]

    async def set_calendar(
        self,
        name: str,
        days: Sequence[str],
        *,
        reason: str = "",
        requested_by: str | None = None,
    ) -> CalendarChanged:
        """Give a calendar `days` in the place of its own, or make it.

        Days: ``2026-12-25``, ``2026-12-24..2027-01-06``, ``12-25`` (each year), ``easter-2``,
        ``sat``. Every schedule that follows it gets a new version at once, or none does. Raises
        DeclarationError, and TriggerError where a schedule would never fire.
        """
        check_texts(name=name, reason=reason)
        by = self._by(requested_by)
        followed = await calendars.put(self._db, name, days, by=by, reason=reason)
        return CalendarChanged(name=name, schedules=tuple(followed))

    async def preview_calendar(
        self, name: str, days: Sequence[str], *, count: int = 1_000
    ) -> list[MovedSlots]:
        """Return which of the next `count` slots of each schedule that follows a calendar would go
        and come if it had these days; nothing is changed. Raises as `set_calendar`."""
        checked_limit(count, MOST_SLOTS)
        now, followed = await calendars.preview(self._db, name, days)
        moved = []
        for one in followed:
            before = slots_of(one.before, one.schedule, now, count)
            after = slots_of(one.after, one.schedule, now, count)
            until = min([s[-1] for s in (before, after) if len(s) == count], default=None)
            lost = [s for s in before if s not in set(after) and (until is None or s <= until)]
            new = [s for s in after if s not in set(before) and (until is None or s <= until)]
            moved.append(MovedSlots(schedule=one.schedule, lost=tuple(lost), gained=tuple(new)))
        return moved

    async def remove_calendar(
        self, name: str, *, reason: str = "", requested_by: str | None = None
    ) -> CalendarChanged:
        """Take away what people have said of a calendar: the settings' days hold again, or there
        is none. Raises NotFoundError, ConflictError while schedules follow one that would go."""
        check_texts(name=name, reason=reason)
        by = self._by(requested_by)
        followed = await calendars.drop(self._db, name, by=by, reason=reason)
        return CalendarChanged(name=name, schedules=tuple(followed))

    async def blackouts(self, *, everything: bool = False) -> list[BlackoutView]:
        """Return the blackouts that are on or to come, soonest first; `everything`: all kept."""
        return await blackouts.views(self._db, everything=everything)

    async def blackout_page(
        self, *, everything: bool = False, limit: int = 50, cursor: str | None = None
    ) -> Page[BlackoutView]:
        """Return a page of the blackouts, soonest first; `older` leads on, `newer` back.

        `everything`: with those that are over. Raises ParamsError.
        """
        limit = checked_limit(limit, _MOST_LISTED)
        return await blackouts.listed(self._db, everything=everything, limit=limit, at=cursor)

    async def add_blackout(
        self,
        pattern: str = "*",
        *,
        reason: str,
        start: datetime | None = None,
        end: datetime | None = None,
        lasts: Duration | None = None,
        plugin: str | None = None,
        requested_by: str | None = None,
    ) -> BlackoutView:
        """Have no slot of schedules, or of jobs, like `pattern` run from `start` (None: now) until
        `end`, or for as long as it `lasts`; each is skipped, for that reason. It ends by itself.

        `plugin`: of all its jobs. What is queued otherwise runs. Raises ParamsError, NotFoundError.
        """
        check_texts(pattern=pattern, plugin=plugin, requested_by=requested_by)
        reason = checked_title(reason, "reason", "blackout")
        if not reason:
            raise ParamsError("blackout: it has no reason; say why, everybody will ask")
        if (end is None) == (lasts is None):
            raise ParamsError("blackout: say until when by one of these: end, or how long it lasts")
        now = await self._db.fetchval("database_now")
        begins = start or now
        for what, instant in (("start", begins), ("end", end)):
            if instant is not None:
                checked_instant(instant, f"blackout: {what}")
        try:
            ends = end if end is not None else begins + parse_duration(lasts or 0)
        except OverflowError as error:
            raise ParamsError("blackout: it lasts beyond the year 9999") from error
        if ends <= max(begins, now):
            raise ParamsError(
                f"blackout: it ends at {ends:%F %T} UTC, which is past, or before it begins"
            )
        await self._check_meant(pattern, plugin)
        number = await blackouts.make(
            self._db,
            "*" if plugin is not None else pattern,
            plugin=plugin,
            starts_at=start,
            ends_at=ends,
            reason=reason,
            by=self._by(requested_by),
        )
        return next(b for b in await self.blackouts(everything=True) if b.id == number)

    async def end_blackout(self, number: int, *, requested_by: str | None = None) -> None:
        """End a blackout now; one that has not begun never does. Raises NotFoundError."""
        if not 0 < number < 2**63:
            raise NotFoundError(f"there is no blackout {number}; `sereno blackout list` shows them")
        await blackouts.end(self._db, number, self._by(requested_by))

    async def _check_meant(self, pattern: str, plugin: str | None) -> None:
        if plugin is not None:
            if pattern != "*":
                raise ParamsError("blackout: a pattern and a plugin are both given; name one")
            known_plugin(plugin, {p.name for p in await cluster.plugins(self._db)})
        elif not is_pattern(pattern) and not await schedules.selected(self._db, pattern, None):
            near = await self._db.fetchval("schedule_like", pattern)
            hint = f", did you mean '{near}'?" if near else "; `sereno schedule list` shows all"
            raise NotFoundError(f"no schedule, nor a job of one, is '{pattern}'{hint}")


def with_more(
    name: str, days: Sequence[str], more: Sequence[str], less: Sequence[str]
) -> list[str]:
    """Return `days` of a calendar with `more` and without `less`; raises ParamsError for what is
    not there."""
    gone = checked_days(less, name) if less else ()
    for day in gone:
        if day not in days:
            read_days([day])
            raise ParamsError(f"calendar '{name}': '{day}' is none of its days")
    return [day for day in [*days, *more] if day not in gone]
