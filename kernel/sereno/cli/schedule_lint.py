"""Says what of declared schedules is likely not meant so: pure rules over their next slots."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from sereno.cli.forecast import Forecast, Slot, slots
from sereno.model.duration import format_duration
from sereno.model.job import Job
from sereno.model.zone import find_zone
from sereno.triggers.occurrences import trigger_of

MANY = 5
"""Schedules that are due in one minute at midnight: fewer are no pile."""

_LOOKED_AT = 30
_YEAR = timedelta(days=366)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_NAMED = 5
_TOUCHED = ("the clock shows", "the clock skips")


class ScheduleFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What is likely not meant. `kind`: `pile`, `clock_change`, `too_long`, `overdue_after`,
    `never`."""

    kind: str
    schedules: tuple[str, ...]
    sentence: str


def lint(
    forecasts: Iterable[Forecast],
    jobs: Mapping[str, Job],
    usual: Mapping[str, timedelta],
    now: datetime,
) -> list[ScheduleFinding]:
    """Return what is likely not meant of schedules that fire. `usual`: how long runs of a job
    take."""
    known = [f for f in forecasts if f.version.state == "active"]
    found: list[ScheduleFinding] = []
    several = Counter(f.job for f in known)
    for forecast in known:
        coming = list(slots(forecast, now, _LOOKED_AT))
        if never := _never(forecast, coming, now):
            found.append(never)
            continue
        least = min((b.at - a.at for a, b in pairwise(coming)), default=None)
        if least is None:
            continue
        alone = several[forecast.job] == 1
        found += _of_interval(forecast, least, jobs.get(forecast.job), usual, alone)
        if least > _HOUR:
            found += _of_the_clock(forecast, now)
    return [*_piles(known, now), *found]


def _never(forecast: Forecast, coming: list[Slot], now: datetime) -> ScheduleFinding | None:
    if coming and coming[0].at <= now + _YEAR:
        return None
    what = "has no slot to come" if not coming else f"is not due before {coming[0].at:%Y-%m-%d}"
    sentence = f"schedule '{forecast.name}' ({forecast.version.trigger}) {what}"
    return ScheduleFinding(kind="never", schedules=(forecast.name,), sentence=sentence)


def _of_interval(
    forecast: Forecast,
    least: timedelta,
    job: Job | None,
    usual: Mapping[str, timedelta],
    alone: bool,
) -> Iterator[ScheduleFinding]:
    lasts, named = usual.get(forecast.job), (forecast.name,)
    if lasts is not None and lasts > least:
        yield ScheduleFinding(
            kind="too_long",
            schedules=named,
            sentence=(
                f"schedule '{forecast.name}' is due every {_span(least)}, and a run of "
                f"'{forecast.job}' usually takes {_span(lasts)}: slots are skipped, or pile up"
            ),
        )
    limit = job.policies.overdue_after if job is not None else None
    if alone and limit is not None and limit < least:
        yield ScheduleFinding(
            kind="overdue_after",
            schedules=named,
            sentence=(
                f"job '{forecast.job}' is overdue after {_span(limit)}, and due only every "
                f"{_span(least)}: it will be overdue between any two runs"
            ),
        )


def _of_the_clock(forecast: Forecast, now: datetime) -> Iterator[ScheduleFinding]:
    version = forecast.version
    zone = trigger_of(version.trigger, version.jitter, forecast.name).zone
    for change in _changes(zone, now):
        for slot in slots(forecast, change - 2 * _HOUR, 4):
            if slot.note.startswith(_TOUCHED) and slot.at < change + _DAY:
                yield ScheduleFinding(
                    kind="clock_change",
                    schedules=(forecast.name,),
                    sentence=(
                        f"schedule '{forecast.name}' ({version.trigger}) falls into the change of "
                        f"the clock of {slot.at:%Y-%m-%d}: {slot.note}; move it by some hours, or "
                        "say what is meant with gap= and fold="
                    ),
                )
                return


def _changes(name: str | None, now: datetime) -> Iterator[datetime]:
    """Yield the hours of the coming year in which a zone's offset changes."""
    if name is None or name == "UTC":
        return
    zone = find_zone(name)
    day = now.replace(minute=0, second=0, microsecond=0)
    for n in range(_YEAR.days):
        begin = day + n * _DAY
        if begin.astimezone(zone).utcoffset() == (begin + _DAY).astimezone(zone).utcoffset():
            continue
        for h in range(24):
            at = begin + h * _HOUR
            if at.astimezone(zone).utcoffset() != (at + _HOUR).astimezone(zone).utcoffset():
                yield at + _HOUR


def _piles(known: list[Forecast], now: datetime) -> Iterator[ScheduleFinding]:
    """Yield the midnights of the coming day, in whatever zone, at which many are due."""
    due: dict[datetime, list[str]] = defaultdict(list)
    for forecast in known:
        for slot in slots(forecast, now, 1):
            version = forecast.version
            name = trigger_of(version.trigger, version.jitter, forecast.name).zone
            here = slot.at.astimezone(find_zone(name or "UTC"))
            midnight = (here.hour, here.minute) == (0, 0)
            if midnight and slot.at <= now + _DAY and not version.jitter:
                due[slot.at.replace(second=0, microsecond=0)].append(forecast.name)
    for at, names in sorted(due.items()):
        if len(names) < MANY:
            continue
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        listed = ", ".join(f"'{name}'" for name in names[:_NAMED])
        yield ScheduleFinding(
            kind="pile",
            schedules=tuple(names),
            sentence=(
                f"{len(names)} schedules are due at midnight ({at:%Y-%m-%dT%H:%MZ}): {listed}"
                f'{more}; jitter="10m" spreads them, and so does another minute'
            ),
        )


def _span(span: timedelta) -> str:
    return format_duration(timedelta(seconds=round(span.total_seconds())) or span)
