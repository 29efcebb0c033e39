"""The ledger of a job: what became of each slot, as a calendar, and why."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.responses import Response

from sereno import Client, ParamsError, SlotView
from sereno_console.pages.environment import page
from sereno_console.pages.newest_slots import STRIP, newest_slots
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.run_search import read_instant
from sereno_console.web.request import ConsoleRequest

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_DAYS = 14
_MOST = 4_500
_HOUR_ROWS = 600
_AROUND = 40
_WORST = ("missed", "skipped", "coalesced", "late", "waiting", "backfilled", "ran")
"""Verdicts, the gravest first: a cell is of the gravest in it."""


class LedgerHour(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of the calendar. `worst`: empty where nothing was due; `counts`: by verdict; `whole`:
    all of its slots were counted."""

    begins: datetime
    worst: str
    counts: tuple[tuple[str, int], ...]
    whole: bool = True

    @property
    def slots(self) -> int:
        """Return how many slots were due."""
        return sum(count for _, count in self.counts)


class LedgerDay(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the calendar."""

    begins: datetime
    hours: tuple[LedgerHour, ...]


@PAGES.on("GET", "/jobs/{job}/ledger", needs="read")
async def ledger(request: ConsoleRequest) -> Response:
    """Show the calendar of a job's slots, and those of one hour."""
    name, told = request.arguments["job"], Presentation(request)
    job = await request.sereno.job(name)
    now = await request.sereno.now()
    until = _asked(request, "until", told) or now
    days, since = await _calendar(request.sereno, name, until, told)
    chosen = _asked(request, "hour", told)
    return await page(
        request,
        "ledger.html",
        active=("jobs",),
        job=job,
        days=days,
        before=(since or days[-1].begins) - timedelta(microseconds=1),
        newest=await newest_slots(request.sereno, name, until, _since(days)),
        since=since,
        until=until,
        hour=chosen,
        slots=await _of_hour(request.sereno, name, chosen) if chosen else [],
    )


@PAGES.on("GET", "/jobs/{job}/why", needs="read")
async def why(request: ConsoleRequest) -> Response:
    """Tell why a job did run, or did not, at an instant."""
    told = Presentation(request)
    at = _asked(request, "at", told)
    if at is None:
        raise ParamsError("at: say which instant is meant, as 2026-11-29T07:30")
    found = await request.sereno.explain(request.arguments["job"], at)
    nearest = sorted(found.near, key=lambda slot: abs(slot.first_slot - at))[:_AROUND]
    near = sorted(nearest, key=lambda slot: slot.first_slot)
    return await page(request, "why.html", active=("jobs",), found=found, near=near, at=at)


async def _of_hour(sereno: Client, name: str, hour: datetime) -> list[SlotView]:
    return await sereno.slots(
        name, hour, hour + _HOUR - timedelta(microseconds=1), limit=_HOUR_ROWS
    )


async def _calendar(
    sereno: Client, job: str, until: datetime, told: Presentation
) -> tuple[list[LedgerDay], datetime | None]:
    """Return two weeks to `until`, the newest day first, and since when their slots were counted:
    None for all of them."""
    days = [_midnight(until, told)]
    while len(days) < _DAYS:
        days.append(_midnight(days[-1] - _HOUR, told))
    hours = {day: _hour_marks(day, _next_midnight(day, told), until) for day in reversed(days)}
    marks = [mark for its in hours.values() for mark in its]
    found = await sereno.slot_counts(job, [*marks, marks[-1] + _HOUR], most=_MOST)
    counted = dict(zip(marks, found.spans, strict=True))
    since = found.since
    shown = [
        LedgerDay(begins=day, hours=tuple(_hour(mark, counted[mark], since) for mark in hours[day]))
        for day in days
        if since is None or hours[day][-1] + _HOUR > since
    ]
    while len(shown) > 1 and not any(hour.slots for hour in shown[-1].hours):
        shown.pop()  # before the first slot there is nothing to see
    return shown, since


def _since(days: Sequence[LedgerDay]) -> datetime:
    """Return the hour from which on there are enough slots for a strip, the first for fewer."""
    counted = 0
    for hour in (hour for day in days for hour in reversed(day.hours)):
        counted += hour.slots
        if counted >= STRIP:
            return hour.begins
    return days[-1].begins


def _hour(begins: datetime, counts: Mapping[str, int], since: datetime | None) -> LedgerHour:
    return LedgerHour(
        begins=begins,
        worst=_worst(counts),
        counts=tuple(sorted(counts.items())),
        whole=since is None or since <= begins,
    )


def _hour_marks(day: datetime, after: datetime, until: datetime) -> list[datetime]:
    """Return when the hours of a day begin, to the one that `until` is in: of the whole day 24, or
    23 or 25 where the clock is changed."""
    marks = [day]
    while (mark := marks[-1] + _HOUR) < after and mark <= until:
        marks.append(mark)
    return marks


def _worst(counts: Mapping[str, int]) -> str:
    return next((verdict for verdict in _WORST if counts.get(verdict)), next(iter(counts), ""))


def _midnight(instant: datetime, told: Presentation) -> datetime:
    here = told.local(instant).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return here.astimezone(UTC)


def _next_midnight(day: datetime, told: Presentation) -> datetime:
    return _midnight(day + _DAY + 3 * _HOUR, told)


def _asked(request: ConsoleRequest, name: str, told: Presentation) -> datetime | None:
    text = request.query_params.get(name, "")
    return read_instant(name, text, told) if text else None
