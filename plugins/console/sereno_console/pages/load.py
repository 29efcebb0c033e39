"""The load to come: how many slots are due in each minute of a day, and each hour of a week."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import sqrt

import msgspec
from starlette.responses import Response

from sereno import ComingLoad, DueMinute
from sereno_console.pages.coming_load import load_to_come
from sereno_console.pages.environment import page
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.run_search import read_instant
from sereno_console.web.request import ConsoleRequest

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_HOURS = 24
_PEAKS = 10
_JOBS = 4
_HEATS = 5


class LoadCell(msgspec.Struct, frozen=True, kw_only=True):
    """A minute or an hour. `heat`: 0 to 5; `known`: false where the look did not reach it whole;
    `minute`: of its hour."""

    begins: datetime
    slots: int = 0
    heat: int = 0
    known: bool = True
    minute: int = 0


class LoadRow(msgspec.Struct, frozen=True, kw_only=True):
    """An hour with its minutes, or a day with its hours; None: an hour that the day has not."""

    begins: datetime
    cells: tuple[LoadCell | None, ...]


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """A minute, with the jobs that make most of it. `others`: slots of jobs that are not named."""

    minute: datetime
    slots: int
    jobs: tuple[tuple[str, int], ...]
    others: int


@PAGES.on("GET", "/load", needs="read")
async def load(request: ConsoleRequest) -> Response:
    """Show the load of the coming day and week."""
    told = Presentation(request)
    found = await load_to_come(request.sereno)
    text = request.query_params.get("hour", "")
    chosen = _floor(read_instant("hour", text, told), told) if text else None
    day = [due for due in found.minutes if due.minute < found.since + _DAY]
    inside = [m for m in found.minutes if chosen and chosen <= m.minute < chosen + _HOUR]
    return await page(
        request,
        "load.html",
        active=("load",),
        load=found,
        whole=found.until - found.since >= timedelta(days=7),
        most=max((due.slots for due in day), default=0),
        total=sum(due.slots for due in day),
        hours=day_rows(found, told),
        days=week_rows(found, told),
        peaks=list(_peaks(request, sorted(day, key=_busiest)[:_PEAKS])),
        hour=chosen,
        minutes=list(_peaks(request, inside)),
    )


def _busiest(due: DueMinute) -> tuple[int, datetime]:
    return -due.slots, due.minute


def _peaks(request: ConsoleRequest, minutes: Sequence[DueMinute]) -> Iterator[Peak]:
    for due in minutes:
        known = [(job, n) for job, n in due.jobs if request.user.can("read", job)][:_JOBS]
        others = due.slots - sum(count for _, count in known)
        yield Peak(minute=due.minute, slots=due.slots, jobs=tuple(known), others=others)


def day_rows(load: ComingLoad, told: Presentation) -> list[LoadRow]:
    """Return the coming 24 hours, each with its 60 minutes."""
    counts = {due.minute: due.slots for due in load.minutes}
    first = _floor(load.since, told)
    begins = [first + n * _HOUR for n in range(_HOURS)]
    end = begins[-1] + _HOUR
    most = max((n for at, n in counts.items() if first <= at < end), default=0)
    return [
        LoadRow(
            begins=hour,
            cells=tuple(
                _cell(hour + n * _MINUTE, counts.get(hour + n * _MINUTE, 0), most, load, _MINUTE, n)
                for n in range(60)
            ),
        )
        for hour in begins
    ]


def week_rows(load: ComingLoad, told: Presentation) -> list[LoadRow]:
    """Return the coming seven days, each with the 24 hours of its clock.

    Of an hour that the clock shows twice both count; one that it skips is None.
    """
    counts: Counter[datetime] = Counter()
    for due in load.minutes:
        counts[_floor(due.minute, told)] += due.slots
    rows: list[tuple[datetime, dict[int, list[datetime]]]] = []
    hour = _floor(load.since, told)
    while len(rows) < 8:
        here = told.local(hour)
        if not rows or here.date() != told.local(rows[-1][0]).date():
            rows.append((hour, {}))
        rows[-1][1].setdefault(here.hour, []).append(hour)
        hour += _HOUR
    rows.pop()  # begun, to see that the one before it is whole
    most = max(counts.values(), default=0)
    return [
        LoadRow(
            begins=begins,
            cells=tuple(_hour_cell(hours.get(n, []), counts, most, load) for n in range(24)),
        )
        for begins, hours in rows
    ]


def _hour_cell(
    hours: Sequence[datetime], counts: Counter[datetime], most: int, load: ComingLoad
) -> LoadCell | None:
    if not hours:
        return None
    slots = sum(counts[hour] for hour in hours)
    return _cell(hours[0], slots, most, load, len(hours) * _HOUR)


def _cell(
    at: datetime, slots: int, most: int, load: ComingLoad, length: timedelta, minute: int = 0
) -> LoadCell:
    heat = max(1, round(sqrt(slots / most) * _HEATS)) if slots else 0
    known = at + length <= load.until
    return LoadCell(begins=at, slots=slots, heat=heat, known=known, minute=minute)


def _floor(instant: datetime, told: Presentation) -> datetime:
    """Return where the hour of the page's clock began in which `instant` lies."""
    here = told.local(instant)
    into = timedelta(minutes=here.minute, seconds=here.second, microseconds=here.microsecond)
    return instant - into
