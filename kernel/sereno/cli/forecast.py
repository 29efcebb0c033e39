"""Foretells the slots of a schedule, with a note where a change of the clock touches one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

import msgspec

from sereno.cli.moments import moment
from sereno.client import BlackoutView, ScheduleView
from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.zone import find_zone
from sereno.plugins import DeclaredSchedule, Registry
from sereno.triggers.calendars import Calendars, calendars_of, with_days
from sereno.triggers.occurrences import next_slot, trigger_of
from sereno.triggers.trigger import EPOCH

_STEP = timedelta(microseconds=1)

# Each day of a year, none of them to come: a trigger without a day at all is refused.
_LONG_AGO = ("2000-01-01..2001-01-30",)


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot. `wall`: in the zone of its trigger, where that is another than this machine's."""

    at: datetime
    wall: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A schedule as it is declared or stored. `written`: its trigger as people wrote it, which
    names calendars and not their days. `unread`: calendars whose days are not known, as the
    database alone has them. `until`, `reason`: of its pause."""

    name: str
    job: str
    version: ScheduleVersion
    written: str
    until: datetime | None = None
    reason: str | None = None
    blackouts: Sequence[BlackoutView] = ()
    unread: tuple[str, ...] = ()

    @classmethod
    def stored(cls, view: ScheduleView, blackouts: Sequence[BlackoutView] = ()) -> "Forecast":
        """Return what the database has."""
        return cls(
            name=view.name,
            job=view.job,
            version=view.definition,
            written=view.written or view.definition.trigger,
            until=view.paused_until,
            reason=view.paused_reason,
            blackouts=blackouts,
        )

    @classmethod
    def declared(cls, schedule: DeclaredSchedule, calendars: Calendars | None = None) -> "Forecast":
        """Return what a plugin or the configuration declares, with the settings' `calendars`."""
        state: ScheduleState = "active" if schedule.enabled else "paused"
        spec = ScheduleSpec.of(schedule.schedule)
        plain = msgspec.structs.replace(spec, trigger=_known_days(spec.trigger, calendars))
        version = plain.as_version(1, EPOCH, state)
        reason = None if schedule.enabled else "disabled by the configuration"
        return cls(
            name=schedule.name,
            job=schedule.job,
            version=version,
            written=spec.trigger,
            reason=reason,
            unread=_unread(spec.trigger, calendars),
        )

    def headline(self, now: datetime) -> str:
        """Return trigger and state in one line."""
        if self.version.state == "active":
            return self.written
        until = f" until {moment(self.until, now)}" if self.until else ""
        because = f" ({self.reason})" if self.reason else ""
        return f"{self.written}: {self.version.state}{until}{because}, nothing runs"


def _known_days(trigger: str, calendars: Calendars | None) -> str:
    """Return a trigger with the days of its calendars; those of the database are left out here."""
    unread = dict.fromkeys(_unread(trigger, calendars), _LONG_AGO)
    return with_days(trigger, {**unread, **(calendars or {})})


def _unread(trigger: str, calendars: Calendars | None) -> tuple[str, ...]:
    return tuple(name for name in calendars_of(trigger) if name not in (calendars or {}))


def forecasts(registry: Registry, name: str, calendars: Calendars) -> list[Forecast]:
    """Return the declared schedules of the job `name`, or the one of that name."""
    found = registry.schedules.values()
    return [Forecast.declared(s, calendars) for s in found if name in (s.job, s.name)]


def slots(forecast: Forecast, now: datetime, count: int) -> Iterator[Slot]:
    """Yield the next `count` slots after `now`; of a paused schedule those it would have."""
    version = forecast.version
    zone = _zone(forecast)
    after = now
    for _ in range(count):
        found = next_slot(version, forecast.name, after)
        if found is None:
            return
        note = "" if zone is None else _note(after, found, zone)
        yield Slot(found, _wall(found, zone), _blackout(forecast, found) or note)
        after = found


def _blackout(forecast: Forecast, slot: datetime) -> str:
    for one in forecast.blackouts:
        if one.holds(forecast.name, forecast.job, slot):
            return f"skipped, blackout {one.id}: {one.reason}"
    return ""


def _zone(forecast: Forecast) -> tzinfo | None:
    """Return the zone whose clock the trigger follows, None where no clock change can touch it."""
    version = forecast.version
    name = trigger_of(version.trigger, version.jitter, forecast.name).zone
    return None if name is None or name == "UTC" else find_zone(name)


def _wall(slot: datetime, zone: tzinfo | None) -> str:
    if zone is None or slot.astimezone(zone).utcoffset() == slot.astimezone().utcoffset():
        return ""
    return f"{slot.astimezone(zone):%H:%M:%S} {zone}"


def _note(before: datetime, slot: datetime, zone: tzinfo) -> str:
    """Return what the clock did before `slot`, and which pass of an hour `slot` is in."""
    here, past = slot.astimezone(zone), (slot - _STEP).astimezone(zone)
    first = here.replace(fold=0).utcoffset()
    second = here.replace(fold=1).utcoffset()
    if first != second and first is not None and second is not None and first > second:
        passes = "first" if here.fold == 0 else "second"
        return f"the clock shows {here:%H:%M} twice; this is the {passes} time"
    shift = _offset(slot, zone) - _offset(slot - _STEP, zone)
    if shift > timedelta(0):
        gap = (past + _STEP).replace(tzinfo=None)
        return (
            f"the clock skips {gap:%H:%M} to {gap + shift:%H:%M}; this is the first instant after"
        )
    moved = _offset(slot, zone) - _offset(before, zone)
    if moved:
        way = "forward" if moved > timedelta(0) else "back"
        return (
            f"the clock has gone {way} by {moved if moved > timedelta(0) else -moved} before this"
        )
    return ""


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
